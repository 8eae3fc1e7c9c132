"""Records as one self-contained page, with the worst answers as images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from lightsam.overlay import draw_overlay
from lightsam_benchmarks.page import Section, as_page
from lightsam_exporters.thumbnails import data_uri, scaled_prompt, thumbnail_size

from .coco import decode
from .dataset import DataSet, Sample
from .places import open_image_at
from .record import Record
from .report import notes, tables
from .worst import Case

_TRUTH = (255, 196, 0)
"""Color of the ground truth's outline."""


@dataclass(frozen=True)
class Figure:
    """One of the worst answers, as data URIs."""

    case: Case
    label: str
    id: str
    image: str
    truth: str
    found: str


def section(record: Record) -> Section:
    """The tables, and what must be known of the record."""
    return Section(
        "Masks against ground truth",
        record.data.name,
        record.created,
        tables(record),
        notes(record),
        "mIoU is the mean over objects; its interval, and that of a difference, is the bootstrap over images at 95 %. "
        "Boundary IoU is measured in a band of 2 % of the image's diagonal. Small objects have fewer than 32² pixels, "
        "medium ones fewer than 96².",
    )


def as_html(records: Sequence[Record], worst: Sequence[Case] = (), data: DataSet | None = None) -> str:
    """Tables, what must be known of every record, and the worst answers of the run that made it.

    Args:
        worst: of the run.
        data: what it was evaluated on, for the images.
    """
    samples = {} if data is None else {sample.name: sample for sample in data.samples}
    groups: dict[str, list[Figure]] = {}
    for case in worst:
        groups.setdefault(f"{case.subject}, {case.prompts}", []).append(_figure(case, samples[case.image]))
    return as_page([section(record) for record in records], groups)


def _figure(case: Case, sample: Sample) -> Figure:
    image = open_image_at(sample.path)
    size = thumbnail_size(image)
    small = image.resize(size, Image.Resampling.LANCZOS)
    truth, found = _shrunk(sample.read()(case.index), size), _shrunk(decode(case.mask), size)
    prompt = scaled_prompt(case.prompt, size[0] / image.width)
    return Figure(
        case,
        sample.objects[case.index].label,
        sample.objects[case.index].id,
        data_uri(small),
        data_uri(_outlined(small, truth)),
        data_uri(_outlined(draw_overlay(small, found, prompt), truth)),
    )


def _shrunk(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _outlined(image: Image.Image, mask: np.ndarray) -> Image.Image:
    area = Image.fromarray(mask.astype(np.uint8) * 255)
    outline = np.asarray(area.filter(ImageFilter.MaxFilter(3))) != np.asarray(area)
    drawn = image.copy()
    drawn.paste(_TRUTH, mask=Image.fromarray(outline.astype(np.uint8) * 255))
    return drawn
