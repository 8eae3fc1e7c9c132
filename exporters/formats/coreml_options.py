"""What can be asked of a Core ML package, and what the words mean."""

from dataclasses import dataclass

from lightsam.errors import UsageError

from .options import AUTO, Options, decoder_precision, option, point_slots, precision
from .quiet import import_quietly

OLDEST_TARGET = "iOS16"
"""The first whose programs take and return float16 arrays."""
SAFE = "float16-safe"
"""Precision in which what float16 cannot hold stays in float32."""
W8, W8A8, MIXED = "w8", "w8a8", "mixed"
PALETTES = {"palette8": 8, "palette6": 6, "palette4": 4}
COMPRESSED = (W8, *PALETTES, W8A8, MIXED)
_INTEGER_TARGET = "iOS17"
"""The first whose programs can quantize activations."""


@dataclass(frozen=True, kw_only=True)
class CoreMLOptions(Options):
    """What can be asked of a package."""

    compressed = COMPRESSED
    calibrated = (SAFE, W8A8, MIXED)

    precision: str = precision("float16", "float32", SAFE, *COMPRESSED)
    decoder_precision: str = decoder_precision("float16", *COMPRESSED)
    point_slots: int | None = point_slots()
    minimum_deployment_target: str = option(
        AUTO, f"The oldest system that must run it; auto is {OLDEST_TARGET}, of w8a8 {_INTEGER_TARGET}."
    )
    image_input: str = option(
        "image", "image (8-bit RGB, a CVPixelBuffer) or tensor (float MLMultiArray).", choices=("image", "tensor")
    )
    float32_operations: tuple[str, ...] = ()
    """Of float16-safe: what stays in float32, as ``stage/operation``; found by the export itself."""
    activation_ranges: tuple[str, ...] = ()
    """Of w8a8: largest magnitudes of what is quantized, as ``stage/name=number``; found by the export itself."""
    max_loss: float = option(0.005, "Of mixed: mIoU that it may lose on the calibration images.", low=0, high=1)
    mixture: tuple[str, ...] = ()
    """Of mixed: bits of each weight, as ``stage/name=bits``; found by the export itself."""
    mixture_lost: str = ""
    """Of mixed: what was measured; found by the export itself."""

    def __post_init__(self) -> None:
        if self.minimum_deployment_target == AUTO:
            integers = W8A8 in (self.precision, self.decoder_precision)
            object.__setattr__(self, "minimum_deployment_target", _INTEGER_TARGET if integers else OLDEST_TARGET)
        super().__post_init__()

    def check(self) -> None:
        """Refuse a deployment target that the installed coremltools does not know."""
        targets = deployment_targets()
        if W8A8 in (self.precision, self.decoder_precision) and self.minimum_deployment_target == OLDEST_TARGET:
            raise UsageError(
                f"{W8A8} needs --minimum-deployment-target {_INTEGER_TARGET} or newer: {OLDEST_TARGET} cannot quantize "
                "activations"
            )
        if self.minimum_deployment_target not in targets:
            raise UsageError(
                f"there is no minimum deployment target {self.minimum_deployment_target!r}; choose from: "
                f"{', '.join(targets)}"
            )


def deployment_targets() -> list[str]:
    """Names of the minimum deployment targets that the installed coremltools knows, oldest first."""
    coremltools = import_quietly("coremltools")
    names = [target.name for target in coremltools.target]
    return names[names.index(OLDEST_TARGET) :]


def one_table(target: str) -> bool:
    """Whether a deployment target knows one table a weight alone, and none a group of channels."""
    targets = deployment_targets()
    return "iOS18" not in targets or targets.index(target) < targets.index("iOS18")
