"""What was found about one export: the judgement, and what the report shows beside it."""

from dataclasses import dataclass, field

from .bisect import Bisection
from .illustrate import Illustration
from .measurement import ParityReport


@dataclass(frozen=True)
class Judged:
    """One export and what was found."""

    name: str
    """Such as "coreml-float16"."""
    model: str
    report: ParityReport
    weights: str = ""
    """What it was made from, whose and under which license."""
    sha256: dict[str, str] = field(default_factory=dict)
    """Of each stage's file."""
    tools: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that made the files."""
    regressions: tuple[str, ...] = ()
    """What got worse than the baseline."""
    bisections: tuple[Bisection, ...] = ()
    illustrations: tuple[Illustration, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it passed its gates, and nothing got worse."""
        return self.report.passed and not self.regressions
