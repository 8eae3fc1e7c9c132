"""A checkpoint from ONNX files that others exported.

Names are gone from most of such a file, BatchNorms are folded into convolutions, weights transposed, biases expanded.
`graph` reads the file, `roles` says which stage it is, `uses` lists what it does with its constants, `slots` what the
model expects, `placing` brings the two together, and `proof` runs both.

`onnx` and `onnxruntime` are imported inside functions here, and nowhere else in this package.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lightsam.errors import CheckpointError, FormatUnavailableError
from lightsam.models import ModelCard

from . import save
from .decoder_proof import prove_decoder
from .encoder_proof import prove_encoder
from .graph import read_graph
from .placing import PlacingError, place
from .proof import Agreement
from .roles import check_roles, image_size
from .slots import UndoError, expected
from .uses import read_uses

__all__ = ["STEPS", "Agreement", "Imported", "PlacingError", "import_onnx", "save"]

STEPS = 6
"""How often `import_onnx` reports a step."""


@dataclass(frozen=True)
class Imported:
    """What two ONNX files hold of a model."""

    state: dict[str, Tensor]
    """The checkpoint, float32, without what no run of the model uses."""
    agreements: tuple[Agreement, ...]
    """The proof."""
    convention: str
    """How the encoder's file wants its image."""
    never_run: tuple[str, ...]
    """Keys of published checkpoints that are in no export, because nothing uses them."""
    constants: tuple[str, ...]
    """Constants of the files that nothing was taken from."""

    @property
    def worst_db(self) -> float:
        """PSNR of the output that agrees least."""
        return min(one.psnr_db for one in self.agreements)


def import_onnx(
    encoder: Path, decoder: Path, card: ModelCard, on_step: Callable[[str], None] = lambda _: None
) -> Imported:
    """Read a checkpoint out of an image encoder and a mask decoder, and prove that it answers as they do.

    Args:
        encoder: an ONNX file of the image encoder, float32, with or without its preprocessing.
        decoder: an ONNX file of prompt encoder and mask decoder, with segment-anything's inputs.
        card: of the model that they were exported from.
        on_step: told what begins.

    Raises:
        FormatUnavailableError: if onnx or onnxruntime is not installed.
        PlacingError: naming what is not in the files, and what in them is not the model's.
        CheckpointError: if a file is missing, damaged, quantized, or the proof fails.
    """
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
