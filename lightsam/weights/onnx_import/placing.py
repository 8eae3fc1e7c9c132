"""Which operation of a file is which layer of the model."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from lightsam.errors import CheckpointError

from .graph import Graph
from .slots import Slot, UndoError
from .uses import Use

log = logging.getLogger("lightsam")

_LAYERS = {"conv", "deconv", "linear", "norm", "batchnorm", "label"}
"""Kinds of which none may be left over; other constants are masks, coordinates and the like."""
NAMED_AT_MOST = 4
"""Names in a message before it counts the rest; the exception carries all."""


class PlacingError(CheckpointError):
    """Files that are not of the model; carries every tensor that was not found, and every layer that has no place."""

    def __init__(self, origin: str, model: str, missing: Sequence[str], unplaced: Sequence[str]) -> None:
        self.missing, self.unplaced = tuple(missing), tuple(unplaced)
        parts = [
            f"{len(names)} {what} ({', '.join(names[:NAMED_AT_MOST])}{', ...' if len(names) > NAMED_AT_MOST else ''})"
            for names, what in (
                (self.missing, "tensors of the checkpoint are not in the file"),
                (self.unplaced, f"layers of the file have no place in {model}"),
            )
            if names
        ]
        for name in self.missing:
            log.debug("not in %s: %s", origin, name)
        for name in self.unplaced:
            log.debug("no place in %s for: %s", model, name)
        every = ". lightsam --verbose names every one" if max(map(len, (missing, unplaced))) > NAMED_AT_MOST else ""
        super().__init__(f"{origin} cannot be imported as {model}: {'; '.join(parts)}{every}")


@dataclass
class Placement:
    """What was found, and what was not."""

    state: dict[str, Tensor] = field(default_factory=dict)
    uses: dict[str, Use] = field(default_factory=dict)
    """By the name of the module."""
    missing: list[str] = field(default_factory=list)
    """Keys of the checkpoint."""
    unplaced: list[str] = field(default_factory=list)
    """Operations with weights."""
    constants: list[str] = field(default_factory=list)
    """Other constants that nothing was taken from."""
    remarks: list[str] = field(default_factory=list)
    """What a user should know of tensors that did not come back as they were."""

    @property
    def faults(self) -> int:
        """How much does not fit."""
        return len(self.missing) + len(self.unplaced)


def place(
    slots: Sequence[Slot], uses: Sequence[Use], graph: Graph, renamed: Callable[[str], str] = lambda name: name
) -> Placement:
    """Give every slot its operation.

    An initializer that is still called as in the checkpoint says which layer uses it. All others are taken in order of
    execution: the first layer of a kind and shape gets the first operation of that kind and shape. That the order was
    right is proved afterwards, by running both.

    Args:
        slots: what the model expects.
        uses: what the file has.
        graph: the file.
        renamed: a published name to the model's own.

    Raises:
        UndoError: if a table is not what looking up a parameter gives.
    """
    chosen = _by_name(slots, uses, graph, renamed)
    free = [use for use in uses if not any(use is other for other in chosen.values())]
    placement = Placement()
    for index, slot in enumerate(slots):
        use = chosen.get(index) or next((use for use in free if slot.accepts(use)), None)
        if use is None:
            placement.missing += slot.keys
            continue
        free = [other for other in free if other is not use]
        try:
            restored = slot.restore(use)
        except UndoError as error:
            raise UndoError(f"{slot.name}, from {use.title}: {error}") from error
        placement.state |= {f"{slot.name}.{key}": tensor for key, tensor in restored.items()}
        placement.uses[slot.name] = use
        placement.remarks += [slot.remark] if slot.remark else []
    again = {name for use in placement.uses.values() for name in use.constants}
    for use in free:
        if use.kind not in _LAYERS:
            placement.constants.append(use.title)
        elif not again.issuperset(use.constants):  # one that is used twice is placed once
            placement.unplaced.append(use.title)
    return placement


def _by_name(slots: Sequence[Slot], uses: Sequence[Use], graph: Graph, renamed: Callable[[str], str]) -> dict[int, Use]:
    """The operations whose constants are still called as in the checkpoint, whatever stands before the name."""
    homes = {}
    for index, slot in enumerate(slots):
        for key in slot.keys:
            homes[key] = index
            homes[key.split(".", 1)[1]] = index  # a part of the model that was exported alone
    chosen: dict[int, Use] = {}
    for use in uses:
        for name in use.constants:
            parts = graph.origins.get(name, "").split(".")
            names = [".".join(parts[start:]) for start in range(len(parts) - 1)]
            found = (homes.get(name) for published in names for name in (published, renamed(published)))
            home = next((home for home in found if home is not None), None)
            if home is not None and home not in chosen and slots[home].accepts(use):
                chosen[home] = use
                break
    return chosen
