"""The graphs that are exported: what the stages of lightsam.stages compute."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.modeling.sam import EMBEDDING_STRIDE, PADDING_COLOUR, PIXEL_MEAN, PIXEL_STD, Sam


class EncoderModule(nn.Module):
    """Normalisation and image encoder.

    Upstream pads after normalising, with zeros. Here the padding is in the image, in a colour that 8-bit images can
    hold, and pixels of exactly that colour are set to zero after normalising: so a camera's image and a float tensor
    give the same embeddings, and both give upstream's.
    """

    mean: Tensor
    std: Tensor
    padding: Tensor

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.image_encoder = model.image_encoder
        for name, values in (("mean", PIXEL_MEAN), ("std", PIXEL_STD), ("padding", PADDING_COLOUR)):
            constant = torch.tensor(values, dtype=torch.float32)[None, :, None, None]  # (1, 3, 1, 1)
            self.register_buffer(name, constant, persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        # Arithmetic, not a comparison, which the Neural Engine would hand to the CPU: 0 for the padding, 1 for
        # anything that differs by a grey level.
        is_image = (image - self.padding).abs().sum(1, keepdim=True).clamp(max=1)  # (1, 1, S, S)
        return (self.image_encoder((image - self.mean) / self.std * is_image),)


class DecoderModule(nn.Module):
    """Prompt encoder and mask decoder."""

    image_pe: Tensor | None

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.prompt_encoder = model.prompt_encoder
        self.mask_decoder = model.mask_decoder
        self.side = model.image_size // EMBEDDING_STRIDE
        self.register_buffer("image_pe", None, persistent=False)

    def fold(self) -> None:
        """Compute the positional encoding of the grid once."""
        self.image_pe = self.prompt_encoder.pe_layer.grid(self.side)

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor]:
        prompts = self.prompt_encoder
        image_pe = prompts.pe_layer.grid(self.side) if self.image_pe is None else self.image_pe
        return self.mask_decoder(
            image_embeddings,
            image_pe,
            prompts.embed_points(point_coords, point_labels),
            prompts.embed_mask(mask_input, has_mask_input),
            prompts.slot_logits(point_labels),
        )


class DecoderWithMasks(nn.Module):
    """The decoder, then masks at the image's own size: what SAM's published ONNX decoder gives, in its order.

    https://github.com/facebookresearch/segment-anything/blob/main/segment_anything/utils/onnx.py
    """

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.decoder = DecoderModule(model)
        self.image_size = model.image_size

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        low_res_masks, iou_predictions = self.decoder(
            image_embeddings, point_coords, point_labels, mask_input, has_mask_input
        )
        scaled = orig_im_size * (self.image_size / orig_im_size.max())
        resized = (scaled + 0.5).floor().clamp(min=1).to(torch.int64)
        masks = resize_masks(low_res_masks, self.image_size, resized.tolist(), orig_im_size.to(torch.int64).tolist())
        return masks, iou_predictions, low_res_masks


def resize_masks(low_res_masks: Tensor, image_size: int, resized: Sequence[int], original: Sequence[int]) -> Tensor:
    """Bring mask logits to the image's own size: to the model's input, crop the padding, to the image.

    Args:
        low_res_masks: (B, K, 4E, 4E) logits.
        image_size: S.
        resized: (height, width) of the image in the model's input; at most S.
        original: (height, width) of the image.

    Returns:
        (B, K, height, width) logits.
    """
    height, width = resized
    # What a tracer cannot know of numbers that come out of a tensor.
    for side in (height, width):
        torch._check(side >= 1)
        torch._check(side <= image_size)
    for side in original:
        torch._check(side >= 1)
    masks = F.interpolate(low_res_masks, (image_size, image_size), mode="bilinear", align_corners=False)
    return F.interpolate(masks[..., :height, :width], list(original), mode="bilinear", align_corners=False)
