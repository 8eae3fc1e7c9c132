"""What files are compared with: models and their answers, each loaded and computed once a run."""

from collections.abc import Iterator

from lightsam.stages import POINT_SLOTS, Arrays, Stages, split
from lightsam.weights.checkpoints import LoadedModel, load_model
from lightsam.weights.downloads import ProgressBar
from lightsam_exporters.formats.options import Options

from .reference_image import ReferenceImage
from .suite import Suite


class Reference:
    """One model with its weights, and its outputs about the suites."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.model = loaded.sam
        self.weights = loaded.weights
        self._answered: dict[tuple[str, bool], list[ReferenceImage]] = {}

    def stages(self, options: Options) -> Stages:
        """The two stages, as the contract has them for these options."""
        return split(self.model, point_slots=options.point_slots or POINT_SLOTS, with_masks=options.with_masks)

    def reference_images(self, suite: Suite, options: Options) -> list[ReferenceImage]:
        """The suite's images and prompts, with this model's outputs; the number of slots does not change them."""
        key = (suite.digest, options.with_masks)
        if key not in self._answered:
            stages = self.stages(options)
            other = self._answered.get((suite.digest, not options.with_masks))
            self._answered[key] = (
                [one.against(stages) for one in other] if other else [ReferenceImage(stages, i) for i in suite.images]
            )
        return self._answered[key]

    def stage_inputs(self, stage: str, suite: Suite, options: Options) -> Iterator[Arrays]:
        """What a stage of these options is given about the images of a suite, one call after the other."""
        for image in self.reference_images(suite, options):
            yield from image.stage_inputs(stage, options.point_slots)


class References:
    """Every model of one run."""

    def __init__(self, progress: ProgressBar | None = None, *, accept_license: bool = False) -> None:
        """Begin with none.

        Args:
            progress: told of a download.
            accept_license: whether weights that are not for commercial use may be fetched to judge by.
        """
        self._progress = progress
        self.accept_license = accept_license
        self._loaded: dict[tuple[str, str, int], Reference] = {}

    def title(self, model: str, weights: str, image_size: int) -> str:
        """Whose weights a loaded model has, for the head of a table; "" if it was not loaded."""
        reference = self._loaded.get((model, weights, image_size))
        return "" if reference is None else reference.weights.title

    def load(self, model: str, weights: str, image_size: int, accept_license: bool) -> Reference:
        """Load a model, unless it is there already.

        Raises:
            CheckpointError: for weights that cannot be had or do not fit.
            LicenseError: for weights whose license is not accepted.
        """
        key = (model, weights, image_size)
        if key not in self._loaded:
            self._loaded[key] = Reference(
                load_model(
                    model,
                    weights=weights,
                    image_size=image_size,
                    accept_license=accept_license,
                    progress=self._progress,
                )
            )
        return self._loaded[key]
