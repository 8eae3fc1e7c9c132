"""float16 inside, float32 at the interface: for formats whose converter does not choose dtypes itself."""

from typing import Any

import torch
from torch import Tensor, nn

from lightsam.modeling.common import LayerNorm2d
from lightsam.stages import Stage

_HEAVY_PARTS = ("image_encoder", "mask_decoder")
"""What becomes float16: all but the normalisation of the image and the encoding of the prompt, which are cheap and
lose by it. A coordinate of 1000.5 is 1000 or 1001 in float16, and a sine of a large angle loses its phase."""


class _InFloat16(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.half()
        for parent in list(module.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, LayerNorm2d):
                    setattr(parent, name, _InFloat32(child))

    def forward(self, *inputs: Tensor | None) -> Any:
        outputs = self.module(*(None if tensor is None else tensor.half() for tensor in inputs))
        return tuple(o.float() for o in outputs) if isinstance(outputs, tuple) else outputs.float()


class _InFloat32(nn.Module):
    """A norm that squares its input: in float16 that overflows above 255."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.float()).to(x.dtype)


@torch.no_grad()
def to_float16(stage: Stage) -> Stage:
    """Let the heavy part of a folded stage compute in float16, in place; inputs and outputs stay float32."""
    for parent in list(stage.module.modules()):
        for name, child in list(parent.named_children()):
            if name in _HEAVY_PARTS:
                setattr(parent, name, _InFloat16(child))
    return stage
