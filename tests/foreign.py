"""ONNX files as others export them: PyTorch's older exporter, segment-anything's six inputs."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.modeling.sam import Sam
from lightsam.models.edge_sam import BicubicDoubling
from lightsam.models.sam_vit import ViT, WindowAttention

NAMES = ("image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input", "orig_im_size")


def _biases(self: WindowAttention, q: Tensor) -> tuple[Tensor, Tensor]:
    """Relative positions as segment-anything computes them: tables by the query's and the key's place, then einsum."""
    q = q.unflatten(1, (self.window, self.window))
    rows = torch.einsum("nyxc,ykc->nyxk", q, self.rel_pos_h[self.distances])
    columns = torch.einsum("nyxc,xkc->nyxk", q, self.rel_pos_w[self.distances])
    return rows.flatten(1, 2)[:, :, :, None], columns.flatten(1, 2)[:, :, None, :]


@contextmanager
def as_upstream() -> Iterator[None]:
    """Models with what their authors' code computes in another way; their exports enlarge EdgeSAM's bilinearly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WindowAttention, "_biases", _biases)
        patch.setattr(ViT, "_positions", lambda model: model.pos_embed)  # of its own size: nothing to resample
        patch.setattr(BicubicDoubling, "forward", lambda _, x: F.interpolate(x, scale_factor=2.0, mode="bilinear"))
        yield


class WithPreprocessing(nn.Module):
    """(height, width, 3) pixels 0..255, normalised and padded inside."""

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.image_encoder, self.preprocess = model.image_encoder, model.preprocess

    def forward(self, image: Tensor) -> Tensor:
        size = self.preprocess.image_size
        x = (image - torch.tensor(self.preprocess.mean)) / torch.tensor(self.preprocess.std)
        x = x.permute(2, 0, 1)
        return self.image_encoder(F.pad(x, (0, size - x.shape[2], 0, size - x.shape[1]))[None])


class Decoder(nn.Module):
    """All four masks, or the one that segment-anything picks: the best of three for few points, else the first."""

    def __init__(self, model: Sam, *, single: bool) -> None:
        super().__init__()
        self.decoder, self.size, self.single = model.decoder_graph(), model.image_size, single

    def forward(self, *values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        masks, scores = self.decoder(*values[:5])
        if self.single:
            bonus = torch.tensor([[1000.0, 0, 0, 0]]) * (values[1].shape[1] - 2.5)
            best = (scores + bonus).argmax(1)
            masks, scores = masks[:, best], scores[:, best]
        # What orig_im_size is for is not what is tested.
        return F.interpolate(masks, (self.size, self.size)) + 0 * values[5].sum(), scores, masks


class Sam2Decoder(nn.Module):
    """Masks 1 to 3, cut off, and no object score; the padding point is put behind those of a prompt inside.

    As https://github.com/vietanhdev/samexporter exports SAM 2. It cuts off at 32, which drawn masks never reach.
    """

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.decoder = model.decoder_graph()

    def forward(self, *values: Tensor) -> tuple[Tensor, Tensor]:
        *features, points, labels, mask, has_mask = values
        points, labels = F.pad(points, (0, 0, 0, 1)), F.pad(labels, (0, 1), value=-1.0)
        masks, scores, _ = self.decoder(*features, points, labels, mask, has_mask)
        return masks[:, 1:].clamp(-0.1, 0.1), scores[:, 1:]


SAM2_NAMES = ("image_embed", "high_res_feats_0", "high_res_feats_1")


def export_sam2(model: Sam, folder: Path, *, opset: int = 17, folding: bool = True):
    """Write encoder and decoder of a model with three feature maps; returns their paths."""
    size, maps = model.image_size, model.image_encoder.feature_maps
    encoder, decoder = folder / "encoder.onnx", folder / "decoder.onnx"
    how = {"opset_version": opset, "do_constant_folding": folding}
    inputs = ["point_coords", "point_labels", "mask_input", "has_mask_input"]
    prompt = (torch.rand(1, 5, 2) * size, torch.tensor([[1.0, 0, 2, 3, -1]]))
    mask = (torch.randn(1, 1, size // 4, size // 4), torch.ones(1))
    trace(
        model.image_encoder,
        (torch.randn(1, 3, size, size),),
        encoder,
        input_names=["image"],
        output_names=list(SAM2_NAMES),
        **how,
    )
    trace(
        Sam2Decoder(model).eval(),
        (*(torch.randn(one.shape(size)) for one in maps), *prompt, *mask),
        decoder,
        input_names=[*SAM2_NAMES, *inputs],
        output_names=["masks", "iou_predictions"],
        dynamic_axes={"point_coords": {1: "points"}, "point_labels": {1: "points"}},
        **how,
    )
    return encoder, decoder


def as_ort(path: Path, level: str) -> Path:
    """An ONNX file as ONNX Runtime's own, optimized to a level, such as "EXTENDED", and for any CPU."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(path.with_suffix(".ort"))
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"], disabled_optimizers=["NchwcTransformer"]
    )
    return path.with_suffix(".ort")


def export(model: Sam, folder: Path, *, opset: int = 17, folding: bool = True, raw: bool = False, single: bool = False):
    """Write encoder and decoder; returns their paths."""
    if len(model.image_encoder.feature_maps) > 1:
        return export_sam2(model, folder, opset=opset, folding=folding)
    size, side = model.image_size, model.image_encoder.embeddings.side(model.image_size)
    encoder, decoder = folder / "encoder.onnx", folder / "decoder.onnx"
    image = torch.rand(size, size, 3) * 255 if raw else torch.randn(1, 3, size, size)
    prompts = (torch.rand(1, 5, 2) * size, torch.tensor([[1.0, 0, 2, 3, -1]]))
    mask = (torch.randn(1, 1, 4 * side, 4 * side), torch.ones(1), torch.tensor([float(size), size]))
    how = {"opset_version": opset, "do_constant_folding": folding}
    with as_upstream():
        trace(
            WithPreprocessing(model).eval() if raw else model.image_encoder,
            (image,),
            encoder,
            input_names=["image"],
            output_names=["image_embeddings"],
            dynamic_axes={"image": {0: "height", 1: "width"}} if raw else None,
            **how,
        )
        trace(
            Decoder(model, single=single).eval(),
            (torch.randn(1, 256, side, side), *prompts, *mask),
            decoder,
            input_names=list(NAMES),
            output_names=["masks", "iou_predictions", "low_res_masks"],
            dynamic_axes={"point_coords": {1: "points"}, "point_labels": {1: "points"}},
            **how,
        )
    return encoder, decoder


def trace(module: nn.Module, inputs: tuple[Tensor, ...], path: Path, **how) -> None:
    """Export with PyTorch's older exporter, which is what everybody's files were made with."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is deprecated, and that a trace is a trace
        torch.onnx.export(module, inputs, path, dynamo=False, **how)
