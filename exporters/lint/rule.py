"""What a rule is, and the list of them: each is one function on a graph, under `rule`, in the module of its device."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from lightsam_exporters.formats.listing import Graph, Operation

from .wiring import Wiring


class Severity(StrEnum):
    """How bad it is, from the least to the worst."""

    NOTE = "note"
    """Costs something, or depends on the version."""
    WARNING = "warning"
    """Leaves the device, and runs elsewhere."""
    ERROR = "error"
    """Computes wrongly, or does not run."""

    @property
    def rank(self) -> int:
        """For comparison; the worst is the largest."""
        return list(Severity).index(self)


DEVICES = {
    "coreml-gpu": "Core ML's GPU",
    "neural-engine": "Apple's Neural Engine",
    "litert-gpu": "LiteRT's GPU delegate",
    "xnnpack": "XNNPACK (CPU, in LiteRT and ExecuTorch)",
    "onnxruntime-cpu": "ONNX Runtime's CPU kernels",
    "onnxruntime-web": "onnxruntime-web on WebGPU",
    "onnxruntime-coreml": "ONNX Runtime's Core ML provider",
}
"""Whose rules there are, with their names for people."""

_NO_MAC = "no Mac has confirmed it: on one, run `lightsam parity` and `lightsam residency`"
UNCONFIRMED = {
    "coreml-gpu": f"that Core ML's GPU computes it right rests on these rules; {_NO_MAC}",
    "neural-engine": f"that the Neural Engine takes it whole rests on these rules; {_NO_MAC}",
}
"""What is said of every file, since no test of this project runs on the device."""

Find = Callable[[Wiring], Iterable[Operation]]


@dataclass(frozen=True)
class Rule:
    """Something that a device is known to do with a graph."""

    id: str
    device: str
    """One of `DEVICES`."""
    language: str
    """Of the graphs that it reads."""
    severity: Severity
    wrong: str
    """What happens, in a sentence."""
    remedy: str
    """What to do."""
    source: str
    """Address of who says so."""
    find: Find
    """Gives the operations that it is about."""


RULES: dict[str, Rule] = {}
"""Every rule by its id, in the order of the modules that hold them."""


def rule(
    id: str, *, device: str, language: str, severity: Severity, wrong: str, remedy: str, source: str
) -> Callable[[Find], Find]:
    """Add a function to `RULES`; the arguments are the fields of `Rule`."""
    assert device in DEVICES, device
    assert id not in RULES, id

    def add(find: Find) -> Find:
        RULES[id] = Rule(id, device, language, severity, wrong, remedy, source, find)
        return find

    return add


def of_types(*types: str) -> Find:
    """What finds every operation of these types."""
    return lambda wiring: wiring.of_type(*types)


def words(text: str) -> frozenset[str]:
    """The names in a text, as of a list of operators."""
    return frozenset(text.split())


def applicable(graph: Graph, devices: Iterable[str]) -> list[Rule]:
    """The rules of these devices that read such a graph."""
    wanted = set(devices)
    return [one for one in RULES.values() if one.device in wanted and one.language == graph.language]
