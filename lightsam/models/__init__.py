"""The registry: one file a model, one line here."""

from lightsam.errors import UsageError
from lightsam.models import edge_sam, edge_tam, efficient_sam, mobile_sam, repvit_sam, sam2, sam_vit, tinysam
from lightsam.models.card import ModelCard, WeightSet

__all__ = ["MODELS", "ModelCard", "WeightSet", "find_model", "find_weights"]

MODELS: dict[str, ModelCard] = {
    card.name: card
    for card in (
        mobile_sam.CARD,
        repvit_sam.CARD,
        edge_sam.CARD,
        tinysam.CARD,
        *efficient_sam.CARDS,
        *sam_vit.CARDS,
        *sam2.CARDS,
        edge_tam.CARD,
    )
}


def find_weights(name: str) -> tuple[ModelCard, WeightSet]:
    """The set of weights called ``name``: a model's official one, or MODEL:SET.

    Raises:
        UsageError: if there is none; the message lists those that there are.
    """
    model, _, wanted = name.partition(":")
    card = find_model(model)
    found = card.find_weights(wanted) if wanted else card.official
    if found is None:
        names = ", ".join(one.name for one in card.weights)
        raise UsageError(f"{model} has no set of weights {wanted!r}; it has: {names}")
    return card, found


def find_model(name: str) -> ModelCard:
    """The card of the model called ``name``.

    Raises:
        UsageError: if there is none; the message lists those that there are.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UsageError(f"there is no model {name!r}; the models are: {', '.join(MODELS)}") from None
