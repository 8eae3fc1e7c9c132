"""All images, one subject after the other; what is done survives a kill."""

import datetime
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lightsam.version import __version__
from lightsam_benchmarks import machine
from lightsam_benchmarks.quality.dataset import DataSet, Sample
from lightsam_benchmarks.quality.places import open_image_at
from lightsam_benchmarks.quality.record import Evaluated
from lightsam_benchmarks.quality.run import evaluated, identity
from lightsam_benchmarks.quality.subjects import Candidate, Loaded

from .detection import detect
from .journal import Journal, Line, digest, opened
from .matching import THRESHOLDS, TOLERANCE, count
from .recipe import Recipe
from .record import Data, Image, Record, Result, write
from .scores import scores

OnStep = Callable[[str], None]


def evaluate(
    candidates: Sequence[Candidate],
    data: DataSet,
    recipe: Recipe,
    output: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    on_step: OnStep = lambda _: None,
) -> Record:
    """Find every subject's edges in every image, count what matches, and write the record.

    Args:
        data: of `lightsam_benchmarks.edges.truth.read`, sampled already.
        limit: that it was sampled by, for the record.
        seed: likewise.
        overwrite: whether a journal of another run may be thrown away.
        on_step: told of each image as it begins.

    Raises:
        ContractError: if the journal beside ``output`` is of another run, or a subject's files are damaged.
        CheckpointError: if a model's weights cannot be had.
        ImageError: if an image is damaged.
        WriteError: if nothing can be written.
    """
    sha256 = data.sha256()
    names = [candidate.name for candidate in candidates]
    with opened(output, digest(recipe, sha256), names, overwrite) as journal:
        subjects: list[Evaluated] = []
        results: list[Result] = []
        for candidate in candidates:
            loaded = candidate.load()
            images = _one(candidate.name, loaded, data, recipe, journal, on_step)
            results.append(Result(candidate.name, scores([image.counts for image in images]), images))
            subjects.append(evaluated(candidate.name, loaded))
            del loaded  # one at a time is in memory
        record = Record(
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            lightsam=__version__,
            git=machine.git_state(),
            python=platform.python_version(),
            versions=machine.versions((*machine.ran_by(), "scipy")),
            chip=machine.chip(),
            data=Data(data.name, len(data.samples), limit, seed, dict(data.dropped), sha256),
            recipe=recipe,
            tolerance=TOLERANCE,
            thresholds=THRESHOLDS,
            subjects=tuple(subjects),
            results=tuple(results),
        )
        write(record, output)
    return record


def _one(
    name: str, loaded: Loaded, data: DataSet, recipe: Recipe, journal: Journal, on_step: OnStep
) -> tuple[Image, ...]:
    sha256 = identity(loaded)
    images = []
    for number, sample in enumerate(data.samples, 1):
        on_step(f"{name}: image {number} of {len(data.samples)}")
        image = journal.image(name, sha256, sample.name)
        if image is None:
            image = counted(loaded, sample, recipe)
            journal.add(Line(name, sha256, image))
        images.append(image)
    return tuple(images)


def counted(loaded: Loaded, sample: Sample, recipe: Recipe) -> Image:
    """Edges of one image, against every annotator's boundaries."""
    begun = time.perf_counter()
    found = detect(loaded.predictor, open_image_at(sample.path), recipe)
    detected = time.perf_counter()
    truth = sample.read()
    counts = count(found.edges, [truth(index) for index in range(len(sample.objects))])
    done = time.perf_counter()
    return Image(
        sample.name, counts, found.masks, found.not_finite, round(detected - begun, 3), round(done - detected, 3)
    )
