"""An evaluation of any kind: all images, one subject after the other; what is done survives a kill.

`quality`, `edges` and `instances` each say in a `Task` what is done with an image, and what record comes of it. How a
run goes over subjects and images is here, and in `shards` for many processes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from lightsam.models import MODELS

from .journals import Form, Journal, L, folder_of, locked, opened, path_of, refuse_other
from .quality.dataset import Sample
from .quality.evaluation import Evaluation
from .quality.record import Evaluated
from .quality.subjects import Candidate, Loaded, Loading, find

Outcome = TypeVar("Outcome")
"""What a run found: the record, and what does not lie in it."""
OnStep = Callable[[str], None]


class Task(Protocol[L, Outcome]):
    """One kind of evaluation, and its data. It can be pickled: a part of it goes to the process of a shard."""

    @property
    def samples(self) -> Mapping[str, Sample]:
        """Every image by its key, which is unique in the run, in the order of the data."""

    def part(self, start: int, end: int) -> "Task[L, Outcome]":
        """The images from ``start`` to before ``end`` alone, with what `scorer` needs of them."""

    def digest(self, images: Mapping[str, str]) -> str:
        """Of everything that changes an answer, but for the subjects, which each line names itself.

        Args:
            images: sha256 of the images' files, by their keys.
        """

    def form(self, run: str) -> Form[L]:
        """Of the journal of these images.

        Args:
            run: `digest` of the whole run.
        """

    def scorer(self, name: str, loaded: Loaded, journal: Journal[L]) -> Callable[[str, str], L]:
        """What makes the line of an image, given its key and the sha256 of its file.

        Args:
            name: of the subject.
            journal: what was done before.
        """

    def gather(
        self,
        subjects: Sequence[Evaluated],
        images: Mapping[str, str],
        journal: Journal[L],
        pairs: Sequence[tuple[str, str]],
    ) -> Outcome:
        """What the journal holds, in the order of the data, whoever wrote its lines and when.

        Args:
            subjects: each with a line for every image.
            images: sha256 of the images' files, by their keys.
            pairs: names of subjects that are to be compared, A and B.
        """

    def write(self, outcome: Outcome, output: Path) -> None:
        """Write the record.

        Raises:
            WriteError: if the system refuses.
        """


@dataclass(frozen=True)
class Asked:
    """Which subjects; it goes to other processes, which find them again by it."""

    subjects: tuple[str, ...]
    """Models and folders, as `subjects.find` takes them."""
    others: tuple[str, ...]
    loading: Loading
    evaluation: Evaluation
    """Whose prompts every subject must take."""

    def candidates(self) -> tuple[list[Candidate], list[tuple[str, str]]]:
        """Whatever is evaluated, each once, and the names of those that are compared, A and B.

        Raises:
            UsageError: as `subjects.find`.
        """
        found, others = find(self.subjects, self.others, self.loading, self.evaluation)
        pairs = [(one.name, other.name) for one in found for other in others if one.name != other.name]
        return [*found, *(one for one in others if one not in found)], pairs

    @property
    def threads(self) -> int:
        """Of PyTorch in every shard; as of a run in this process."""
        return self.loading.how.threads or torch.get_num_threads()

    def sent(self) -> "Asked":
        """As it goes to another process, whose current folder may be another."""
        weights = [str(Path(one).absolute()) if Path(one).is_file() else one for one in self.loading.weights]
        subjects, others = (
            tuple(name if name in MODELS else str(Path(name).absolute()) for name in group)
            for group in (self.subjects, self.others)
        )
        return Asked(subjects, others, replace(self.loading, weights=weights, progress=None), self.evaluation)


def evaluate(
    candidates: Sequence[Candidate],
    task: Task[L, Outcome],
    output: Path,
    *,
    pairs: Sequence[tuple[str, str]] = (),
    overwrite: bool = False,
    on_step: OnStep = lambda _: None,
) -> Outcome:
    """Evaluate every subject on every image, and write the record.

    Args:
        candidates: the subjects; one at a time is in memory.
        output: the record's file.
        pairs: names of subjects that are to be compared, A and B.
        overwrite: whether what another run left may be thrown away.
        on_step: told of each image as it begins.

    Raises:
        ArtifactExistsError: if a run with shards was begun for the same record.
        ContractError: if the journal beside ``output`` is of another run, or a subject's files are damaged.
        CheckpointError: if a model's weights cannot be had.
        ImageError: if an image is damaged.
        UsageError: if another process is at it.
        WriteError: if nothing can be written.
    """
    names = [candidate.name for candidate in candidates]
    with locked(output):
        refuse_other(folder_of(output), "a run with --shards", overwrite)
        images = hashes(task)
        journal = opened(path_of(output), task.form(task.digest(images)), names, overwrite=overwrite)
        subjects: list[Evaluated] = []
        for candidate in candidates:
            loaded = candidate.load()
            journal.check(candidate.name, loaded.identity, overwrite=overwrite)
            score(candidate.name, loaded, task, journal, images, on_step)
            subjects.append(loaded.evaluated(candidate.name))
            del loaded  # one at a time is in memory
        outcome = task.gather(subjects, images, journal, pairs)
        task.write(outcome, output)
        path_of(output).unlink()
    return outcome


def hashes(task: Task[L, Outcome]) -> dict[str, str]:
    """sha256 of every image's file, by its key, in the order of the data.

    Raises:
        ImageError: if one cannot be read.
    """
    return {key: sample.image_sha256() for key, sample in task.samples.items()}


def score(
    name: str,
    loaded: Loaded,
    task: Task[L, Outcome],
    journal: Journal[L],
    images: Mapping[str, str],
    on_step: OnStep = lambda _: None,
) -> int:
    """Evaluate one subject on every image that the journal lacks, and add a line to it for each.

    Args:
        name: of the subject.
        images: sha256 of the images' files, by their keys, in the order of the data.
        on_step: told of each image as it begins.

    Returns:
        How many images were done now.

    Raises:
        ImageError: if an image is damaged.
        WriteError: if the journal cannot be written.
    """
    answer = task.scorer(name, loaded, journal)
    done = 0
    for number, (key, sha256) in enumerate(images.items(), 1):
        on_step(f"{name}: image {number} of {len(images)}")
        if journal.line(name, key) is None:
            journal.add(answer(key, sha256))
            done += 1
    return done
