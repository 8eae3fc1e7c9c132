"""What the rules find in one file: findings of a rule are one line, with the modules that they are in."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightsam.errors import UsageError
from lightsam_exporters.formats.base import Format
from lightsam_exporters.formats.listing import Graph, Operation

# Imported for what their rules add to the list.
from . import coreml_gpu, litert_gpu, neural_engine, onnx_runtime, xnnpack  # noqa: F401
from .memory import Peak, peak
from .rule import DEVICES, UNCONFIRMED, Rule, Severity, applicable
from .wiring import Wiring

ALL = "all"


@dataclass(frozen=True)
class Finding:
    """What one rule found in one function of a file."""

    rule: str
    """Its id."""
    device: str
    """Whose rule it is."""
    severity: Severity
    """error: computes wrongly or does not run; warning: leaves the device; note: costs something."""
    graph: str
    """Name of the function of the file."""
    operations: int
    """How many it is about."""
    first: str
    """Type, name and result of the first of them."""
    modules: dict[str, int]
    """How many in each PyTorch module, as far as the file tells; in the order of the file."""
    wrong: str
    """What happens there."""
    remedy: str
    """What to do."""
    source: str
    """Address of who says so."""


@dataclass(frozen=True)
class FileLint:
    """What the rules say about one file. Where its operations run, only the device can tell."""

    devices: list[str]
    """Whose rules were asked."""
    operations: int
    """That the file computes with, constants aside; 0 where it does not tell."""
    peak: Peak | None
    """The most activation memory, by liveness in the order of the file; null where the file does not tell."""
    findings: list[Finding]
    """The worst first."""
    notes: list[str]
    """What the file does not tell, what was assumed instead, and what no device has confirmed."""

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding; None if there is none."""
        return max((one.severity for one in self.findings), key=lambda one: one.rank, default=None)

    def count(self, severity: Severity) -> int:
        """How many findings are of a severity."""
        return sum(one.severity is severity for one in self.findings)


def lint_file(path: Path, backend: Format[Any], devices: Sequence[str] = ()) -> FileLint:
    """Read a file and ask the rules.

    Args:
        path: of a file of that format, whoever made it.
        backend: its format.
        devices: whose rules are asked; those of the format's default unit if none is named.

    Raises:
        ContractError: if the file is damaged.
    """
    return lint_graphs(backend.listing(path), devices or backend.devices)


def lint_graphs(graphs: Sequence[Graph], devices: Iterable[str]) -> FileLint:
    """Ask the rules about what was read already."""
    devices = list(devices)
    found = [finding for graph in graphs for finding in _findings(graph, devices)]
    peaks = [peak(graph) for graph in graphs if graph.operations]
    asked = [name for name in devices if any(applicable(graph, [name]) for graph in graphs)]
    told = [note for graph in graphs for note in graph.notes]
    return FileLint(
        devices=asked,
        operations=sum(not one.constant for graph in graphs for one in graph.walk()),
        peak=max(peaks, key=lambda one: one.bytes, default=None),
        findings=sorted(found, key=lambda one: -one.severity.rank),
        notes=list(dict.fromkeys((*told, *(UNCONFIRMED[name] for name in asked if name in UNCONFIRMED)))),
    )


def devices_named(names: Sequence[str]) -> tuple[str, ...]:
    """The devices that were asked for; ``all`` is every one.

    Raises:
        UsageError: for one that there is not.
    """
    if ALL in names:
        return tuple(DEVICES)
    for name in names:
        if name not in DEVICES:
            raise UsageError(f"there is no target {name!r}; choose from: {', '.join(DEVICES)}, or {ALL}")
    return tuple(names)


def _findings(graph: Graph, devices: Sequence[str]) -> list[Finding]:
    rules = applicable(graph, devices)
    wiring = Wiring(graph)
    return [
        _finding(rule, graph, list(operations.values()))
        for rule in rules
        if (operations := {id(one): one for one in rule.find(wiring)})
    ]


def _finding(rule: Rule, graph: Graph, operations: Sequence[Operation]) -> Finding:
    first = operations[0]
    shown = f"{first.type} {first.name}"
    if first.outputs:
        shown += f" {first.outputs[0]}"
    return Finding(
        rule.id,
        rule.device,
        rule.severity,
        graph.name,
        len(operations),
        shown,
        dict(Counter(one.module for one in operations if one.module)),
        rule.wrong,
        rule.remedy,
        rule.source,
    )
