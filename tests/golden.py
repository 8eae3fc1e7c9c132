"""Outputs of the published implementations, on weights that are drawn from names.

``data/golden`` holds, per model: the keys of the published checkpoint, the BatchNorm statistics that go with the drawn
weights, and sampled outputs of the reference implementation on ``seeded.image(S, S)``. The draws are
``lightsam.weights.seeded.draw``: changing that makes every golden file worthless.
"""

import json
from pathlib import Path

import numpy as np
import torch

from lightsam.modeling.sam import Sam
from lightsam.models import MODELS
from lightsam.prompts import Prompt
from lightsam.weights import seeded

FOLDER = Path(__file__).parent / "data" / "golden"


def read(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def models() -> set[str]:
    """All that have the keys of their published checkpoint here."""
    return {path.name.removesuffix(".state_dict.json") for path in FOLDER.glob("*.state_dict.json")}


def records() -> set[str]:
    """Names of all recorded outputs: a model's, or that with an image size of its own behind it."""
    return {path.name.removesuffix(".golden.json") for path in FOLDER.glob("*.golden.json")}


def model_of(record: str) -> str:
    return max((model for model in models() if record.startswith(model)), key=len)


def encoder_samples(recorded: dict) -> dict[str, dict]:
    """By the name of the feature map."""
    samples = recorded["encoder"]
    return {"image_embeddings": samples} if "flat_index" in samples else samples


def load(model: str, image_size: int) -> Sam:
    """The model with the golden weights."""
    card = MODELS[model]
    sam = card.build(image_size).eval()
    state = seeded.state_dict(sam, card.damped)
    statistics = FOLDER / f"{model}.batchnorm.npz"
    if statistics.exists():
        with np.load(statistics) as arrays:
            state.update({name: torch.from_numpy(arrays[name]) for name in arrays})
    sam.load_state_dict(state, strict=True)
    return sam


def image(size: int) -> np.ndarray:
    return np.ascontiguousarray(seeded.image(size, size).transpose(2, 0, 1)[None], np.float32)


def mask_prompt(image_size: int) -> np.ndarray:
    """A soft disc, in absolute pixels of the low-res mask."""
    side = image_size // 4
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    return np.clip((3000 - ((x - 140) ** 2 + (y - 100) ** 2)) / 500, -8, 8)


def prompt(recorded: dict, image_size: int) -> Prompt:
    return Prompt(
        points=[tuple(point) for point in recorded.get("points", [[]])[0]],
        labels=recorded.get("labels", [[]])[0],
        box=tuple(recorded["box"][0]) if "box" in recorded else None,
        mask=mask_prompt(image_size) if recorded.get("mask") else None,
    )


def deviation(found: np.ndarray, recorded: dict) -> float:
    """Largest difference from the samples, in standard deviations of the output."""
    assert list(found.shape) == recorded["shape"]
    sampled = found.reshape(-1)[recorded["flat_index"]]
    return float(np.abs(sampled - np.array(recorded["value"])).max() / recorded["std"])
