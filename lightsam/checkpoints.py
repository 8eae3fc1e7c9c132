"""From a checkpoint, or from nothing but a seed, to a model with weights."""

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightsam import seeded
from lightsam.errors import CheckpointError
from lightsam.modeling.sam import Sam
from lightsam.models import ModelCard, find_model

log = logging.getLogger("lightsam")

WRAPPERS = ("model", "state_dict")
"""Keys under which training scripts put the state dict."""
_TIMEOUTS = (5, 60)
"""Seconds to connect, and between two pieces of a download."""
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
    state = dict(content)
    if all(name.startswith("module.") for name in state):  # saved from DataParallel
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
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


def cache_path(card: ModelCard) -> Path:
    """Where the published checkpoint is kept; the folder can be set with LIGHTSAM_CACHE."""
    import pooch

    folder = Path(os.environ.get("LIGHTSAM_CACHE") or pooch.os_cache("lightsam"))
    return folder / f"{card.name}.pt"


def cached(card: ModelCard) -> bool:
    """Whether the published checkpoint is there."""
    return cache_path(card).is_file()


def download(card: ModelCard) -> Path:
    """The published checkpoint, from the cache or from its source.

    Raises:
        CheckpointError: if it can neither be found nor fetched, or its sha256 is not the published one.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    path, url = cache_path(card), card.checkpoint.url
    try:
        return Path(
            pooch.retrieve(
                url,
                known_hash=card.checkpoint.sha256,
                fname=path.name,
                path=path.parent,
                downloader=pooch.HTTPDownloader(timeout=_TIMEOUTS),
            )
        )
    except requests.ConnectionError as error:
        raise CheckpointError(f"the checkpoint of {card.name} cannot be had: {url} cannot be reached") from error
    except (requests.RequestException, OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"the checkpoint of {card.name} cannot be had from {url} ({reason})") from error


def load_model(name: str, *, weights: str | Path = "auto", image_size: int | None = None) -> Sam:
    """Build a model and give it weights.

    Args:
        name: as in `MODELS`.
        weights: "official" (the published checkpoint, from the cache or downloaded), "seeded" (well-conditioned
            random weights), "auto" (official, and seeded with a loud warning where that cannot be had), or the path
            of a checkpoint.
        image_size: side of the square input, in pixels; None for the model's own.

    Returns:
        The model in evaluation mode, with ``weights`` set.

    Raises:
        UsageError: for an unknown model or an image size that it does not allow.
        CheckpointError: for weights that cannot be had or do not fit.
    """
    card = find_model(name)
    model = card.build(card.resolve_image_size(image_size)).eval()
    chosen = str(weights)
    path: Path | None = None
    if chosen in ("auto", "official"):
        try:
            path, chosen = download(card), "official"
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
        load_state(model, read_state_dict(path), str(path), card.name)
    model.weights = Weights(chosen, digest(model.state_dict()), trained=path is not None)
    return model
