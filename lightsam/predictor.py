"""From an image and a prompt to masks: encode once, answer many prompts.

The same code runs over PyTorch and over exported files: both are two `Runner`s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightsam.modeling.sam import Sam
from lightsam.prompts import Prompt, encode_prompts
from lightsam.stages import Runner, split
from lightsam.transforms import MASK_THRESHOLD, Frame, ImageSource, open_image, to_model_input, upscale_masks


@dataclass(frozen=True)
class Encoding:
    """An image that prompts can be answered about."""

    image_embeddings: np.ndarray
    """(1, 256, E, E)."""
    frame: Frame


@dataclass(frozen=True)
class Prediction:
    """K masks for one prompt: one, or three for an ambiguous prompt."""

    masks: np.ndarray
    """(K, height, width) bool, at the image's own size."""
    iou_predictions: np.ndarray
    """(K,) float32: how good the model thinks that each is."""
    low_res_masks: np.ndarray
    """(K, 4E, 4E) float32 logits; any of them can be the ``mask`` of the next prompt."""

    @property
    def best(self) -> int:
        """Index of the mask with the highest predicted IoU."""
        return int(self.iou_predictions.argmax())


class Predictor:
    """Answers prompts about images with an encoder and a decoder."""

    def __init__(self, encoder: Runner, decoder: Runner, image_size: int, point_slots: int | None = None) -> None:
        """Join two stages.

        Args:
            image_size: side of the encoder's input, in pixels.
            point_slots: prompt slots of a decoder with static shapes, which also takes one prompt a call; None for a
                dynamic one.
        """
        self._encoder = encoder
        self._decoder = decoder
        self.image_size = image_size
        self.point_slots = point_slots

    @classmethod
    def from_model(cls, model: Sam) -> "Predictor":
        """Prediction with PyTorch."""
        stages = split(model)
        return cls(stages.encoder.run, stages.decoder.run, model.image_size)

    def encode(self, image: ImageSource) -> Encoding:
        """Run the encoder on an image: a path, a Pillow image, or an array as `open_image` takes it.

        Raises:
            ImageError: if it cannot be read.
        """
        pixels, frame = to_model_input(open_image(image), self.image_size)
        return Encoding(self._encoder({"image": pixels})["image_embeddings"], frame)

    def predict(self, encoding: Encoding, prompt: Prompt, *, multimask: bool | None = None) -> Prediction:
        """Prediction one prompt.

        Args:
            multimask: three masks for an ambiguous prompt, or the single one; None gives three for a lone point, which
                is what they were trained for.

        Raises:
            PromptError: for a prompt that does not fit the image or the decoder.
        """
        return self.predict_batch(encoding, [prompt], multimask=multimask)[0]

    def predict_batch(
        self,
        encoding: Encoding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool | None = None,
        best_only: bool = False,
    ) -> list[Prediction]:
        """Prediction several prompts about one image; in one call where the decoder allows.

        Args:
            multimask: as for `predict`.
            best_only: give the one mask with the highest predicted IoU, and bring no other to the image's size.
        """
        if not prompts:
            return []
        batches = [prompts] if self.point_slots is None else [[prompt] for prompt in prompts]
        predictions: list[Prediction] = []
        for batch in batches:
            inputs = encode_prompts(batch, encoding.frame, self.point_slots)
            outputs = self._decoder({"image_embeddings": encoding.image_embeddings, **inputs})
            for prompt, low_res_masks, iou_predictions in zip(
                batch, outputs["low_res_masks"], outputs["iou_predictions"], strict=True
            ):
                kept = masks_for_prompt(prompt, multimask)
                if best_only:
                    best = kept.start + int(iou_predictions[kept].argmax())
                    kept = slice(best, best + 1)
                masks = upscale_masks(low_res_masks[kept], encoding.frame) > MASK_THRESHOLD
                predictions.append(Prediction(masks, iou_predictions[kept], low_res_masks[kept]))
        return predictions


def masks_for_prompt(prompt: Prompt, multimask: bool | None = None) -> slice:
    """Which of a decoder's masks answer a prompt.

    Masks 1 to 3 are for an ambiguous prompt, which a lone point is: it may mean a part or the whole. Mask 0 is the
    single answer to every other one (https://arxiv.org/abs/2304.02643, section 3).

    Args:
        multimask: three masks or the single one, whatever the prompt is; None goes by the prompt.
    """
    if multimask is None:
        multimask = len(prompt.points) == 1 and prompt.box is None and prompt.mask is None
    return slice(1, None) if multimask else slice(0, 1)


def shown_mask(prompt: Prompt, iou_predictions: np.ndarray) -> int:
    """Index of the one mask that a user is shown: of those that answer the prompt, the best by predicted IoU.

    Args:
        iou_predictions: (K,) of all of a decoder's masks.
    """
    answering = masks_for_prompt(prompt)
    return range(len(iou_predictions))[answering][int(iou_predictions[answering].argmax())]
