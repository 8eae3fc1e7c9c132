"""The files that judgements are written to: JSON and JUnit XML for machines, a page for people."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from lightsam.files import write_by_suffix
from lightsam.version import __version__

from .bisect import Bisection
from .measurement import finite
from .page import as_html
from .report import Judged

SCHEMA = 2
"""Of the JSON; raised when a field changes its name or meaning."""


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
    steps = [finite(asdict(step)) for step in found.steps]
    culprit = None if found.culprit is None else steps[found.culprit]
    facts = {"stage": found.stage, "against": found.against, "threshold_db": found.threshold_db}
    return {**facts, "culprit": culprit, "steps": steps}


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


WRITERS = {".html": as_html, ".json": _as_json, ".xml": _as_junit}


def write_report(path: Path, judged: Sequence[Judged]) -> None:
    """Write what was found, in the form that the suffix of ``path`` names.

    Raises:
        UsageError: for a suffix that is not in `WRITERS`.
        WriteError: if the system refuses.
    """
    write_by_suffix(path, WRITERS, judged)
