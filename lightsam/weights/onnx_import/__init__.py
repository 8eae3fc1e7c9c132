"""A checkpoint from ONNX files that others exported.

Such files have lost most names; BatchNorms are folded into convolutions, weights transposed, biases expanded. `graph`
reads a file, `roles` tells which stage it is, `uses` lists its operations with constants, `slots` lists the layers and
tables that the model expects, `placing` matches the two lists, and the two `proof`s compare the outputs.

`onnx` and `onnxruntime` are imported inside functions here, and nowhere else in this package.
"""

from collections.abc import Callable
from pathlib import Path

from lightsam.errors import CheckpointError, FormatUnavailableError, UsageError
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder
from lightsam.models import ModelCard

from . import save
from .decoder_proof import prove_decoder
from .encoder_proof import prove_encoder
from .graph import read_graph
from .imported import Imported
from .placing import PlacingError, place
from .proof import Agreement
from .roles import check_roles, image_size
from .slots import UndoError, expected
from .uses import read_uses

__all__ = ["STEPS", "Agreement", "Imported", "PlacingError", "import_onnx", "save"]

STEPS = 6
"""How often `import_onnx` reports a step."""


def import_onnx(
    encoder: Path, decoder: Path, card: ModelCard, on_step: Callable[[str], None] = lambda _: None
) -> Imported:
    """Read a checkpoint out of an image encoder and a mask decoder, and check that its outputs are theirs.

    Args:
        encoder: an ONNX file of the image encoder, float32, with or without its preprocessing.
        decoder: an ONNX file of prompt encoder and mask decoder, with segment-anything's inputs.
        card: of the model that they were exported from.
        on_step: called with the name of each step when it starts.

    Returns:
        The checkpoint, and how closely its outputs agree with those of the files.

    Raises:
        UsageError: for a model whose decoder is not SAM's.
        FormatUnavailableError: if onnx or onnxruntime is not installed.
        PlacingError: naming what is not in the files, and what in them is not the model's.
        CheckpointError: if a file is missing, damaged, quantized, or the proof fails.
    """
    skeleton = card.skeleton(card.native_size)
    if type(skeleton.prompt_encoder) is not PromptEncoder or type(skeleton.mask_decoder) is not MaskDecoder:
        raise UsageError(
            f"weights are imported from ONNX files for models with SAM's own decoder, which {card.name} has not: give "
            "its checkpoint with --weights PATH"
        )
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise FormatUnavailableError.for_extra("onnx", error.name) from error

    on_step(f"reading {encoder.name}")
    graphs = [read_graph(encoder)]
    on_step(f"reading {decoder.name}")
    graphs.append(read_graph(decoder))
    check_roles(*graphs)
    on_step(f"building {card.title}")
    model = card.build(card.resolve_image_size(image_size(*graphs))).eval()
    on_step("placing every tensor")
    placements = []
    for graph, is_decoder in zip(graphs, (False, True), strict=True):
        uses = read_uses(graph)
        try:
            tried = [
                place(expected(card, model, decoder=is_decoder, fused=fused), uses, graph) for fused in (False, True)
            ]
        except UndoError as error:
            raise CheckpointError(f"{graph.path} cannot be imported as {card.name}: {error}") from error
        placements.append(min(tried, key=lambda placement: placement.faults))
        if placements[-1].faults:
            raise PlacingError(str(graph.path), card.name, placements[-1].missing, placements[-1].unplaced)
    state = placements[0].state | placements[1].state
    never_run = tuple(key for key in model.state_dict() if key not in state)
    model.load_state_dict(state, strict=False)
    on_step("running both encoders on a photograph")
    agreement, convention, embeddings = prove_encoder(graphs[0], model)
    on_step("running both decoders on prompts")
    agreements = (agreement, *prove_decoder(graphs[1], model, placements[1], embeddings))
    constants = tuple(name for placement in placements for name in placement.constants)
    return Imported(state, agreements, convention, never_run, constants)
