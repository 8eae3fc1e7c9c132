"""From a checkpoint, or from nothing but a seed, to a model with weights."""

from dataclasses import dataclass
from pathlib import Path

from lightsam.modeling.sam import Sam
from lightsam.models import ModelCard, find_model

from . import seeded
from .downloads import ProgressBar
from .sources import SEEDED, TRAINED, Chosen, choose
from .state import digest, load_state, read_state_dict, strip_prefixes

UNKNOWN_LICENSE = "NOASSERTION"
"""SPDX's word for a license that nobody stated."""


@dataclass(frozen=True)
class Weights:
    """What a model's weights are, whose, and under which terms."""

    name: str
    """Of the set ("official", say), "seeded", or the file's name."""
    sha256: str
    """Of the float32 tensors, by name: the same weights have the same digest in whatever file they come."""
    trained: bool
    authors: str = ""
    """Whose they are."""
    license: str = UNKNOWN_LICENSE
    """SPDX identifier."""
    license_url: str = ""
    license_note: str = ""
    """What the identifier does not say."""
    commercial_use: bool = True
    """Whether the license allows it, as far as it is known."""

    @property
    def title(self) -> str:
        """What they are, whose and under which license, for the head of a table."""
        if not self.trained:
            return f"{self.name} weights, untrained"
        return ", ".join(filter(None, (f"weights {self.name}", self.authors, self.license)))

    @property
    def license_line(self) -> str:
        """The license in one line."""
        details = "; ".join(filter(None, (self.license_url, self.license_note)))
        return (
            self.license
            + (f" ({details})" if details else "")
            + ("" if self.commercial_use else ", non-commercial use only")
        )


def load_model(
    name: str,
    *,
    weights: str | Path = TRAINED,
    image_size: int | None = None,
    accept_license: bool = False,
    progress: ProgressBar | None = None,
) -> Sam:
    """Build a model and give it weights.

    Args:
        name: as in `MODELS`.
        weights: the name of one of the model's sets of trained weights, such as "official" (from the cache, or
            fetched); "trained" (the first of these sets that can be had); "seeded" (well-conditioned random weights);
            "auto" (trained, and seeded with a loud warning where nothing can be had); or the path of a checkpoint.
        image_size: side of the square input, in pixels; None for the model's own.
        accept_license: needed for weights that are not for commercial use.
        progress: told of a download.

    Returns:
        The model in evaluation mode, with ``weights`` set.

    Raises:
        UsageError: for an unknown model, an image size that it does not allow, or weights of a name that it lacks.
        LicenseError: for weights whose license must be accepted first.
        CheckpointUnavailableError: for weights that cannot be reached.
        CheckpointError: for weights that are damaged or do not fit.
    """
    card = find_model(name)
    size = card.resolve_image_size(image_size)
    chosen = choose(card, str(weights), accept_license, progress)
    model = card.build(size).eval()
    if chosen.path is None:
        seeded.fill(model, card.build)
    else:
        state = strip_prefixes(read_state_dict(chosen.path), model.state_dict())
        load_state(model, state, str(chosen.path), card.name)
    model.weights = _describe(card, chosen, digest(model.state_dict()))
    return model


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
