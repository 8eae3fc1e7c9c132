"""Ground truth in any form that there is a reader for."""

from importlib.util import find_spec

from lightsam.errors import DatasetError, FormatUnavailableError

from . import bsds, coco, mask_folder
from .dataset import DataSet
from .evaluation import BSDS, COCO, MASKS, Evaluation

READERS = {COCO: coco.read, MASKS: mask_folder.read, BSDS: bsds.read}
_EXTRA, _PACKAGES = "evaluate", ("faster_coco_eval", "scipy")


def load(evaluation: Evaluation, *, check_images: bool = True) -> DataSet:
    """Read the ground truth, draw the sample, and make sure that its images are there.

    Args:
        check_images: whether to look at every image now; else whoever evaluates them does.

    Raises:
        DatasetError: for ground truth that cannot be used; the message names file and object.
        ImageError: for an image that is missing or damaged.
        FormatUnavailableError: if the extra ``evaluate`` is not installed.
    """
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise FormatUnavailableError.for_extra(_EXTRA, package)
    found = READERS[evaluation.kind](evaluation)
    if not found.samples:
        dropped = ", ".join(f"{count} {what}" for what, count in found.dropped.items() if count)
        raise DatasetError(f"{evaluation.truth} has no object left to evaluate{f': {dropped}' if dropped else ''}")
    sample = found.sampled(evaluation.limit, evaluation.seed)
    if check_images:
        sample.check_images()
    return sample
