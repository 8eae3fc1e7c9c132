"""Modules in the place of others, by type."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

Builders = Mapping[type[nn.Module], Callable[[Any], nn.Module]]
"""By the type that is replaced, exactly: what builds another module from its weights; it may give the same one."""


def replace_modules(module: nn.Module, builders: Builders) -> nn.Module | None:
    """Put others in the place of parts of ``module``, which stays as it is otherwise.

    Args:
        module: changed in place.
        builders: of parts; what is inside a part is the builder's own business.

    Returns:
        The module, or None where it has no such part.
    """
    found = False
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            builder = builders.get(type(child))
            if builder is not None:
                built = builder(child)
                found = found or built is not child
                setattr(parent, name, built.eval())
    return module if found else None


def take_over(module: nn.Module, faithful: nn.Module) -> None:
    """Give ``module`` the parts and the tensors of another."""
    nn.Module.__init__(module)
    module.__dict__.update({name: value for name, value in faithful.__dict__.items() if not name.startswith("_")})
    for name, part in faithful.named_children():
        setattr(module, name, part)
