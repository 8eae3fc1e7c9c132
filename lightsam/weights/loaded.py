"""What `load_model` returns: a model, its card, and where its weights come from."""

from dataclasses import dataclass

from lightsam.modeling.sam import Sam
from lightsam.models.card import ModelCard

UNKNOWN_LICENSE = "NOASSERTION"
"""SPDX's word for a license that nobody stated."""


@dataclass(frozen=True)
class Weights:
    """What is known of a model's weights: identity, authors, license."""

    name: str
    """The name of a set, such as "official"; "seeded"; or the file's name."""
    sha256: str
    """Of the float32 tensors in the order of their names: the same weights have the same digest in any file."""
    trained: bool
    authors: str = ""
    """Who trained them."""
    license: str = UNKNOWN_LICENSE
    """SPDX identifier."""
    license_url: str = ""
    license_note: str = ""
    """What the identifier does not say."""
    commercial_use: bool = True
    """Whether the license allows it, as far as it is known."""

    @property
    def title(self) -> str:
        """Name, authors and license, for the head of a table."""
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


@dataclass(frozen=True)
class LoadedModel:
    """A model with weights, and what is known of both.

    ``weights`` describes the tensors that were loaded; whoever puts others into ``sam`` has another model.
    """

    sam: Sam
    """In evaluation mode, on the CPU."""
    card: ModelCard
    weights: Weights
