"""Where a file comes from: written into its own metadata, so that it can be told apart without anything beside it."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lightsam.errors import ContractError
from lightsam.models import ModelCard
from lightsam.stages import CONTRACT_VERSION
from lightsam.version import __version__
from lightsam.weights.checkpoints import Weights

_DYNAMIC = "dynamic"


def check_contract(version: str, origin: str) -> None:
    """Refuse a file whose tensors another release of lightsam gave their meaning.

    Raises:
        ContractError: if it is of another version of the stage contract.
    """
    if version != CONTRACT_VERSION:
        raise ContractError(
            f"{origin} is of version {version} of the stage contract, and this lightsam reads version "
            f"{CONTRACT_VERSION}: export it again"
        )


@dataclass(frozen=True)
class Provenance:
    """Where a file comes from."""

    model: str
    """Name as on the command line."""
    image_size: int
    """Side of the square input, in pixels."""
    point_slots: int | None
    """Prompt slots of a decoder with static shapes; None for a dynamic one."""
    license: str
    """Of the weights: an SPDX identifier, ``NOASSERTION`` where nobody stated one."""
    license_url: str
    """Of its text."""
    license_note: str
    """What the identifier does not say."""
    commercial_use: bool
    """Whether the license allows it, as far as it is known."""
    paper: str
    """That introduced the model."""
    source: str
    """The authors' repository."""
    weights: str
    """Of the set ("official", say), "seeded", or the name of the user's file."""
    weights_sha256: str
    """Of the float32 tensors by name: the same weights have the same digest in whatever file they come."""
    weights_authors: str
    """Whose they are."""
    trained: bool
    """False for seeded weights, whose masks mean nothing."""
    contract_version: str = CONTRACT_VERSION
    """Of the stage contract."""
    lightsam_version: str = __version__
    """That made the file."""

    @classmethod
    def of(cls, card: ModelCard, image_size: int, point_slots: int | None, weights: Weights) -> "Provenance":
        return cls(
            model=card.name,
            image_size=image_size,
            point_slots=point_slots,
            license=weights.license,
            license_url=weights.license_url,
            license_note=weights.license_note,
            commercial_use=weights.commercial_use,
            paper=card.paper,
            source=card.source,
            weights=weights.name,
            weights_sha256=weights.sha256,
            weights_authors=weights.authors,
            trained=weights.trained,
        )

    @property
    def weights_used(self) -> Weights:
        """What the weights are."""
        return Weights(
            name=self.weights,
            sha256=self.weights_sha256,
            trained=self.trained,
            authors=self.weights_authors,
            license=self.license,
            license_url=self.license_url,
            license_note=self.license_note,
            commercial_use=self.commercial_use,
        )

    @property
    def pairing_id(self) -> str:
        """What an encoder and a decoder must share to be used together, in any format and precision."""
        facts = (self.model, self.image_size, self.weights_sha256, self.contract_version)
        return hashlib.sha256("|".join(map(str, facts)).encode()).hexdigest()[:16]

    @property
    def license_line(self) -> str:
        """The license in one line."""
        return self.weights_used.license_line

    @property
    def author(self) -> str:
        """Who made it, in one line."""
        weights = (
            f"; weights: {self.weights}, by {self.weights_authors}" if self.trained and self.weights_authors else ""
        )
        return f"{self.source}{weights}; exported by lightsam {self.lightsam_version}"

    @property
    def headline(self) -> str:
        """One line for a model viewer."""
        warning = "" if self.trained else " UNTRAINED: seeded random weights, for testing the conversion only."
        return f"{self.model} at {self.image_size} x {self.image_size}.{warning}"

    def metadata(self) -> dict[str, str]:
        """Flat strings, as every format's own metadata can hold them."""
        facts = {
            key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in asdict(self).items()
        }
        if self.point_slots is None:
            facts["point_slots"] = _DYNAMIC
        return {**facts, "pairing_id": self.pairing_id}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], origin: str) -> "Provenance":
        """Read back what `metadata` gave.

        Raises:
            ContractError: if a fact is missing or the pairing id is not that of the facts.
        """
        try:
            facts: dict[str, Any] = {name: metadata[name] for name in cls.__dataclass_fields__}
            slots = facts["point_slots"]
            facts.update(image_size=int(facts["image_size"]), point_slots=None if slots == _DYNAMIC else int(slots))
            facts.update({name: facts[name] == "true" for name in ("trained", "commercial_use")})
            provenance = cls(**facts)
            check_contract(provenance.contract_version, origin)
            if metadata["pairing_id"] != provenance.pairing_id:
                raise ContractError(f"{origin} has a pairing id that is not that of its own metadata")
        except (KeyError, ValueError) as error:
            if isinstance(error, ContractError):
                raise
            raise ContractError(f"{origin} was not exported by lightsam: its metadata lacks {error}") from error
        return provenance
