"""An evaluation over very many images, in shards: consecutive images each, in processes or on the machines of Dask.

A shard keeps a journal of its own in a folder beside the record, so a killed one goes on where it was. The lines of
all journals, in the order of the data, are what a run in one process would have written, and the record is made from
them by the same `Task.gather`: it is the same record whatever the number of shards.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic

import torch

from lightsam.errors import ContractError, EvaluationError, UsageError, in_words

from .evaluations import Asked, Outcome, Task, hashes, score
from .executor import Executor, spread
from .journals import Journal, L, folder_of, locked, of_same, path_of, read, refuse_other
from .machine import usable_cores
from .quality.record import Evaluated

PATIENCE = 20.0
"""Seconds for the process of a killed run to let go of its shard."""


@dataclass(frozen=True)
class Work:
    """What goes to the process of a shard besides the shard."""

    asked: Asked
    run: str
    """`Task.digest` of all shards; no image's file is in it, as nobody has read them."""
    identities: tuple[tuple[str, str], ...]
    """Name and `Loaded.identity` of every subject, as the process that began the run loaded it."""
    threads: int
    """Of PyTorch. Figures are the same to the last digit only at the same number of threads."""
    overwrite: bool
    """Whether what was done on an image that is another now may be thrown away."""


@dataclass(frozen=True)
class Shard(Generic[L, Outcome]):
    """Consecutive images of the data."""

    number: int
    """From 1."""
    of: int
    """Number of shards."""
    task: Task[L, Outcome]
    """Of these images."""
    journal: Path

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"shard {self.number} of {self.of}"


@dataclass(frozen=True)
class ShardResult:
    """What became of a shard."""

    title: str
    why_not: str
    """Empty if it is done."""
    images: int = 0
    """Encoded now, by all subjects together; what was done before does not count."""
    seconds: float = 0.0


def warning(asked: Asked, executor: Executor) -> str:
    """What whoever starts it should know; empty if nothing."""
    cores = usable_cores()
    if executor.scheduler is None and executor.jobs > 1 and executor.jobs * asked.threads > max(cores, executor.jobs):
        fitting = max(1, cores // executor.jobs)
        return f"{executor.jobs} jobs of {asked.threads} threads share {cores} cores: --threads {fitting} is faster"
    return ""


def split(task: Task[L, Outcome], count: int, folder: Path) -> list[Shard[L, Outcome]]:
    """Shards of consecutive images, the first ones an image larger where the number does not divide.

    Raises:
        UsageError: for no shard, or more shards than images.
    """
    images = len(task.samples)
    if not 1 <= count <= images:
        raise UsageError(f"--shards is 1 to {images} for as many images, not {count}")
    size, larger = divmod(images, count)
    ends = [number * size + min(number, larger) for number in range(count + 1)]
    width = len(str(count))
    return [
        Shard(number, count, task.part(start, end), folder / f"{number:0{width}}-of-{count}.jsonl")
        for number, (start, end) in enumerate(pairwise(ends), 1)
    ]


def evaluate_in_shards(
    asked: Asked,
    task: Task[L, Outcome],
    output: Path,
    count: int,
    executor: Executor,
    *,
    overwrite: bool = False,
    on_done: Callable[[ShardResult], None] = lambda _: None,
) -> Outcome:
    """Evaluate every subject on every image, shard by shard, and write the record.

    Args:
        task: whose images need not have been looked at; the processes of the shards do it.
        output: of the record; where machines share the work, in a folder that they share.
        count: of shards; a run that was killed may go on with another.
        overwrite: whether what another run left may be thrown away.
        on_done: told of each shard as it ends.

    Raises:
        ArtifactExistsError: if a run without shards was begun for the same record.
        ContractError: if what was begun asked something else, or of other data, weights or files.
        EvaluationError: if a shard failed or its process died; the others are done, and stay so.
        UsageError: for no such number of shards, or if another process is at it.
        WriteError: if nothing can be written.
    """
    output = output.absolute()  # for other processes
    folder = folder_of(output)
    shards = split(task, count, folder)
    candidates, pairs = asked.candidates()
    with locked(output):
        refuse_other(path_of(output), "a run without --shards", overwrite)
        subjects: list[Evaluated] = []
        identities: dict[str, str] = {}
        for candidate in candidates:
            loaded = candidate.load()  # fetched and checked once, before many processes do
            subjects.append(loaded.evaluated(candidate.name))
            identities[candidate.name] = loaded.identity
            del loaded
        run = task.digest(dict.fromkeys(task.samples, ""))
        _lay_out(shards, run, task, identities, overwrite)
        work = Work(asked.sent(), run, tuple(identities.items()), asked.threads, overwrite)
        failed = []
        for done in spread(partial(score_shard, work), shards, executor, _died):
            on_done(done)
            if done.why_not:
                failed.append(done)
        if failed:
            raise EvaluationError(
                f"{len(failed)} of {count} shards are not done; what is done is kept, and the same command goes on: "
                + "; ".join(f"{one.title}: {one.why_not}" for one in failed[:3])
            )
        found = (read(shard.journal, shard.task.form(run), identities, overwrite=False) for shard in shards)
        lines = of_same(folder, [line for part in found for line in part], identities, overwrite=False)
        journal = Journal(folder, task.form(run), lines)
        outcome = task.gather(subjects, _images(journal, task, identities), journal, pairs)
        task.write(outcome, output)
        shutil.rmtree(folder)
    return outcome


def score_shard(work: Work, shard: Shard[Any, Any]) -> ShardResult:
    """Do a shard in this process; what fails is a result, too."""
    began = time.monotonic()
    try:
        images = _score(work, shard)
    except Exception as error:  # also a library's own: in one shard it must not end the others
        return ShardResult(shard.title, in_words(error), 0, time.monotonic() - began)
    return ShardResult(shard.title, "", images, time.monotonic() - began)


def _score(work: Work, shard: Shard[Any, Any]) -> int:
    torch.set_num_threads(work.threads)
    names = [name for name, _ in work.identities]
    if not shard.journal.exists():  # the process that began the run wrote it
        raise UsageError(f"{shard.journal} is not there: --output must be in a folder that all machines share")
    for sample in shard.task.samples.values():
        sample.check_image()
    images = hashes(shard.task)
    form = shard.task.form(work.run)
    with locked(shard.journal, PATIENCE):
        lines = []
        for line in read(shard.journal, form, names, overwrite=False):
            if line.image_sha256 == images[line.key]:
                lines.append(line)
            elif not work.overwrite:
                raise ContractError(f"the image {line.key} was another when it was evaluated: say --overwrite")
        journal = Journal(shard.journal, form, lines)
        journal.write()  # without a line that a kill left unfinished
        encoded = 0
        candidates, _ = work.asked.candidates()
        for candidate, (name, expected) in zip(candidates, work.identities, strict=True):
            if len(journal.lines(name, images)) == len(images):
                continue
            loaded = candidate.load()
            if loaded.identity != expected:
                raise ContractError(
                    f"{name} has other weights or files here, or another runtime, than where the run was begun: "
                    "install the same release on every machine"
                )
            encoded += score(name, loaded, shard.task, journal, images)
            del loaded
    return encoded


def _died(shard: Shard[Any, Any], how: str) -> ShardResult:
    return ShardResult(shard.title, how)


def _lay_out(
    shards: Sequence[Shard[L, Outcome]],
    run: str,
    task: Task[L, Outcome],
    identities: Mapping[str, str],
    overwrite: bool,
) -> None:
    """Write the journal of every shard, with what journals of the same run, of however many shards, hold already.

    Raises:
        ContractError: if one is of another run, or of other weights or files, and may not be thrown away.
    """
    folder = shards[0].journal.parent
    there, form = sorted(folder.glob("*.jsonl")), task.form(run)
    found = [line for path in there for line in read(path, form, identities, overwrite=overwrite)]
    done = Journal(folder, form, of_same(folder, found, identities, overwrite=overwrite))
    for shard in shards:
        mine = [line for name in identities for line in done.lines(name, shard.task.samples)]
        Journal(shard.journal, form, mine).write()
    for path in {*there} - {shard.journal for shard in shards}:
        path.unlink()


def _images(journal: Journal[L], task: Task[L, Outcome], names: Mapping[str, str]) -> dict[str, str]:
    """sha256 of every image's file by its key, as it was when it was evaluated.

    Raises:
        ContractError: if an image is missing, or was not the same for every subject.
    """
    found = {}
    for key in task.samples:
        lines = [journal.line(name, key) for name in names]
        said = {"" if line is None else line.image_sha256 for line in lines}
        if len(said) != 1 or "" in said:
            raise ContractError(f"the journals do not agree on the image {key}: say --overwrite")
        (found[key],) = said
    return found
