"""What files are compared with: models and their answers, each loaded and computed once a run."""

from lightsam.modeling.sam import Sam
from lightsam.stages import Stages, split
from lightsam.weights.checkpoints import Weights, load_model
from lightsam.weights.downloads import ProgressBar
from lightsam_exporters.formats.base import ExportOptions

from .reference_image import ReferenceImage
from .suite import Suite


class Reference:
    """One model with its weights, and its answers to the trial."""

    def __init__(self, model: Sam) -> None:
        assert model.weights is not None  # load_model sets it
        self.weights: Weights = model.weights
        self.model = model
        self._trials: dict[str, list[ReferenceImage]] = {}

    def stages(self, options: ExportOptions) -> Stages:
        """The two stages, as the contract has them for these options."""
        return split(self.model, point_slots=options.point_slots, with_masks=options.with_masks)

    def reference_images(self, suite: Suite, options: ExportOptions) -> list[ReferenceImage]:
        """The suite's questions, answered by a decoder of these options."""
        key = f"{suite.title}, masks" if options.with_masks else suite.title
        if key not in self._trials:
            stages = self.stages(options)
            computed = self._trials.get(suite.title)
            self._trials[key] = (
                [reference_image.against(stages) for reference_image in computed]
                if computed
                else [ReferenceImage(stages, image) for image in suite.images]
            )
        return self._trials[key]


class References:
    """Every model of one run."""

    def __init__(self, progress: ProgressBar | None = None) -> None:
        self._progress = progress
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
