"""Which stage a file is, judged by its inputs, and which of its tensors is which of the stage contract's."""

from collections.abc import Sequence

from lightsam.errors import CheckpointError
from lightsam.modeling.image_encoder import FeatureMap

from .graph import Graph, TensorInfo

PROMPT_INPUTS = ("point_coords", "point_labels", "mask_input", "has_mask_input", "orig_im_size")
"""As segment-anything's export script calls them."""


def decoder_inputs(graph: Graph, maps: Sequence[FeatureMap]) -> dict[str, TensorInfo]:
    """The file's inputs by the names of the stage contract; by their shapes where they are called otherwise.

    Args:
        graph: of the file.
        maps: what the decoder gets of the encoder.

    Raises:
        CheckpointError: if the file is no mask decoder.
    """
    names = {one.name: one for one in maps}
    found: dict[str, TensorInfo] = {}
    for info in graph.inputs:
        shape = info.shape
        free = (one.name for one in maps if one.name not in found and one.channels in shape[1:2])
        by_shape = {
            3: "point_coords",
            2: "point_labels",
            4: next(free, "mask_input"),
            1: "has_mask_input" if shape[:1] == (1,) else "orig_im_size",
        }
        known = info.name in names or info.name in PROMPT_INPUTS
        found[info.name if known else by_shape.get(len(shape), info.name)] = info
    required = {*names, "point_coords", "point_labels"}
    if not required <= set(found) <= required | set(PROMPT_INPUTS):
        raise CheckpointError(f"{graph.path} is no mask decoder: its inputs are {_listed(graph)}")
    return found


def _listed(graph: Graph) -> str:
    return ", ".join(info.name for info in graph.inputs)


def check_roles(encoder: Graph, decoder: Graph, maps: Sequence[FeatureMap]) -> None:
    """Refuse files that are swapped, and files that are no encoder or no decoder.

    Raises:
        CheckpointError: saying which of these it is.
    """
    looks = [_looks_like_decoder(graph, maps) for graph in (encoder, decoder)]
    if looks == [True, False]:
        raise CheckpointError(
            f"{encoder.path} is a mask decoder and {decoder.path} is none: give the encoder first, then the decoder"
        )
    if looks[0] or len(encoder.inputs) != 1:
        raise CheckpointError(f"{encoder.path} is no image encoder: its inputs are {_listed(encoder)}")
    decoder_inputs(decoder, maps)


def _looks_like_decoder(graph: Graph, maps: Sequence[FeatureMap]) -> bool:
    try:
        decoder_inputs(graph, maps)
    except CheckpointError:
        return False
    return True


def image_size(encoder: Graph, decoder: Graph, maps: Sequence[FeatureMap]) -> int | None:
    """The image size, in pixels, that both were exported for; None if they leave it open.

    Raises:
        CheckpointError: if they were exported for two sizes.
    """
    sides = {side for side in encoder.inputs[0].shape[-3:] if side is not None and side > 4}
    inputs = decoder_inputs(decoder, maps)
    grids = {one: inputs[one.name].shape[-1] for one in maps}
    sides |= {grid * one.stride for one, grid in grids.items() if grid is not None}
    if len(sides) > 1:
        found = " and ".join(map(str, sorted(sides)))
        raise CheckpointError(f"{encoder.path} and {decoder.path} are for image sizes of {found} pixels: not a pair")
    return sides.pop() if sides else None
