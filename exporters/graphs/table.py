"""Which form of a graph a format gets."""

from collections.abc import Callable, Collection
from dataclasses import replace

from torch import nn

from lightsam.stages import Stage

from .absorbed import absorbed_projections
from .channels_first import channels_first
from .channels_last import heads_apart
from .decoder_rows import decoder_by_rows
from .gates import upsampled_gates
from .norms import norms_over_last_axis
from .rows import windows_by_rows
from .upscaling import shuffled_upscaling
from .widths import narrow_bottlenecks

Rewrite = Callable[[nn.Module], nn.Module | None]
"""Takes the module of a folded stage and may change it in place. Gives the module that takes its place, which may be
the same one, or None where there is nothing to rewrite."""

FORMS: dict[str, tuple[Rewrite, ...]] = {
    "coreml": (channels_first, narrow_bottlenecks, shuffled_upscaling),
    "onnx": (
        windows_by_rows,
        narrow_bottlenecks,
        norms_over_last_axis,
        upsampled_gates,
        decoder_by_rows,
        absorbed_projections,
    ),
    "tflite": (heads_apart, narrow_bottlenecks, decoder_by_rows),
}
"""By the name of a form, in the order in which they are applied; a form that is not here is the faithful graph."""


def rewritten(stage: Stage, form: str, *, without: Collection[str] = ()) -> Stage:
    """The graph of a stage that is exported in a form.

    Args:
        stage: as the contract has it; it stays as it is.
        form: a key of `FORMS`, or any other name for the faithful graph.
        without: names of rewrites to leave out.

    Returns:
        The stage, folded and rewritten; its specs are the same.
    """
    folded = stage.folded()
    module = folded.module
    for rewrite in FORMS.get(form, ()):
        if rewrite.__name__ not in without:
            module = rewrite(module) or module
    return replace(folded, module=module.eval())
