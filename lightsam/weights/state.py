"""State dicts: reading and writing them, and loading one into a model, strictly."""

import hashlib
import json
import logging
import re
import zipfile
from collections.abc import Container, Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from lightsam.errors import CheckpointError
from lightsam.modeling.sam import Sam
from lightsam.models.card import ModelCard

log = logging.getLogger("lightsam")

WRAPPERS = ("model", "state_dict")
"""Keys under which training scripts put the state dict."""
PREFIXES = ("module.", "image_encoder.")
"""Before every name: of a model saved from DataParallel, and of a SAM trained as another model's encoder."""
SAFETENSORS = ".safetensors"
SUFFIXES = (".pt", ".pth", SAFETENSORS)
"""Of checkpoints inside a zip."""
NAMED_AT_MOST = 8
"""Keys named in a message before it counts the rest; the exception carries all."""


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
    """Read a ``.pt``/``.pth`` or ``.safetensors`` file, or a zip that holds one, on the CPU; no code in it is run.

    Raises:
        CheckpointError: if it is missing, damaged, or holds no state dict.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        name, unzipped = _unzipped(path)
        if name.endswith(SAFETENSORS):
            from safetensors.torch import load, load_file

            content: Any = load_file(path) if unzipped is None else load(unzipped)
        else:
            file = path if unzipped is None else BytesIO(unzipped)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
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


def _unzipped(path: Path) -> tuple[str, bytes | None]:
    """Name and content of the checkpoint in a zip; of any other file the name alone.

    torch's own files are zips, too, but what they hold is pickles and raw numbers, and no checkpoints.
    """
    if not zipfile.is_zipfile(path):
        return path.name, None
    with zipfile.ZipFile(path) as archive:
        paths = {name: PurePosixPath(name) for name in archive.namelist()}
        # Zips made on a Mac have a file of metadata beside every file, whose name begins with "._".
        names = [name for name, one in paths.items() if one.suffix in SUFFIXES and not one.name.startswith("._")]
        if len(names) > 1:
            raise CheckpointError(f"{path} holds {len(names)} checkpoints ({', '.join(names)}): unpack it and give one")
        return (names[0], archive.read(names[0])) if names else (path.name, None)


def write_state_dict(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a ``.safetensors`` file: float32 tensors by name, and facts about them in its header.

    The facts are one JSON text: the order of several entries is not the same in any two runs.
    """
    from safetensors.torch import save_file

    facts = {"lightsam": json.dumps(dict(metadata), sort_keys=True)}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path, facts)


def strip_prefixes(state: dict[str, Tensor], expected: Container[str]) -> dict[str, Tensor]:
    """Remove the prefixes that training scripts put before every name.

    A prefix is removed only if every name has it and no name is already one of the model's.

    Args:
        state: as it was read.
        expected: the model's own names.
    """
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state) and not any(name in expected for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def to_model_names(state: Mapping[str, Tensor], card: ModelCard) -> dict[str, Tensor]:
    """Call the tensors of a published checkpoint as the model does, and leave out those of parts that it lacks.

    Args:
        state: by published names, or by the model's own, which stay as they are.
        card: says how names differ.
    """
    return {own_name(name, card): tensor for name, tensor in state.items() if not name.startswith(card.left_out)}


def own_name(name: str, card: ModelCard) -> str:
    """What the model calls a tensor of a published checkpoint."""
    for pattern, replacement in card.renamed.items():
        changed, count = re.subn(pattern, replacement, name)
        if count:
            return changed
    return name


def optional_keys(model: Sam) -> set[str]:
    """Names that a checkpoint may lack: counters of training steps, and layers that the model never runs."""
    counters = {name for name in model.state_dict() if name.endswith("num_batches_tracked")}
    unused = tuple(
        f"{name}.{part}." for name, module in model.named_modules() for part in getattr(module, "never_run", ())
    )
    return counters | {name for name in model.state_dict() if name.startswith(unused)}


def load_state(model: Sam, state: Mapping[str, Tensor], origin: str, name: str) -> None:
    """Load ``state`` into ``model``, strictly; floating-point tensors of any precision become float32.

    What `optional_keys` names and the checkpoint lacks becomes zero. A part that makes nothing but a further output of
    the decoder, and that the checkpoint lacks as a whole, is given up with its output, and a warning says so: zeros
    would look like an answer.

    Raises:
        KeyMismatchError: naming every missing, unexpected and misshapen key.
        CheckpointError: if a tensor holds NaN or infinity.
    """
    for output in model.mask_decoder.further_outputs:
        part = f"mask_decoder.{output.part}"
        if output.part and not any(key.startswith(f"{part}.") for key in state):
            log.warning("%s lacks %s: the decoder will not give %s", origin, part, output.name)
            model.mask_decoder.give_up(output)
    expected = model.state_dict()
    absent = {key: torch.zeros_like(expected[key]) for key in optional_keys(model) - set(state)}
    state = {**state, **absent}
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    misshapen = [
        f"{key} {tuple(state[key].shape)} for {tuple(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    if missing or unexpected or misshapen:
        raise KeyMismatchError(origin, name, missing, unexpected, misshapen)
    kinds = {key: tensor.dtype for key, tensor in state.items() if expected[key].is_floating_point()}
    integers = [key for key, dtype in kinds.items() if not dtype.is_floating_point]
    if integers:
        raise CheckpointError(
            f"{origin} holds {len(integers)} tensors of whole numbers where the model has fractions, the first is "
            f"{integers[0]} ({kinds[integers[0]]}): a quantized checkpoint cannot be loaded"
        )
    broken = [key for key, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise CheckpointError(f"{origin} holds NaN or infinity in {len(broken)} tensors, the first is {broken[0]}")
    model.load_state_dict(state, strict=True)
