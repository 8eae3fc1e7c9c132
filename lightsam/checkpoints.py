"""From a checkpoint, or from nothing but a seed, to a model with weights."""

import hashlib
import logging
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightsam import seeded
from lightsam.downloads import ProgressBar, download
from lightsam.errors import CheckpointError, LicenceError
from lightsam.modeling.sam import Sam
from lightsam.models import ModelCard, find_model

log = logging.getLogger("lightsam")

WRAPPERS = ("model", "state_dict")
"""Keys under which training scripts put the state dict."""
PREFIXES = ("module.", "image_encoder.")
"""Before every name: of a model saved from DataParallel, and of a SAM trained as another model's encoder."""
NAMED_AT_MOST = 8
"""Keys named in a message before it counts the rest; the exception carries all."""


@dataclass(frozen=True)
class Weights:
    """What a model's weights are."""

    name: str
    """"official", "seeded", or the file's name."""
    sha256: str
    """Of the float32 tensors, by name: the same weights have the same digest in whatever file they come."""
    trained: bool


class KeyMismatchError(CheckpointError):
    """A checkpoint whose keys are not the model's; carries every key that differs."""

    def __init__(
        self, origin: str, model: str, missing: list[str], unexpected: list[str], misshapen: list[str]
    ) -> None:
        self.missing, self.unexpected, self.misshapen = missing, unexpected, misshapen
        parts = [
            f"{len(names)} {what} ({', '.join(names[:NAMED_AT_MOST])}{', ...' if len(names) > NAMED_AT_MOST else ''})"
            for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
            if names
        ]
        super().__init__(f"{origin} is not a {model} checkpoint; keys: {', '.join(parts)}")


def digest(state: Mapping[str, Tensor]) -> str:
    """Sha256 of the floating-point tensors, in the order of their names."""
    sha256 = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name]
        if tensor.is_floating_point():  # counters of training steps do not count
            sha256.update(f"{name} {tuple(tensor.shape)}\n".encode())
            sha256.update(tensor.detach().to(torch.float32).contiguous().numpy().tobytes())
    return sha256.hexdigest()


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a ``.pt``/``.pth`` or ``.safetensors`` file on the CPU, without running any code in it.

    Raises:
        CheckpointError: if it is missing, damaged, or holds no state dict.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    # What torch and safetensors raise depends on where the damage is, down to an IndexError of the unpickler.
    except Exception as error:
        reason = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is damaged or not a checkpoint ({reason})") from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(f"{path} holds no state dict (tensors by name), nor one under {' or '.join(WRAPPERS)}")
    return dict(content)


def strip_prefixes(state: dict[str, Tensor], expected: Container[str]) -> dict[str, Tensor]:
    """Take away what training scripts put before every name.

    Only where it is unambiguous: every name has the prefix, and with it none is one of the model's.
    """
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state) and not any(name in expected for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def load_state(model: Sam, state: Mapping[str, Tensor], origin: str, name: str) -> None:
    """Load ``state`` into ``model``, strictly.

    Raises:
        KeyMismatchError: naming every missing, unexpected and misshapen key.
        CheckpointError: if a tensor holds NaN or infinity.
    """
    expected = model.state_dict()
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    misshapen = [
        f"{key} {tuple(state[key].shape)} for {tuple(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    if missing or unexpected or misshapen:
        raise KeyMismatchError(origin, name, missing, unexpected, misshapen)
    broken = [key for key, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise CheckpointError(f"{origin} holds NaN or infinity in {len(broken)} tensors, the first is {broken[0]}")
    model.load_state_dict(state, strict=True)


def check_licence(card: ModelCard, accept_license: bool) -> None:
    """Hold up whoever may not know that the weights are not for every use.

    Raises:
        LicenceError: for weights that may not be used commercially, unless that was accepted.
    """
    if not card.commercial_use and not accept_license:
        raise LicenceError(
            f"the weights of {card.name} are for non-commercial use only ({card.licence}, {card.licence_url}): give "
            "--accept-license if yours is (accept_license=True in Python), or take --weights seeded"
        )


def load_model(
    name: str,
    *,
    weights: str | Path = "auto",
    image_size: int | None = None,
    accept_license: bool = False,
    progress: ProgressBar | None = None,
) -> Sam:
    """Build a model and give it weights.

    Args:
        name: as in `MODELS`.
        weights: "official" (the published checkpoint, from the cache or downloaded), "seeded" (well-conditioned
            random weights), "auto" (official, and seeded with a loud warning where that cannot be had), or the path
            of a checkpoint.
        image_size: side of the square input, in pixels; None for the model's own.
        accept_license: needed for weights that are not for commercial use.
        progress: told of a download.

    Returns:
        The model in evaluation mode, with ``weights`` set.

    Raises:
        UsageError: for an unknown model or an image size that it does not allow.
        LicenceError: for weights whose licence must be accepted first.
        CheckpointError: for weights that cannot be had or do not fit.
    """
    card = find_model(name)
    if str(weights) != "seeded":
        check_licence(card, accept_license)
    model = card.build(card.resolve_image_size(image_size)).eval()
    chosen = str(weights)
    path: Path | None = None
    if chosen in ("auto", "official"):
        try:
            path, chosen = download(card, progress), "official"
        except CheckpointError as error:
            if chosen == "official":
                raise
            log.warning("%s. Going on with SEEDED, UNTRAINED weights: the masks will mean nothing.", error)
            chosen = "seeded"
    elif chosen != "seeded":
        path, chosen = Path(weights), Path(weights).name
    if path is None:
        seeded.fill(model, card.build)
    else:
        load_state(model, strip_prefixes(read_state_dict(path), model.state_dict()), str(path), card.name)
    model.weights = Weights(chosen, digest(model.state_dict()), trained=path is not None)
    return model
