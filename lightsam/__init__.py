"""lightsam: light Segment Anything models, from a checkpoint to phones, laptops and browsers.

The public names are below; importing the package costs nothing until one of them is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lightsam.version import __version__ as __version__

if TYPE_CHECKING:
    from lightsam.encoding import Encoding
    from lightsam.errors import LightSamError
    from lightsam.everything import Everything, FoundMask
    from lightsam.models import MODELS
    from lightsam.predictor import Prediction, Predictor
    from lightsam.prompts import Prompt
    from lightsam.stages import Stage, Stages, TensorSpec, split
    from lightsam.weights.checkpoints import load_model
    from lightsam.weights.loaded import LoadedModel, Weights

_HOMES = {
    "Prediction": "predictor",
    "Encoding": "encoding",
    "Everything": "everything",
    "FoundMask": "everything",
    "LightSamError": "errors",
    "LoadedModel": "weights.loaded",
    "MODELS": "models",
    "Predictor": "predictor",
    "Prompt": "prompts",
    "Stage": "stages",
    "Stages": "stages",
    "TensorSpec": "stages",
    "Weights": "weights.loaded",
    "load_model": "weights.checkpoints",
    "split": "stages",
}
__all__ = [
    "MODELS",
    "Prediction",
    "Encoding",
    "Everything",
    "FoundMask",
    "LightSamError",
    "LoadedModel",
    "Predictor",
    "Prompt",
    "Stage",
    "Stages",
    "TensorSpec",
    "Weights",
    "load_model",
    "split",
]


def __getattr__(name: str) -> Any:
    # PEP 562: torch takes a second or two to import, and `lightsam --help` must not wait for it.
    if name in _HOMES:
        return getattr(import_module(f"lightsam.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lightsam' has no attribute {name!r}")
