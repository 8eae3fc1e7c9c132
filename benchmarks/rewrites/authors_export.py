"""Exports the authors' code as it is: ``python -m ... FOLDER PACKAGE KEY CHECKPOINT ENCODER.onnx DECODER.onnx``.

By torch.onnx's old exporter, which traces, as their scripts do; with constant folding. The decoder is the repository's
own ``SamOnnxModel`` with all its inputs, but gives its low-res masks alone: bringing them to the image's size is left
out, as our graph does not do it either.
"""

import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

OPSET = 17
_POINTS = 2


class _LowRes(nn.Module):
    """Their decoder without the last step."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, embeddings: Tensor, coords: Tensor, labels: Tensor, mask: Tensor, has_mask: Tensor) -> Any:
        size = torch.full((2,), 4.0 * mask.shape[-1])
        _, iou_predictions, low_res_masks = self.decoder(embeddings, coords, labels, mask, has_mask, size)
        return low_res_masks, iou_predictions


def _export(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], path: Path, **more: Any) -> None:
    torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=outputs,
        opset_version=OPSET,
        do_constant_folding=True,
        dynamo=False,
        **more,
    )


def _import(package: str) -> Any:
    """Import it, also beside a torchvision of another build than torch's, such as one for CUDA.

    That stops at operators that it cannot find. Nothing here calls them, so that to declare them is enough.
    """
    try:
        return import_module(package)
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "timm", package)]:
        del sys.modules[name]
    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return import_module(package)


def main(folder: str, package: str, key: str, checkpoint: str, encoder: str, decoder: str) -> None:
    """Load the package, give it the weights, and write both files."""
    sys.path.insert(0, folder)
    sam = _import(package).sam_model_registry[key]().eval()
    sam.load_state_dict(torch.load(checkpoint, weights_only=True))
    size = sam.image_encoder.img_size
    with torch.no_grad():
        image = torch.zeros(1, 3, size, size)
        _export(sam.image_encoder, {"image": image}, ["image_embeddings"], Path(encoder))
        model = import_module(f"{package}.utils.onnx").SamOnnxModel(sam, return_single_mask=False)
        embeddings = sam.image_encoder(image)
        side = 4 * embeddings.shape[-1]
        inputs = {
            "image_embeddings": embeddings,
            "point_coords": torch.rand(1, _POINTS, 2) * size,
            "point_labels": torch.tensor([[1.0, -1.0]]),
            "mask_input": torch.zeros(1, 1, side, side),
            "has_mask_input": torch.zeros(1),
        }
        points = {name: {1: "num_points"} for name in ("point_coords", "point_labels")}
        _export(_LowRes(model), inputs, ["low_res_masks", "iou_predictions"], Path(decoder), dynamic_axes=points)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
