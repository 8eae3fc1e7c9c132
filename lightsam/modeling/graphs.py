"""The graphs that are exported: what the stages of lightsam.stages compute."""

import torch
from torch import Tensor, nn

from lightsam.geometry import Preprocess
from lightsam.modeling.image_encoder import ImageEncoder
from lightsam.modeling.mask_decoder import BaseMaskDecoder
from lightsam.modeling.prompt_encoder import BasePromptEncoder


class EncoderModule(nn.Module):
    """Normalisation and image encoder.

    Where an image is padded, upstream pads with zeros after normalising. Here the caller pads it, in a colour that
    8-bit images can hold, and the graph sets pixels of exactly that colour to zero after normalising. An 8-bit image
    and a float tensor then give the same embeddings, which are upstream's.
    """

    mean: Tensor
    std: Tensor
    padding: Tensor | None

    def __init__(self, image_encoder: ImageEncoder, preprocess: Preprocess) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        constants = {"mean": preprocess.mean, "std": preprocess.std, "padding": preprocess.padding_colour}
        for name, values in constants.items():
            constant = None if values is None else torch.tensor(values, dtype=torch.float32)[None, :, None, None]
            self.register_buffer(name, constant, persistent=False)  # (1, 3, 1, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        if self.padding is None:
            features = self.image_encoder((image - self.mean) / self.std)
        else:
            # 0 for the padding, 1 for anything that differs by a grey level. It is arithmetic because the Neural Engine
            # hands comparisons to the CPU.
            is_image = (image - self.padding).abs().sum(1, keepdim=True).clamp(max=1)  # (1, 1, S, S)
            features = self.image_encoder((image - self.mean) / self.std * is_image)
        return features if isinstance(features, tuple) else (features,)


class DecoderModule(nn.Module):
    """Prompt encoder and mask decoder: SAM's inputs.

    Given the image's own size, (height, width), it also brings the masks to it and gives them first: the outputs of
    SAM's published ONNX decoder, in its order.
    https://github.com/facebookresearch/segment-anything/blob/main/segment_anything/utils/onnx.py
    """

    image_pe: Tensor | None

    def __init__(
        self, prompt_encoder: BasePromptEncoder, mask_decoder: BaseMaskDecoder, side: int, preprocess: Preprocess
    ) -> None:
        """Join the two parts.

        Args:
            side: E, positions a side of the image embeddings.
            preprocess: says how masks come to the image's size.
        """
        super().__init__()
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self.side = side
        self.preprocess = preprocess
        self.register_buffer("image_pe", None, persistent=False)

    def fold(self) -> None:
        """Compute the positional encoding of the grid once."""
        self.image_pe = self.prompt_encoder.pe_layer.grid(self.side)

    def decode(
        self,
        features: tuple[Tensor, ...],
        points: tuple[Tensor, Tensor],
        mask_prompt: tuple[Tensor, Tensor] | None,
        orig_im_size: Tensor | None,
    ) -> tuple[Tensor, ...]:
        """The whole of it, from grouped inputs."""
        prompts = self.prompt_encoder
        image_embeddings, *high_res_features = features
        low_res_masks, iou_predictions, *further = self.mask_decoder(
            image_embeddings,
            prompts.pe_layer.grid(self.side) if self.image_pe is None else self.image_pe,
            prompts.embed_points(*points),
            None if mask_prompt is None else prompts.embed_mask(*mask_prompt),
            None if prompts.rules.slots is not None else prompts.slot_logits(points[1]),
            *high_res_features,
        )
        if orig_im_size is None:
            return low_res_masks, iou_predictions, *further
        masks = self.preprocess.resize_masks(low_res_masks, orig_im_size)
        return masks, iou_predictions, low_res_masks, *further

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        return self.decode(
            (image_embeddings,), (point_coords, point_labels), (mask_input, has_mask_input), orig_im_size
        )


class PointDecoder(DecoderModule):
    """The decoder of a model that takes no masks."""

    def forward(  # type: ignore[override]  # the inputs are what differs
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        orig_im_size: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        return self.decode((image_embeddings,), (point_coords, point_labels), None, orig_im_size)


class HighResDecoder(DecoderModule):
    """The decoder of a model with two feature maps of higher resolution."""

    def forward(  # type: ignore[override]  # the inputs are what differs
        self,
        image_embeddings: Tensor,
        high_res_features_0: Tensor,
        high_res_features_1: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        return self.decode(
            (image_embeddings, high_res_features_0, high_res_features_1),
            (point_coords, point_labels),
            (mask_input, has_mask_input),
            orig_im_size,
        )


DECODERS: dict[tuple[int, bool], type[DecoderModule]] = {
    (1, True): DecoderModule,
    (1, False): PointDecoder,
    (3, True): HighResDecoder,
}
"""By the number of feature maps, and whether masks are taken as prompts: a graph states its inputs by name."""
