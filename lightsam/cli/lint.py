"""``lightsam lint``: what the rules of the devices say about saved files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from lightsam.cli.console import out, progress
from lightsam.cli.options import examples, names_in

if TYPE_CHECKING:
    from lightsam_exporters.formats.listing import Graph
    from lightsam_exporters.lint.check import FileLint, Finding
    from lightsam_exporters.lint.files import LintedFile

EPILOG = examples(
    "lightsam lint artifacts/mobile_sam",
    "lightsam lint artifacts/mobile_sam/tflite-float32 --target litert-gpu --fail-on warning",
    "lightsam lint somebodys_model.onnx --target onnxruntime-web,onnxruntime-coreml --fail-on never",
    "lightsam lint encoder.mlpackage --operations",
    "lightsam lint artifacts --target all --json > lint.json",
)
_COLORS = {"error": "red", "warning": "yellow", "note": "dim"}
_NEVER = "never"
_MODULES = 2
"""Modules that a line names; the rest are counted."""
RULES_ONLY = (
    "These are rules, none was measured here: where operations run is found out on the device (`lightsam residency`)."
)


def lint(
    path: Annotated[
        Path, typer.Argument(metavar="DIR|FILE", help="A file of any format, whoever made it, or a folder of files.")
    ],
    target: Annotated[
        str | None,
        typer.Option(
            help="Devices, separated by commas: coreml-gpu, neural-engine, litert-gpu, xnnpack, onnxruntime-cpu, "
            "onnxruntime-web, onnxruntime-coreml; or all. What each format's default unit runs on by default.",
            metavar="DEVICE,...",
        ),
    ] = None,
    format_name: Annotated[str | None, typer.Option("--format", help="Files of this format alone.")] = None,
    fail_on: Annotated[
        str,
        typer.Option(
            help="The least severe finding that makes the exit status 1: error (computes wrongly, or does not run), "
            "warning (leaves the device), note (costs something), or never.",
            metavar="error|warning|note|never",
        ),
    ] = "error",
    operations: Annotated[
        bool, typer.Option("--operations", help="Also list every operation: type, module, inputs and outputs.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON report instead of tables.")] = False,
) -> None:
    """Read saved files, and say what would leave or break a device, and the peak of activation memory."""
    from lightsam.errors import LintError, UsageError
    from lightsam_exporters.lint.check import devices_named
    from lightsam_exporters.lint.files import LintReport, find_files, lint_files
    from lightsam_exporters.lint.rule import Severity

    levels = [*(one.value for one in reversed(Severity)), _NEVER]
    if fail_on not in levels:
        raise UsageError(f"there is no severity {fail_on!r}; choose from: {', '.join(levels)}")
    if json and operations:
        raise UsageError("--operations is a table: leave out --json")
    devices = devices_named(names_in(target))
    files = find_files(path, format_name)
    with progress(len(files)) as begin:
        linted = lint_files(files, devices, begin)
    if json:
        _print_json(LintReport(files=[one for one, _ in linted]).as_json())
    else:
        for one, graphs in linted:
            _print(one, graphs if operations else ())
        _explain([finding for one, _ in linted for finding in one.lint.findings])
        out.print(RULES_ONLY, soft_wrap=True)
    if fail_on != _NEVER:
        least = Severity(fail_on).rank
        worst = {one.path: one.lint.worst for one, _ in linted}
        failed = [name for name, severity in worst.items() if severity is not None and severity.rank >= least]
        if failed:
            what = fail_on if fail_on == "error" else f"{fail_on} or worse"
            raise LintError(f"{len(failed)} of {len(linted)} files have findings ({what}): {', '.join(failed)}")


def _print_json(content: object) -> None:
    from json import dumps

    out.print(dumps(content, indent=2, allow_nan=False), soft_wrap=True)


def _print(file: "LintedFile", graphs: "Sequence[Graph]") -> None:
    """What was found in a file, and its operations if they are wanted."""
    lint = file.lint
    for graph in graphs:
        _print_operations(file.path, graph)
    asked = ", ".join(lint.devices) or "no device"
    title = f"{file.path}, by the rules of {asked}"
    if lint.findings:
        table = Table("severity", "rule", "operations", "first", "modules", title=title)
        for one in lint.findings:
            severity = Text(one.severity.value, _COLORS[one.severity.value])
            table.add_row(severity, one.rule, str(one.operations), one.first, _modules(one))
        out.print(table)
    else:
        out.print(f"{title}: nothing found", soft_wrap=True)
    if lint.peak is not None:
        out.print(f"  {_peak(lint)}", soft_wrap=True)
    for note in lint.notes:
        out.print(f"  {note}", soft_wrap=True)


def _modules(finding: "Finding") -> str:
    named = [f"{name} ({count})" if count > 1 else name for name, count in finding.modules.items()]
    more = len(named) - _MODULES
    return "\n".join([*named[:_MODULES], *([f"and {more} more"] if more > 0 else [])])


def _peak(lint: "FileLint") -> str:
    """The peak in a sentence."""
    assert lint.peak is not None
    found = lint.peak
    where = f" of {found.module}" if found.module else ""
    return (
        f"{lint.operations} operations; at most {found.bytes / 1e6:.1f} MB of activations at once, at "
        f"{found.operation} {found.name}{where}: {', '.join(found.shapes)}"
    )


def _explain(findings: "list[Finding]") -> None:
    """Each rule that found something, once."""
    for one in {finding.rule: finding for finding in findings}.values():
        out.print(Text(one.rule, _COLORS[one.severity.value]), f"({one.device}): {one.wrong}.", soft_wrap=True)
        out.print(f"  Do: {one.remedy}. Source: {one.source}", soft_wrap=True)


def _print_operations(path: str, graph: "Graph") -> None:
    table = Table("operation", "name", "module", "inputs", "outputs", title=" ".join((path, graph.name)))
    for one in graph.walk():
        given = [f"{tensor} constant" if tensor.constant else str(tensor) for tensor in one.inputs]
        table.add_row(one.type, one.name, one.module, "\n".join(given), "\n".join(map(str, one.outputs)))
    out.print(table)
