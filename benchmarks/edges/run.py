"""What is done with an image, and the record of all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightsam_benchmarks import machine
from lightsam_benchmarks.journals import Form, Journal
from lightsam_benchmarks.quality.dataset import DataSet, Sample
from lightsam_benchmarks.quality.places import open_image_at
from lightsam_benchmarks.quality.record import Evaluated
from lightsam_benchmarks.quality.subjects import Loaded

from .detection import detect
from .journal import Line, digest, form
from .matching import THRESHOLDS, TOLERANCE, count
from .recipe import Recipe
from .record import Data, Image, Record, Result, write
from .scores import scores


@dataclass(frozen=True)
class Edges:
    """Edges against boundaries that people drew, as a `lightsam_benchmarks.evaluations.Task`."""

    data: DataSet
    """Of `lightsam_benchmarks.edges.truth.read`, sampled already."""
    recipe: Recipe
    limit: int | None = None
    """That the data were sampled by, for the record."""
    seed: int = 0
    """Likewise."""

    @property
    def samples(self) -> dict[str, Sample]:
        """By their names."""
        return {sample.name: sample for sample in self.data.samples}

    def part(self, start: int, end: int) -> "Edges":
        """The images from ``start`` to before ``end`` alone."""
        return replace(self, data=self.data.part(start, end))

    def digest(self, images: Mapping[str, str]) -> str:
        """See `Task.digest`."""
        return digest(self.recipe, self.data.sha256(images))

    def form(self, run: str) -> Form[Line]:
        """Of the journal."""
        return form(run, self.samples)

    def scorer(self, name: str, loaded: Loaded, journal: Journal[Line]) -> Callable[[str, str], Line]:
        """What counts an image's edges, given its key and the sha256 of its file.

        Returns:
            A function that raises ImageError if the image is damaged.
        """
        sha256, samples = loaded.identity, self.samples
        return lambda key, image: Line(name, sha256, counted(loaded, samples[key], self.recipe), image)

    def gather(
        self,
        subjects: Sequence[Evaluated],
        images: Mapping[str, str],
        journal: Journal[Line],
        pairs: Sequence[tuple[str, str]],
    ) -> Record:
        """The record of what a journal holds; see `Task.gather`."""
        results = []
        for subject in subjects:
            found = tuple(line.image for line in journal.lines(subject.name, images))
            results.append(Result(subject.name, scores([image.counts for image in found]), found))
        data = self.data
        return Record(
            **machine.origin("scipy"),
            data=Data(data.name, len(images), self.limit, self.seed, dict(data.dropped), data.sha256(images)),
            recipe=self.recipe,
            tolerance=TOLERANCE,
            thresholds=THRESHOLDS,
            subjects=tuple(subjects),
            results=tuple(results),
        )

    def write(self, outcome: Record, output: Path) -> None:
        """Write the record; raises WriteError if the system refuses."""
        write(outcome, output)


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
