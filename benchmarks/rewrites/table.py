"""What is measured: one row for each number that the benchmark prints, with the least that it should be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lightsam.errors import UsageError
from lightsam.models import find_model
from lightsam.stages import POINT_SLOTS, STAGE_NAMES

OURS, FAITHFUL, AUTHORS = "ours", "faithful", "authors"
"""Files that are compared: what an export gives; the same converter on the faithful graph; the authors' own code
through torch.onnx's old exporter, always ONNX."""
_WITHOUT = "without "

TIME, MEMORY, ACTIVATIONS, CONVERSION = "time", "memory", "activations", "conversion"
"""Kinds of rows: a ratio of times, of bytes that a process holds, of bytes by liveness; seconds."""
FORMATS = ("onnx", "tflite")
AT_LOAD = ("tflite",)
"""Formats whose runtime allocates what a run needs when it loads the file."""
CONVERTED = ("coreml", "onnx", "tflite")
"""What the row of a conversion converts to."""


@dataclass(frozen=True)
class Case:
    """What a stage is given."""

    name: str
    stage: str
    prompts: int = 1
    slots: int | None = None
    """Prompt slots, of which those without a point are empty; None for as many as the points need."""


ENCODER = Case("encoder", STAGE_NAMES[0])
POINT = Case("decoder with one point", STAGE_NAMES[1])
PROMPTS = Case("decoder with 16 prompts in one call", STAGE_NAMES[1], prompts=16)
SLOTS = Case(f"decoder with {POINT_SLOTS} slots", STAGE_NAMES[1], slots=POINT_SLOTS)


@dataclass(frozen=True)
class Row:
    """One comparison."""

    model: str
    case: Case
    format: str
    against: str
    """`FAITHFUL`, `AUTHORS`, or what `without` gives."""
    target: float | None = None
    """What the number should reach; None where nothing was promised."""
    kind: str = TIME

    @property
    def what(self) -> str:
        """What is compared, in words."""
        if self.kind == CONVERSION:
            return f"conversion to {', '.join(CONVERTED)}"
        before = {MEMORY: "peak memory of the ", ACTIVATIONS: "peak activations by liveness of the "}
        return before.get(self.kind, "") + self.case.name

    @property
    def name(self) -> str:
        """In words; what ``--row`` looks into."""
        what = f"{self.model} {self.what}"
        return what if self.kind == CONVERSION else f"{what} {self.format} vs {self.against}"

    @property
    def baseline_format(self) -> str:
        """Of the file that it is compared with."""
        return "onnx" if self.against == AUTHORS else self.format


def without(rewrite: str) -> str:
    """The file of all rewrites but one."""
    return f"{_WITHOUT}{rewrite}"


def left_out(subject: str) -> tuple[str, ...]:
    """The rewrite that a file goes without, by its name; none of any other file."""
    return (subject.removeprefix(_WITHOUT),) if subject.startswith(_WITHOUT) else ()


def _encoder(model: str, onnx: float, tflite: float) -> tuple[Row, ...]:
    return (
        Row(model, ENCODER, "onnx", AUTHORS, onnx),
        Row(model, ENCODER, "onnx", FAITHFUL),
        Row(model, ENCODER, "tflite", AUTHORS, tflite),
        Row(model, ENCODER, "tflite", FAITHFUL),
    )


_MOBILE_SAM = (
    *_encoder("mobile_sam", 1.25, 1.4),
    Row("mobile_sam", POINT, "onnx", AUTHORS, 2.1),
    Row("mobile_sam", POINT, "onnx", FAITHFUL),
    Row("mobile_sam", PROMPTS, "onnx", FAITHFUL, 2.2),
    Row("mobile_sam", SLOTS, "onnx", FAITHFUL, 1.7),
    Row("mobile_sam", SLOTS, "tflite", FAITHFUL, 1.7),
    Row("mobile_sam", ENCODER, "onnx", AUTHORS, 0.7, ACTIVATIONS),
    Row("mobile_sam", ENCODER, "onnx", FAITHFUL, 0.7, ACTIVATIONS),
    Row("mobile_sam", ENCODER, "tflite", FAITHFUL, 0.7, ACTIVATIONS),
    Row("mobile_sam", ENCODER, "onnx", AUTHORS, 0.7, MEMORY),
    Row("mobile_sam", ENCODER, "onnx", FAITHFUL, 0.7, MEMORY),
    Row("mobile_sam", ENCODER, "tflite", FAITHFUL, 0.7, MEMORY),
    Row("mobile_sam", ENCODER, "", "", 45, CONVERSION),
)
ROWS = {"mobile_sam": _MOBILE_SAM, "repvit_sam": _encoder("repvit_sam", 1.18, 1.18)}
"""By model. RepViT-SAM has MobileSAM's decoder."""


def rows_of(models: Sequence[str], wanted: Sequence[str] = ()) -> list[Row]:
    """The rows of some models; of one that nothing was promised for, those of MobileSAM without their targets.

    Args:
        models: by name.
        wanted: parts of rows' names; nothing for all rows.

    Raises:
        UsageError: if a model is unknown or named twice, or no row has such a name.
    """
    if len(set(models)) < len(models):
        raise UsageError(f"a model is named twice: {', '.join(models)}")
    there = [row for model in models for row in _all_of(find_model(model).name)]
    found = [row for row in there if not wanted or any(part in row.name for part in wanted)]
    if not found:
        raise UsageError(f"no row is called {' or '.join(wanted)}; there are: {'; '.join(row.name for row in there)}")
    return found


def _all_of(model: str) -> tuple[Row, ...]:
    return ROWS.get(model) or tuple(replace(row, model=model, target=None) for row in _MOBILE_SAM)
