"""Building a model and giving it weights: from a checkpoint, or drawn from a seed."""

from pathlib import Path

from lightsam.models import ModelCard, find_model

from . import seeded
from .downloads import ProgressBar
from .loaded import LoadedModel, Weights
from .sources import SEEDED, TRAINED, Chosen, choose
from .state import digest, load_state, read_state_dict, strip_prefixes, to_model_names

__all__ = ["LoadedModel", "Weights", "load_model"]


def load_model(
    name: str,
    *,
    weights: str | Path = TRAINED,
    image_size: int | None = None,
    accept_license: bool = False,
    progress: ProgressBar | None = None,
) -> LoadedModel:
    """Build a model and give it weights.

    Args:
        name: as in `MODELS`.
        weights: the name of one of the model's sets of trained weights, such as "official" (from the cache, or
            fetched); "trained" (the first of these sets that can be had); "seeded" (well-conditioned random weights);
            "auto" (trained, and seeded with a loud warning where nothing can be had); or the path of a checkpoint.
        image_size: side of the square input, in pixels; None for the model's own.
        accept_license: needed for weights that are not for commercial use.
        progress: called with what a download has fetched so far.

    Returns:
        The model in evaluation mode, its card, and whose its weights are.

    Raises:
        UsageError: for an unknown model, an image size that it does not allow, or weights of a name that it lacks.
        LicenseError: for weights whose license must be accepted first.
        CheckpointUnavailableError: for weights that cannot be reached.
        CheckpointError: for weights that are damaged or do not fit.
    """
    card = find_model(name)
    size = card.resolve_image_size(image_size)
    chosen = choose(card, str(weights), accept_license, progress)
    sam = card.build(size).eval()
    if chosen.path is None:
        seeded.fill(sam, card)
    else:
        state = to_model_names(strip_prefixes(read_state_dict(chosen.path), sam.state_dict()), card)
        load_state(sam, state, str(chosen.path), card.name)
    return LoadedModel(sam, card, _describe(card, chosen, digest(sam.state_dict())))


def _describe(card: ModelCard, chosen: Chosen, sha256: str) -> Weights:
    one = chosen.weights
    if one is not None:
        return Weights(
            one.name,
            sha256,
            trained=True,
            authors=one.authors,
            license=one.license,
            license_url=one.license_url,
            license_note=one.license_note,
            commercial_use=one.commercial_use,
        )
    if chosen.path is not None:
        note = "a checkpoint of the user's own"
        return Weights(chosen.path.name, sha256, trained=True, license_note=note, commercial_use=card.commercial_use)
    # The license of what the published weights would be: the file holds the authors' architecture all the same.
    return Weights(
        SEEDED,
        sha256,
        trained=False,
        authors="nobody: drawn at random",
        license=card.license,
        license_url=card.license_url,
        commercial_use=card.commercial_use,
    )
