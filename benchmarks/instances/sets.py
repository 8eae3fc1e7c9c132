"""The sets of a run: one that is named by its files, or every folder of a folder, such as SegInW's 25 sets."""

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from lightsam.errors import DatasetError, FormatUnavailableError

from . import boxes, truth
from .boxes import Boxes
from .request import DETECTIONS, Request, SetFiles
from .truth import Truth

ANNOTATIONS = ("_annotations_min1cat.coco.json", "_annotations.coco.json", "annotations.json")
"""What a set's annotations may be called. Of SegInW's two files the first is the one that its evaluations take."""
BOXES = "boxes.json"
_BELOW = ("", "valid")
"""Where they may lie in a set's folder; SegInW's are in ``valid``."""


@dataclass(frozen=True)
class InstanceSet:
    """One set, ready to be evaluated."""

    name: str
    truth: Truth
    """Of the images that were drawn."""
    boxes: Boxes

    def part(self, start: int, end: int) -> "InstanceSet":
        """The images from ``start`` to before ``end``, with their boxes and without annotations."""
        data = self.truth.data.part(start, end)
        truth = replace(self.truth, data=data, ids={}, images=(), annotations=())
        of = {one.name: self.boxes.of[one.name] for one in data.samples if one.name in self.boxes.of}
        return replace(self, truth=truth, boxes=replace(self.boxes, of=of))


def find(folder: Path, kind: str) -> tuple[tuple[SetFiles, ...], tuple[str, ...]]:
    """Every sub-folder that holds annotations, by its name.

    Args:
        folder: of the sets.
        kind: where boxes come from; of ``detections`` each set must have its file.

    Returns:
        The sets, and the names of the folders without annotations.

    Raises:
        DatasetError: if there is none, or one has no boxes.
    """
    if not folder.is_dir():
        raise DatasetError(f"there is no folder of sets {folder}")
    found, passed_over = [], []
    for entry in sorted(path for path in folder.iterdir() if path.is_dir()):
        places = [entry / below / name for below in _BELOW for name in ANNOTATIONS]
        annotations = next((path for path in places if path.is_file()), None)
        if annotations is None:
            passed_over.append(entry.name)
            continue
        file = annotations.with_name(BOXES)
        if kind == DETECTIONS and not file.is_file():
            raise DatasetError(
                f"the set {entry.name} has no {BOXES} beside {annotations}: put a detector's boxes there, or say "
                "--boxes ground-truth"
            )
        found.append(SetFiles(entry.name, annotations, annotations.parent, file if kind == DETECTIONS else None))
    if not found:
        raise DatasetError(f"no folder of {folder} holds a file of annotations: {', '.join(ANNOTATIONS)}")
    return tuple(found), tuple(passed_over)


def load(request: Request, *, check_images: bool = True) -> tuple[InstanceSet, ...]:
    """Read every set, draw its images, and make sure that these are there.

    Args:
        check_images: whether to look at every image now; else whoever evaluates them does.

    Raises:
        DatasetError: for annotations or boxes that cannot be used.
        ImageError: for an image that is missing or damaged.
        FormatUnavailableError: if the extra ``evaluate`` is not installed.
    """
    if find_spec("faster_coco_eval") is None:
        raise FormatUnavailableError.for_extra("evaluate", "faster_coco_eval")
    return tuple(_load(files, request, check_images) for files in request.sets)


def _load(files: SetFiles, request: Request, check_images: bool) -> InstanceSet:
    whole = truth.read(files.annotations, files.images)
    drawn = whole.sampled(request.limit, request.seed)
    found = boxes.of_set(whole, drawn, files.boxes, request)
    if check_images:
        drawn.data.check_images()
    return InstanceSet(files.name, drawn, found)
