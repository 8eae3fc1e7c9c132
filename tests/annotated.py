"""Small images with ground truth that the tests draw themselves, in every form that can be read."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data as photographs

WIDTH, HEIGHT = 160, 120
NAMES = ("astronaut", "cat", "coffee")
"""Photographs that scikit-image ships."""
OBJECTS = {"cat": ("disc", "box"), "astronaut": ("corner",), "coffee": ("disc", "ring")}


def disc(x: float, y: float, radius: float) -> np.ndarray:
    """(height, width) bool."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def rectangle(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y0:y1, x0:x1] = True
    return mask


SHAPES = {
    "disc": disc(60, 50, 25),
    "box": rectangle(90, 60, 150, 110),
    "corner": rectangle(0, 0, 50, 40),
    "ring": disc(118, 72, 30) & ~disc(118, 72, 15),
}


def write_images(folder: Path) -> Path:
    """Small copies of the photographs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        image = Image.fromarray(getattr(photographs, name)()).convert("RGB")
        image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(folder / f"{name}.png")
    return folder


def runs(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed run lengths: down the columns, background first."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *edges, flat.size]).tolist()
    return [0, *lengths] if flat[0] else lengths


def coco(**changes: object) -> dict:
    """All shapes as run lengths, but for the box, which is a polygon."""
    images = [{"id": i, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT} for i, name in enumerate(NAMES)]
    annotations = []
    for index, name in enumerate(NAMES):
        for shape in OBJECTS[name]:
            mask = SHAPES[shape]
            segmentation: object = {"size": [HEIGHT, WIDTH], "counts": runs(mask)}
            if shape == "box":
                segmentation = [[90, 60, 150, 60, 150, 110, 90, 110]]
            rows, columns = np.nonzero(mask)
            annotations.append(
                {
                    "id": len(annotations) + 10,
                    "image_id": index,
                    "category_id": 1,
                    "iscrowd": 0,
                    "area": int(mask.sum()),
                    # A pixel too wide, so that the annotation's own box can be told from the tight one.
                    "bbox": [
                        int(columns.min()),
                        int(rows.min()),
                        int(np.ptp(columns)) + 2,
                        int(np.ptp(rows)) + 2,
                    ],
                    "segmentation": segmentation,
                }
            )
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "shape"}], **changes}


def write_coco(path: Path, content: object | None = None) -> Path:
    path.write_text(json.dumps(coco() if content is None else content), encoding="utf-8")
    return path


def write_masks(folder: Path) -> Path:
    """One image of values, one of a palette, one file an object."""
    folder.mkdir()
    cat = np.zeros((HEIGHT, WIDTH), np.uint8)
    cat[SHAPES["disc"]], cat[SHAPES["box"]] = 7, 200
    Image.fromarray(cat).save(folder / "cat.png")
    astronaut = Image.fromarray(SHAPES["corner"].astype(np.uint8), "P")
    astronaut.putpalette([0, 0, 0, 255, 0, 0])
    astronaut.save(folder / "astronaut.png")
    for number, shape in enumerate(OBJECTS["coffee"]):
        Image.fromarray(SHAPES[shape]).save(folder / f"coffee_{number}.png")
    return folder


def write_bsds(folder: Path, annotators: int = 2) -> Path:
    """Region maps as BSDS500 has them, and their upright boundaries; the second annotator sees one region fewer."""
    from scipy.io import savemat

    folder.mkdir()
    for name in NAMES:
        cells = np.empty((1, annotators), object)
        for number in range(annotators):
            regions = np.ones((HEIGHT, WIDTH), np.uint16)
            for value, shape in enumerate(OBJECTS[name][: 2 - number], 2):
                regions[SHAPES[shape]] = value
            regions[0, -3:] = 9  # three pixels: less than one percent
            cell = np.empty((1, 1), [("Segmentation", object), ("Boundaries", object)])
            beside = (regions[:, 1:] != regions[:, :-1]).astype(np.uint8)
            cell[0, 0] = (regions, np.pad(beside, ((0, 0), (0, 1))))
            cells[0, number] = cell
        savemat(folder / f"{name}.mat", {"groundTruth": cells})
    return folder
