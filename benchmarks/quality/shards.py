"""An evaluation over very many images, in shards: consecutive images each, in processes or on the machines of Dask.

A shard keeps a journal of its own in a folder beside the record, so a killed one goes on where it was. The lines of
all journals, in the order of the data, are what a run in one process would have written, and the record is made from
them by the same `run.gather`: it is the same record whatever the number of shards.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch

from lightsam.errors import ArtifactExistsError, ContractError, EvaluationError, UsageError, in_words
from lightsam.models import MODELS
from lightsam_benchmarks.executor import Executor, spread
from lightsam_benchmarks.journals import locked, path_of
from lightsam_benchmarks.machine import usable_cores

from .dataset import DataSet
from .evaluation import Evaluation
from .journal import Journal, begin, digest, read
from .record import Evaluated
from .run import Outcome, evaluated, gather, identity, score
from .storage import write
from .subjects import Candidate, Loading, find

PATIENCE = 20.0
"""Seconds for the process of a killed run to let go of its shard."""


@dataclass(frozen=True)
class Asked:
    """What every shard does; it goes to other processes, which find the subjects again by it."""

    subjects: tuple[str, ...]
    """Models and folders, as `subjects.find` takes them."""
    others: tuple[str, ...]
    loading: Loading
    evaluation: Evaluation

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


@dataclass(frozen=True)
class Work:
    """What goes to the process of a shard besides the shard."""

    asked: Asked
    run: str
    """`digest` of what is asked and of the ground truth of all shards."""
    identities: tuple[tuple[str, str], ...]
    """Name and `run.identity` of every subject, as the process that began the run loaded it."""
    threads: int
    """Of PyTorch. Figures are the same to the last digit only at the same number of threads."""


@dataclass(frozen=True)
class Shard:
    """Consecutive images of a data set."""

    number: int
    """From 1."""
    of: int
    """Number of shards."""
    data: DataSet
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


def folder_of(output: Path) -> Path:
    """Where the journals of a record's shards are."""
    return output.with_name(f"{output.stem}.shards")


def warning(asked: Asked, executor: Executor) -> str:
    """What whoever starts it should know; empty if nothing."""
    cores = usable_cores()
    if executor.scheduler is None and executor.jobs > 1 and executor.jobs * asked.threads > max(cores, executor.jobs):
        fitting = max(1, cores // executor.jobs)
        return f"{executor.jobs} jobs of {asked.threads} threads share {cores} cores: --threads {fitting} is faster"
    return ""


def split(data: DataSet, count: int, folder: Path) -> list[Shard]:
    """Shards of consecutive images, the first ones an image larger where the number does not divide.

    Raises:
        UsageError: for no shard, or more shards than images.
    """
    if not 1 <= count <= len(data.samples):
        raise UsageError(f"--shards is 1 to {len(data.samples)} for as many images, not {count}")
    size, larger = divmod(len(data.samples), count)
    ends = [number * size + min(number, larger) for number in range(count + 1)]
    width = len(str(count))
    return [
        Shard(
            number,
            count,
            replace(data, samples=data.samples[start:end], dropped={}),
            folder / f"{number:0{width}}-of-{count}.jsonl",
        )
        for number, (start, end) in enumerate(pairwise(ends), 1)
    ]


def evaluate_in_shards(
    asked: Asked,
    data: DataSet,
    output: Path,
    count: int,
    executor: Executor,
    *,
    overwrite: bool = False,
    on_done: Callable[[ShardResult], None] = lambda _: None,
) -> Outcome:
    """Evaluate every subject on every image, shard by shard, and write the record.

    Args:
        data: whose images need not have been looked at; the processes of the shards do it.
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
    shards = split(data, count, folder)
    candidates, pairs = asked.candidates()
    with locked(output):
        refuse_other(path_of(output), "a run without --shards", overwrite)
        subjects: list[Evaluated] = []
        identities: list[tuple[str, str]] = []
        for candidate in candidates:
            loaded = candidate.load()  # fetched and checked once, before many processes do
            subjects.append(evaluated(candidate.name, loaded))
            identities.append((candidate.name, identity(loaded)))
            del loaded
        run = digest(asked.evaluation, data.truth_sha256())
        names = [candidate.name for candidate in candidates]
        _lay_out(shards, run, data, dict(identities), overwrite)
        work = Work(asked.sent(), run, tuple(identities), asked.threads)
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
        lines = [line for shard in shards for line in read(shard.journal, run, shard.data, names, overwrite=False)]
        journal = Journal(folder, lines)
        for name, sha256 in identities:
            journal.check(name, sha256)
        images = _images(journal, data, names)
        outcome = gather(subjects, data, data.sha256(images), asked.evaluation, journal, pairs)
        write(outcome.record, output)
        shutil.rmtree(folder)
    return outcome


def refuse_other(path: Path, what: str, overwrite: bool) -> None:
    """Make sure that a run of the other kind left nothing for the same record; what it left goes with ``overwrite``.

    Raises:
        ArtifactExistsError: if it left something.
    """
    if path.exists() and not overwrite:
        raise ArtifactExistsError(f"{path} is of {what}: go on with that, or say --overwrite")
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def score_shard(work: Work, shard: Shard) -> ShardResult:
    """Do a shard in this process; what fails is a result, too."""
    began = time.monotonic()
    try:
        images = _score(work, shard)
    except Exception as error:  # also a library's own: in one shard it must not end the others
        return ShardResult(shard.title, in_words(error), 0, time.monotonic() - began)
    return ShardResult(shard.title, "", images, time.monotonic() - began)


def _score(work: Work, shard: Shard) -> int:
    torch.set_num_threads(work.threads)
    evaluation = work.asked.evaluation
    names = [name for name, _ in work.identities]
    if not shard.journal.exists():  # the process that began the run wrote it
        raise UsageError(f"{shard.journal} is not there: --output must be in a folder that all machines share")
    shard.data.check_images()
    images = {sample.name: sample.image_sha256() for sample in shard.data.samples}
    with locked(shard.journal, PATIENCE):
        lines = read(shard.journal, work.run, shard.data, names, overwrite=False)
        for line in lines:
            if line.image_sha256 != images[line.image]:
                raise ContractError(f"the image {line.image} was another when it was evaluated: say --overwrite")
        begin(shard.journal, work.run, lines)  # without a line that a kill left unfinished
        journal = Journal(shard.journal, lines)
        encoded = 0
        candidates, _ = work.asked.candidates()
        for candidate, (name, expected) in zip(candidates, work.identities, strict=True):
            left = sum(journal.scores(name, sample.name) is None for sample in shard.data.samples)
            if not left:
                continue
            loaded = candidate.load()
            if identity(loaded) != expected:
                raise ContractError(
                    f"{name} has other weights or files here, or another runtime, than where the run was begun: "
                    "install the same release on every machine"
                )
            score(name, loaded, shard.data, evaluation, journal, images=images)
            encoded += left
            del loaded
    return encoded


def _died(shard: Shard, how: str) -> ShardResult:
    return ShardResult(shard.title, how)


def _lay_out(shards: Sequence[Shard], run: str, data: DataSet, identities: Mapping[str, str], overwrite: bool) -> None:
    """Write the journal of every shard, with what journals of the same run, of however many shards, hold already.

    Raises:
        ContractError: if one is of another run, or of other weights or files, and may not be thrown away.
    """
    there = sorted(shards[0].journal.parent.glob("*.jsonl"))
    lines = [line for path in there for line in read(path, run, data, tuple(identities), overwrite=overwrite)]
    if overwrite:
        lines = [line for line in lines if line.sha256 == identities[line.subject]]
    for name, sha256 in identities.items():
        Journal(shards[0].journal.parent, lines).check(name, sha256)
    done = {(line.subject, line.image): line for line in lines}
    for shard in shards:
        mine = [done.get((name, sample.name)) for name in identities for sample in shard.data.samples]
        begin(shard.journal, run, [line for line in mine if line is not None])
    for path in {*there} - {shard.journal for shard in shards}:
        path.unlink()


def _images(journal: Journal, data: DataSet, names: Sequence[str]) -> dict[str, str]:
    """sha256 of every image's file by its name, as it was when it was evaluated.

    Raises:
        ContractError: if an image is missing, or was not the same for every subject.
    """
    found = {}
    for sample in data.samples:
        said = {journal.image_sha256(name, sample.name) for name in names}
        if len(said) != 1 or "" in said:
            raise ContractError(f"the journals do not agree on the image {sample.name}: say --overwrite")
        (found[sample.name],) = said
    return found
