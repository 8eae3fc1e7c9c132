"""All exports of a folder in one go, against PyTorch or against another folder: what ``lightsam parity`` does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightsam.stages import Arrays
from lightsam_exporters.formats.base import OnStep
from lightsam_exporters.formats.running import RunOptions
from lightsam_exporters.loading import Export, find_exports

from .baseline import Margin, find_regressions, read_baseline
from .bisect import TORCH, Bisection, supports_inspection
from .compare import compare, pairs_of
from .exports import JudgeConfig, judge_exports, locate
from .illustrate import Illustration, illustrate
from .measurement import ParityReport
from .reference import References
from .reference_image import ReferenceImage
from .report import Judged
from .suite import Case


@dataclass(frozen=True)
class FolderConfig:
    """Which exports are judged, and what is found out besides."""

    judge: JudgeConfig
    format_name: str | None = None
    """This format alone; all for None."""
    precision: str | None = None
    weights: str | None = None
    """As for an export; None takes those that the exports name."""
    how: RunOptions = RunOptions()  # noqa: RUF009  # it is frozen
    bisect: bool = False
    """Whether to look for the first operation that leaves the reference, where a format can be looked into."""
    threshold_db: float | None = None
    """PSNR below which an operation is off; None for the gate's."""
    against: str = TORCH
    """What insides are compared with; see `bisect`."""
    baseline: Path | None = None
    """An older manifest, to which nothing may be worse by more than the margin."""
    margin: Margin = Margin()  # noqa: RUF009  # it is frozen
    illustrated: bool = False
    """Whether to draw what was predicted."""


OnJudged = Callable[[str, Judged], None]
"""Told a title and what was found, export by export."""


def judge_folder(
    folder: Path,
    config: FolderConfig,
    references: References | None = None,
    on_step: OnStep = lambda _: None,
    on_judged: OnJudged = lambda *_: None,
) -> list[Judged]:
    """Judge the exports of a model's folder, or one export's own, against PyTorch.

    A file that is damaged, or whose runtime is not installed, fails, and the others are judged all the same.

    Raises:
        CheckpointError: if the weights that the files were made from cannot be had.
        ContractError: if there is no export, or the facts of one or the baseline cannot be read.
        UsageError: if there is no such export, or it cannot be looked into.
    """
    found = find_exports(folder, config.format_name, config.precision)
    before = None if config.baseline is None else read_baseline(config.baseline)
    references = references or References()
    judged = []
    for entry in found:
        drawing = _Drawing(config.illustrated)
        ((_, report),) = judge_exports(
            [entry], config.judge, config.weights, on_step, config.how, references, drawing.see
        )
        worse = [] if before is None else find_regressions(entry.name, report, before, config.margin)
        located: Sequence[Bisection] = ()
        if config.bisect and (config.format_name is not None or supports_inspection(entry)):
            on_step(f"looking into {entry.name}")
            located = locate(entry, config.judge, references, config.weights, config.threshold_db, config.against)
        one = _judged(entry, report, drawing, worse, located)
        on_judged(f"{folder} {entry.name}, {entry.weights.title}", one)
        judged.append(one)
    return judged


def judge_against(
    folder: Path,
    other: Path,
    config: FolderConfig,
    on_step: OnStep = lambda _: None,
    on_judged: OnJudged = lambda *_: None,
) -> list[Judged]:
    """Judge the exports of ``other`` by the answers of those in ``folder``.

    Raises:
        ContractError: if a folder holds no export, or a file is missing, damaged, or not the other stage's pair.
        UsageError: if there is nothing to compare.
    """
    judged = []
    for reference, candidate in pairs_of(folder, other, config.format_name, config.precision):
        drawing = _Drawing(config.illustrated)
        on_step(f"comparing {candidate.folder} with {reference.folder}")
        report = compare(reference, candidate, config.judge.suite, config.judge.gates, config.how, drawing.see)
        one = _judged(candidate, report, drawing)
        on_judged(f"{candidate.folder}, judged by {reference.folder}, {candidate.weights.title}", one)
        judged.append(one)
    return judged


class _Drawing:
    """Keeps images of what was predicted, where they are wanted."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self.drawn: list[Illustration] = []

    def see(self, reference_image: ReferenceImage, case: Case, expected: Arrays, found: Arrays) -> None:
        """Draw a prediction; of a grid, none: its prompts are many and look alike."""
        if self._wanted and not case.chain_only:
            drawn = illustrate(reference_image, case, expected, found)
            if drawn is not None:
                self.drawn.append(drawn)


def _judged(
    entry: Export,
    report: ParityReport,
    drawing: _Drawing,
    regressions: Sequence[str] = (),
    bisections: Sequence[Bisection] = (),
) -> Judged:
    return Judged(
        entry.name,
        entry.provenance.model,
        report,
        weights=entry.weights.title,
        sha256={name: file.sha256 for name, file in entry.facts.files.items()},
        tools=entry.tools,
        regressions=tuple(regressions),
        bisections=tuple(bisections),
        illustrations=tuple(drawing.drawn),
    )
