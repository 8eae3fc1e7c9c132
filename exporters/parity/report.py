"""Judgements for machines, JSON and JUnit XML as CI servers read it, and for people, HTML."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from lightsam import __version__
from lightsam.errors import UsageError
from lightsam.files import write_text

from .bisect import Bisection
from .illustrate import Illustration
from .judge import ParityReport
from .page import as_html

SCHEMA = 2
"""Of the JSON; raised when a field changes its name or meaning."""


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


def check_suffix(path: Path) -> None:
    """Refuse a report of a kind that there is not, before any work.

    Raises:
        UsageError: naming those that there are.
    """
    if path.suffix not in _WRITERS:
        raise UsageError(f"{path} is no report that can be written: end it in {' or '.join(_WRITERS)}")


def write_report(path: Path, judged: Sequence[Judged]) -> None:
    """Write what was found, in the form that the suffix says.

    Raises:
        UsageError: for another suffix.
        WriteError: if the system refuses.
    """
    check_suffix(path)
    write_text(path, _WRITERS[path.suffix](judged))


def _as_json(judged: Sequence[Judged]) -> str:
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "lightsam": __version__,
        "passed": all(one.passed for one in judged),
        "exports": [
            {
                "name": one.name,
                "model": one.model,
                "weights": one.weights,
                "sha256": one.sha256,
                "passed": one.passed,
                "tools": one.tools,
                "regressions": list(one.regressions),
                "bisections": [_bisection(found) for found in one.bisections],
                "parity": one.report.as_dict(),
            }
            for one in judged
        ],
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _bisection(found: Bisection) -> dict[str, Any]:
    steps = [
        {**asdict(step), "psnr_db": _finite(step.psnr_db), "largest": _finite(step.largest)} for step in found.steps
    ]
    culprit = None if found.culprit is None else steps[found.culprit]
    facts = {"stage": found.stage, "against": found.against, "threshold_db": found.threshold_db}
    return {**facts, "culprit": culprit, "steps": steps}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _as_junit(judged: Sequence[Judged]) -> str:
    """One suite an export, one test case a measurement."""
    root = ET.Element("testsuites", name="lightsam parity")
    for one in judged:
        others = (*one.report.other_failures, *one.regressions)
        failures = len(others) + sum(bool(m.failure) for m in one.report.measurements)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=f"{one.model}.{one.name}",
            tests=str(len(one.report.measurements) + len(others)),
            failures=str(failures),
        )
        for measurement in one.report.measurements:
            where = ": ".join(filter(None, (measurement.image, measurement.prompt, measurement.output)))
            case = ET.SubElement(suite, "testcase", classname=f"{one.model}.{one.name}.{measurement.scope}", name=where)
            if measurement.failure:
                ET.SubElement(case, "failure", message=measurement.failure)
        for line in others:
            case = ET.SubElement(suite, "testcase", classname=f"{one.model}.{one.name}", name=line)
            ET.SubElement(case, "failure", message=line)
        ET.SubElement(suite, "system-out").text = f"judged by {one.report.judge}, suite {one.report.suite}"
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


_WRITERS = {".html": as_html, ".json": _as_json, ".xml": _as_junit}
