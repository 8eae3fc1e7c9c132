"""Which stage a file is, judged by its inputs."""

from lightsam.errors import CheckpointError
from lightsam.modeling.image_encoder import SAM_EMBEDDINGS

from .graph import Graph, TensorInfo

INPUTS = ("image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input", "orig_im_size")
"""As segment-anything's export script calls them."""


def decoder_inputs(graph: Graph) -> dict[str, TensorInfo]:
    """The file's inputs by the names that segment-anything gives them; by their shapes where they are called otherwise.

    Raises:
        CheckpointError: if the file is no mask decoder.
    """
    found: dict[str, TensorInfo] = {}
    for info in graph.inputs:
        shape = info.shape
        by_shape = {
            3: "point_coords",
            2: "point_labels",
            4: "image_embeddings" if SAM_EMBEDDINGS.channels in shape[1:2] else "mask_input",
            1: "has_mask_input" if shape[:1] == (1,) else "orig_im_size",
        }
        found[info.name if info.name in INPUTS else by_shape.get(len(shape), info.name)] = info
    missing = {"image_embeddings", "point_coords", "point_labels"} - set(found)
    if missing:
        names = ", ".join(info.name for info in graph.inputs)
        raise CheckpointError(f"{graph.path} is no mask decoder: its inputs are {names}")
    return found


def check_roles(encoder: Graph, decoder: Graph) -> None:
    """Refuse files that are swapped, and files that are no encoder or no decoder.

    Raises:
        CheckpointError: saying which of these it is.
    """
    looks = [_looks_like_decoder(graph) for graph in (encoder, decoder)]
    if looks == [True, False]:
        raise CheckpointError(
            f"{encoder.path} is a mask decoder and {decoder.path} is none: give the encoder first, then the decoder"
        )
    if looks[0] or len(encoder.inputs) != 1:
        names = ", ".join(info.name for info in encoder.inputs)
        raise CheckpointError(f"{encoder.path} is no image encoder: its inputs are {names}")
    decoder_inputs(decoder)


def _looks_like_decoder(graph: Graph) -> bool:
    try:
        decoder_inputs(graph)
    except CheckpointError:
        return False
    return True


def image_size(encoder: Graph, decoder: Graph) -> int | None:
    """The image size, in pixels, that both were exported for; None if they leave it open.

    Raises:
        CheckpointError: if they were exported for two sizes.
    """
    sides = {side for side in encoder.inputs[0].shape[-3:] if side is not None and side > 4}
    grid = decoder_inputs(decoder)["image_embeddings"].shape[-1]
    if grid is not None:
        sides.add(grid * SAM_EMBEDDINGS.stride)
    if len(sides) > 1:
        found = " and ".join(map(str, sorted(sides)))
        raise CheckpointError(f"{encoder.path} and {decoder.path} are for image sizes of {found} pixels: not a pair")
    return sides.pop() if sides else None
