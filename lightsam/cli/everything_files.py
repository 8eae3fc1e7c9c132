"""The folder that everything in an image is written to: checked before any work, moved into place when it is whole."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lightsam.errors import ArtifactExistsError, UsageError
from lightsam.everything import FoundMask
from lightsam.files import WriteError, ensure_writable, reason, replace_folder
from lightsam.overlay import draw_found
from lightsam.shapes import compressed

JSON = "everything.json"


@dataclass(frozen=True)
class EverythingFiles:
    """One folder: JSON, an overlay, and a black and white image for each mask."""

    folder: Path

    def check(self, overwrite: bool) -> None:
        """Refuse a folder that cannot be written, or should not be.

        Raises:
            ArtifactExistsError: if it is there, and may not be replaced.
            UsageError: if it is a file, or a folder of something else.
            WriteError: if nothing can be written beside it.
        """
        if os.path.lexists(self.folder):
            if not self.folder.is_dir() or self.folder.is_symlink():
                raise UsageError(f"{self.folder} is no folder: give another --output")
            if any(self.folder.iterdir()) and not (self.folder / JSON).is_file():
                raise UsageError(f"{self.folder} is a folder of something else, and is not replaced: give another")
            if not overwrite:
                raise ArtifactExistsError(
                    f"{self.folder} is there already: give --overwrite to replace it, or another --output"
                )
        ensure_writable(self.folder.parent)

    def write(self, image: Image.Image, name: str, found: Sequence[FoundMask]) -> None:
        """Write it all, or nothing.

        Args:
            image: RGB.
            name: of its file.
            found: the surest first.

        Raises:
            WriteError: if the system refuses; what was there before stays.
        """
        temporary = self.folder.with_name(f".{self.folder.name}.{os.getpid()}")
        before = temporary.with_suffix(".before")
        try:
            (temporary / "masks").mkdir(parents=True)
            (temporary / JSON).write_text(as_json(image.size, name, found), encoding="utf-8")
            draw_found(image, [one.runs for one in found]).save(temporary / "overlay.png")
            for number, one in enumerate(found):
                mask = Image.fromarray(one.runs.mask.astype(np.uint8) * 255)
                mask.convert("1").save(temporary / "masks" / f"{number:04}.png")
            replace_folder(temporary, self.folder, before)
        except OSError as error:
            raise WriteError(f"cannot write {self.folder}: {reason(error)}") from error
        finally:
            for folder in (temporary, before):
                shutil.rmtree(folder, ignore_errors=True)


def as_json(size: tuple[int, int], name: str, found: Sequence[FoundMask]) -> str:
    """In the form of SA-1B's files (https://ai.meta.com/datasets/segment-anything/): COCO's annotations, and more.

    Args:
        size: width, height of the image.
        name: of its file.
        found: the surest first.
    """
    width, height = size
    annotations = []
    for number, one in enumerate(found):
        x0, y0, x1, y1 = one.crop
        annotation = {
            "id": number,
            "segmentation": {"size": [height, width], "counts": compressed(one.runs.counts)},
            "area": one.runs.area,
            "bbox": list(one.bbox),
            "predicted_iou": one.predicted_iou,
            "stability_score": one.stability_score,
            "point_coords": [list(one.point)],
            "crop_box": [x0, y0, x1 - x0, y1 - y0],
        }
        annotations.append(json.dumps(annotation, allow_nan=False))
    head = json.dumps({"file_name": name, "width": width, "height": height})
    lines = ",\n  ".join(annotations)
    return f'{{"image": {head},\n "annotations": [\n  {lines}\n ]}}\n'
