"""The registry: every module here with a ``CARD``, or with the ``CARDS`` of a family, found by itself."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from lightsam.errors import UsageError
from lightsam.models.card import ModelCard, WeightSet

__all__ = ["MODELS", "ModelCard", "WeightSet", "find_model", "find_weights"]


def _cards() -> Iterator[ModelCard]:
    for name in sorted(module.name for module in iter_modules(__path__)):
        module = import_module(f"{__name__}.{name}")
        if hasattr(module, "CARD"):
            yield module.CARD
        yield from getattr(module, "CARDS", ())


MODELS: dict[str, ModelCard] = {card.name: card for card in _cards()}
"""By name, in the order of the modules."""


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
