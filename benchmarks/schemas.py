"""JSON Schemas of the files that lightsam reads and writes: ``python -m lightsam_benchmarks.schemas FOLDER``."""

import json
import sys
from pathlib import Path

from lightsam.documents import schema_of
from lightsam.files import write_text
from lightsam_exporters.facts import ExportFacts
from lightsam_exporters.handoff.answers import AnswersFile
from lightsam_exporters.handoff.description import ModelDescription
from lightsam_exporters.lint.files import LintReport
from lightsam_exporters.manifest import Manifest
from lightsam_exporters.parity.suite import SuiteFile

from .edges import record as edges
from .instances import record as instances
from .latency import record as latency
from .quality import record as quality
from .rewrites import record as rewrites
from .sweep_file import SweepFile
from .sweep_results import SweepResult
from .tradeoff import record as tradeoff

SCHEMAS: dict[str, tuple[type, str]] = {
    "export": (ExportFacts, "`export.json`, the facts of an export"),
    "manifest": (Manifest, "`manifest.json`, the index of a model's folder"),
    "model": (ModelDescription, "`model.json`, what an app must know of the model files beside it"),
    "answers": (AnswersFile, "`answers.json`, golden answers of an export, in its bundle"),
    "lint": (LintReport, "Report of `lightsam lint --json`"),
    "latency-record": (latency.Record, "Record of `lightsam benchmark`"),
    "quality-record": (quality.Record, "Record of `lightsam evaluate`"),
    "edges-record": (edges.Record, "Record of `lightsam evaluate edges`"),
    "instances-record": (instances.Record, "Record of `lightsam evaluate instances`"),
    "rewrites-record": (rewrites.Record, "Record of `lightsam benchmark rewrites`"),
    "tradeoff-record": (tradeoff.Record, "Record of a sweep's `tradeoff`"),
    "suite": (SuiteFile, "Suite of images and prompts for `lightsam parity`"),
    "sweep": (SweepFile, "File of `lightsam sweep`, as TOML"),
    "sweep-result": (SweepResult, "One line of the results of `lightsam sweep`"),
}
"""By the schema's name: what a file of that kind is read into, and the schema's title."""


def schema_text(name: str) -> str:
    """One schema as the text of its file."""
    return json.dumps(schema_of(*SCHEMAS[name]), indent=1) + "\n"


def write_schemas(folder: Path) -> list[Path]:
    """Write every schema as ``NAME.json``.

    Returns:
        The files.

    Raises:
        WriteError: if the system refuses.
    """
    paths = [folder / f"{name}.json" for name in SCHEMAS]
    for path in paths:
        write_text(path, schema_text(path.stem))
    return paths


if __name__ == "__main__":
    print("\n".join(map(str, write_schemas(Path(sys.argv[1])))))
