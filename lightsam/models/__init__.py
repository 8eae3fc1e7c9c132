"""The registry: one file a model, one line here."""

from lightsam.errors import UsageError
from lightsam.models import edge_sam, mobile_sam, repvit_sam, sam_vit
from lightsam.models.card import Checkpoint, ModelCard

__all__ = ["MODELS", "Checkpoint", "ModelCard", "find_model"]

MODELS: dict[str, ModelCard] = {
    card.name: card
    for card in (
        mobile_sam.CARD,
        repvit_sam.CARD,
        edge_sam.CARD,
        *sam_vit.CARDS,
    )
}


def find_model(name: str) -> ModelCard:
    """The card of the model called ``name``.

    Raises:
        UsageError: if there is none; the message lists those that there are.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UsageError(f"there is no model {name!r}; the models are: {', '.join(MODELS)}") from None
