"""A checkpoint from ONNX files that others exported.

Such files have lost most names; BatchNorms are folded into convolutions, weights transposed, biases expanded. `graph`
reads a file, `roles` tells which stage it is, `uses` lists its operations with constants, `slots` lists the layers and
tables that the model expects, `placing` matches the two lists, and the two `proof`s compare the outputs.

`onnx` and `onnxruntime` are imported inside functions here, and nowhere else in this package.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from lightsam.errors import CheckpointError, FormatUnavailableError, UsageError
from lightsam.modeling.mask_decoder import DecoderOutput, MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder
from lightsam.modeling.sam import Sam
from lightsam.models import ModelCard
from lightsam.weights.state import own_name

from . import save
from .decoder_proof import prove_decoder
from .encoder_proof import prove_encoder
from .graph import Graph, read_graph
from .imported import Imported
from .placing import Placement, PlacingError, place
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
        encoder: an ONNX file of the image encoder, float32, with or without its preprocessing; or an .ort file.
        decoder: likewise of prompt encoder and mask decoder, with segment-anything's inputs, and more feature maps if
            the model has them.
        card: of the model that they were exported from.
        on_step: called with the name of each step when it starts.

    Returns:
        The checkpoint, and how closely its outputs agree with those of the files.

    Raises:
        UsageError: for a model whose decoder is neither SAM's nor SAM 2's.
        FormatUnavailableError: if onnx or onnxruntime is not installed.
        PlacingError: naming what is not in the files, and what in them is not the model's.
        CheckpointError: if a file is missing, damaged, quantized, or the proof fails.
    """
    skeleton = card.skeleton(card.native_size)
    if not isinstance(skeleton.prompt_encoder, PromptEncoder) or not isinstance(skeleton.mask_decoder, MaskDecoder):
        raise UsageError(
            f"weights are imported from ONNX files for models with SAM's or SAM 2's own decoder, which {card.name} has "
            "not: give its checkpoint with --weights PATH"
        )
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise FormatUnavailableError.for_extra("onnx", error.name) from error

    with TemporaryDirectory() as folder:
        on_step(f"reading {encoder.name}")
        graphs = [read_graph(encoder, Path(folder))]
        on_step(f"reading {decoder.name}")
        graphs.append(read_graph(decoder, Path(folder)))
        maps = skeleton.image_encoder.feature_maps
        check_roles(graphs[0], graphs[1], maps)
        on_step(f"building {card.title}")
        model = card.build(card.resolve_image_size(image_size(graphs[0], graphs[1], maps))).eval()
        on_step("placing every tensor")
        placements = [_placed(graphs[0], card, model, decoder=False), _placed(graphs[1], card, model, decoder=True)]
        lacking = tuple(one for one in model.mask_decoder.further_outputs if _lacks(placements[1], one))
        for one in lacking:
            model.mask_decoder.give_up(one)
        state = placements[0].state | placements[1].state
        never_run = tuple(key for key in model.state_dict() if key not in state)
        model.load_state_dict(state, strict=False)
        on_step("running both encoders on a photograph")
        agreements, convention, features = prove_encoder(graphs[0], model)
        on_step("running both decoders on prompts")
        further, pads_points = prove_decoder(graphs[1], model, placements[1], features)
    return Imported(
        state,
        (*agreements, *further),
        convention,
        pads_points,
        never_run,
        lacking=tuple(one.name for one in lacking),
        remarks=tuple(remark for placement in placements for remark in placement.remarks),
        constants=tuple(name for placement in placements for name in placement.constants),
    )


def _placed(graph: Graph, card: ModelCard, model: Sam, *, decoder: bool) -> Placement:
    """Every tensor of one stage, by the first of the forms that a file may have it in.

    Raises:
        PlacingError: if none fits, with what does not in the form that fits best.
        CheckpointError: if what an exporter did cannot be undone.
    """
    uses = read_uses(graph)
    parts = tuple(f"mask_decoder.{one.part}" for one in model.mask_decoder.further_outputs if one.part)
    best: Placement | None = None
    for fused, summed, lacking in product((False, True), (False, True), ((), parts) if decoder and parts else ((),)):
        slots = expected(card, model, decoder=decoder, fused=fused, summed=summed, lacking=lacking)
        try:
            placement = place(slots, uses, graph, partial(own_name, card=card))
        except UndoError as error:
            raise CheckpointError(f"{graph.path} cannot be imported as {card.name}: {error}") from error
        best = placement if best is None or placement.faults < best.faults else best
        if not best.faults:
            return best
    assert best is not None
    raise PlacingError(str(graph.path), card.name, best.missing, best.unplaced)


def _lacks(placement: Placement, output: DecoderOutput) -> bool:
    """Whether a file does not hold the part that makes an output."""
    part = f"mask_decoder.{output.part}."
    return bool(output.part) and not any(key.startswith(part) for key in placement.state)
