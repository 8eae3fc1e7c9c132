"""The graphs that are exported: what the stages of lightsam.stages compute."""

import torch
from torch import Tensor, nn

from lightsam.geometry import Preprocess, resize_masks
from lightsam.modeling.image_encoder import ImageEncoder
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder


class EncoderModule(nn.Module):
    """Normalisation and image encoder.

    Upstream pads with zeros after normalising. Here the caller pads the image, in a colour that 8-bit images can hold,
    and the graph sets pixels of exactly that colour to zero after normalising. An 8-bit image and a float tensor then
    give the same embeddings, which are upstream's.
    """

    mean: Tensor
    std: Tensor
    padding: Tensor

    def __init__(self, image_encoder: ImageEncoder, preprocess: Preprocess) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        constants = {"mean": preprocess.mean, "std": preprocess.std, "padding": preprocess.padding_colour}
        for name, values in constants.items():
            constant = torch.tensor(values, dtype=torch.float32)[None, :, None, None]  # (1, 3, 1, 1)
            self.register_buffer(name, constant, persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        # 0 for the padding, 1 for anything that differs by a grey level. It is arithmetic because the Neural Engine
        # hands comparisons to the CPU.
        is_image = (image - self.padding).abs().sum(1, keepdim=True).clamp(max=1)  # (1, 1, S, S)
        return (self.image_encoder((image - self.mean) / self.std * is_image),)


class DecoderModule(nn.Module):
    """Prompt encoder and mask decoder."""

    image_pe: Tensor | None

    def __init__(self, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder, side: int) -> None:
        """Join the two parts.

        Args:
            side: E, positions a side of the image embeddings.
        """
        super().__init__()
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self.side = side
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

    def __init__(self, decoder: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.decoder = decoder
        self.preprocess = preprocess

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
        resized = self.preprocess.resized(orig_im_size).tolist()
        original = orig_im_size.to(torch.int64).tolist()
        masks = resize_masks(low_res_masks, self.preprocess.image_size, resized, original)
        return masks, iou_predictions, low_res_masks
