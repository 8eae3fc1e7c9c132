"""From an image and a prompt to masks: encode once, answer many prompts.

The same code runs over PyTorch and over exported files: both are two `Runner`s.

The way of an image: `Predictor.encode` -> lightsam.transforms (to the square input) -> the encoder stage; the way of
a prompt: `Predictor.predict` -> lightsam.prompts (to the decoder's inputs) -> the decoder stage -> lightsam.transforms
(masks at the image's size). lightsam.geometry has the arithmetic of both, lightsam.stages the two stages, and the
model's own file the layers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lightsam.encoding import Encoding as Encoding
from lightsam.everything import Everything, FoundMask, Progress, segment_everything
from lightsam.modeling.sam import Sam
from lightsam.prompts import Prompt, encode_prompts
from lightsam.rules import Rules
from lightsam.stages import IOU_PREDICTIONS, LOW_RES_MASKS, Runner, split
from lightsam.transforms import MASK_THRESHOLD, ImageSource, open_image, to_model_input, upscale_masks
from lightsam.weights.loaded import LoadedModel


@dataclass(frozen=True)
class Prediction:
    """K masks for one prompt: one, or three for an ambiguous prompt."""

    masks: np.ndarray
    """(K, height, width) bool, at the image's own size."""
    iou_predictions: np.ndarray
    """(K,) float32: the IoU with the true mask that the model predicts for each."""
    low_res_masks: np.ndarray
    """(K, 4E, 4E) float32 logits; any of them can be the ``mask`` of the next prompt."""

    @property
    def best(self) -> int:
        """Index of the mask with the highest predicted IoU."""
        return int(self.iou_predictions.argmax())


class Predictor:
    """Answers prompts about images with an encoder and a decoder.

    Example:
        >>> from lightsam import Predictor, Prompt, load_model
        >>> predictor = Predictor.from_model(load_model("mobile_sam"))
        >>> encoding = predictor.encode("photo.jpg")  # the slow half, once an image
        >>> prediction = predictor.predict(encoding, Prompt(points=[(320, 240)]))
        >>> mask = prediction.masks[prediction.best]  # (height, width) bool
        >>> refined = Prompt(
        ...     points=[(320, 240), (90, 80)], labels=[1, 0], mask=prediction.low_res_masks[prediction.best]
        ... )
        >>> prediction = predictor.predict(encoding, refined)
    """

    def __init__(
        self,
        encoder: Runner,
        decoder: Runner,
        rules: Rules,
        *,
        point_slots: int | None = None,
    ) -> None:
        """Join two stages.

        Args:
            encoder: runs the encoder stage.
            decoder: runs the decoder stage.
            rules: how the model takes images and prompts, and gives masks.
            point_slots: prompt slots of a decoder with static shapes, which also takes one prompt a call; None for a
                dynamic one.
        """
        self._encoder = encoder
        self._decoder = decoder
        self.rules = rules
        self.point_slots = point_slots

    @classmethod
    def from_model(cls, model: Sam | LoadedModel) -> "Predictor":
        """A predictor that runs the PyTorch model.

        Args:
            model: what `load_model` returned, or a `Sam` with weights; it is run on the device that it is on.

        Returns:
            A predictor that takes any number of points and prompts.
        """
        stages = split(model.sam if isinstance(model, LoadedModel) else model)
        return cls(stages.encoder.run, stages.decoder.run, stages.rules)

    def encode(self, image: ImageSource) -> Encoding:
        """Run the encoder on an image.

        Args:
            image: a path, a Pillow image, or an array (H, W, 3) RGB or (H, W) grey, uint8.

        Returns:
            What `predict` needs; it can be kept and used for any number of prompts.

        Raises:
            ImageError: if it cannot be read.
        """
        pixels, frame = to_model_input(open_image(image), self.rules.preprocess)
        return Encoding(self._encoder({"image": pixels}), frame)

    def check(self, prompt: Prompt, width: int, height: int) -> None:
        """Refuse a prompt before any work.

        Args:
            prompt: in pixels of the image.
            width: of the image, in pixels.
            height: likewise.

        Raises:
            PromptError: for a prompt that does not fit the image, the model or the decoder.
        """
        encode_prompts([prompt], self.rules.preprocess.frame(width, height), self.point_slots, self.rules.prompts)

    def predict(self, encoding: Encoding, prompt: Prompt, *, multimask: bool | None = None) -> Prediction:
        """Answer one prompt.

        Args:
            encoding: of the image, as `encode` returned it.
            prompt: in pixels of the image.
            multimask: True for the masks of an ambiguous prompt, three of them; False for the single answer; None for
                several if the prompt is a lone point, which is what they were trained for.

        Returns:
            One mask or three, at the image's own size.

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
        """Answer several prompts about one image; in one call of the decoder where it allows that.

        Args:
            encoding: of the image, as `encode` returned it.
            prompts: in pixels of the image.
            multimask: as for `predict`.
            best_only: give the one mask with the highest predicted IoU, and bring no other to the image's size.

        Returns:
            One prediction a prompt, in their order; none for no prompts.

        Raises:
            PromptError: for a prompt that does not fit the image or the decoder.
        """
        predictions: list[Prediction] = []
        for prompt, low_res_masks, iou_predictions in self.decode(encoding, prompts):
            ambiguous = prompt.ambiguous if multimask is None else multimask
            kept = self.rules.masks.competing(low_res_masks, ambiguous=ambiguous)
            if best_only or not ambiguous:
                best = self.rules.masks.shown(low_res_masks, iou_predictions, ambiguous=ambiguous)
                kept = slice(best, best + 1)
            masks = upscale_masks(low_res_masks[kept], encoding.frame) > MASK_THRESHOLD
            predictions.append(Prediction(masks, iou_predictions[kept], low_res_masks[kept]))
        return predictions

    def decode(self, encoding: Encoding, prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, np.ndarray, np.ndarray]]:
        """What the decoder itself answers: all masks of every prompt, before one is chosen and brought to a size.

        Args:
            encoding: of the image, as `encode` returned it.
            prompts: in pixels of the image.

        Returns:
            Of each prompt, in their order: itself, (K, 4E, 4E) float32 logits, and (K,) predicted IoUs.

        Raises:
            PromptError: for a prompt that does not fit the image or the decoder.
        """
        batches = [prompts] if self.point_slots is None else [[prompt] for prompt in prompts]
        for batch in filter(None, batches):
            inputs = encode_prompts(batch, encoding.frame, self.point_slots, self.rules.prompts)
            outputs = self._decoder({**encoding.features, **inputs})
            yield from zip(batch, outputs[LOW_RES_MASKS], outputs[IOU_PREDICTIONS], strict=True)

    def segment_everything(
        self,
        encoding: Encoding,
        how: Everything | None = None,
        *,
        image: ImageSource | None = None,
        on_points: Progress = lambda *_: None,
    ) -> list[FoundMask]:
        """Masks of all objects of an image, by a grid of points; the surest first.

        Memory holds one batch of low-res masks, one mask at the image's size, and the runs of those that stay.

        Args:
            encoding: of the image, as `encode` returned it.
            how: the defaults of `Everything` if it is left out.
            image: the same image, where crops of it are looked at, too.
            on_points: told how many of all points have been asked.

        Returns:
            Masks at the image's own size, each as its runs.

        Raises:
            ImageError: if the image cannot be read.
            UsageError: if crops are wanted without the image, or small regions cleaned up without scipy.
        """
        return segment_everything(self, encoding, how or Everything(), image, on_points)
