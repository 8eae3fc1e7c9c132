"""What ``lightsam evaluate``, ``edges`` and ``instances`` share: one process, or shards with a line for each."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from lightsam.cli.console import err, progress

if TYPE_CHECKING:
    from lightsam_benchmarks.evaluations import Asked, Outcome, Task
    from lightsam_benchmarks.executor import Executor
    from lightsam_benchmarks.journals import L
    from lightsam_benchmarks.quality.subjects import Candidate
    from lightsam_benchmarks.shards import ShardResult


def check_output(output: Path, overwrite: bool) -> None:
    """Refuse a record that cannot be written, before any work is done for it.

    Raises:
        ArtifactExistsError: if it is there, and nobody said that it may be replaced.
        UsageError: if it is no ``.json``.
    """
    from lightsam.errors import ArtifactExistsError
    from lightsam.files import check_suffix

    check_suffix(output, (".json",))
    if output.exists() and not overwrite:
        raise ArtifactExistsError(f"{output} is there already: choose another --output, or say --overwrite")


def executor_of(shards: int | None, jobs: int, scheduler: str | None) -> "Executor":
    """Where the shards go.

    Raises:
        UsageError: if there is none to go, or for no job.
    """
    from lightsam.errors import UsageError
    from lightsam_benchmarks.executor import Executor

    if shards is None and (jobs != 1 or scheduler is not None):
        raise UsageError("--jobs and --scheduler are for an evaluation in shards: say how many with --shards")
    return Executor(jobs, scheduler)


def run(
    asked: "Asked",
    candidates: "Sequence[Candidate]",
    pairs: Sequence[tuple[str, str]],
    task: "Task[L, Outcome]",
    output: Path,
    *,
    shards: int | None,
    executor: "Executor",
    overwrite: bool,
) -> "Outcome":
    """Evaluate in this process, or in shards, and say how far it is.

    Args:
        candidates: those of ``asked``, and which ``pairs`` of them are compared.
        shards: their number; None for none.

    Raises:
        LightSamError: as `evaluate` and `evaluate_in_shards`.
    """
    from lightsam_benchmarks.evaluations import evaluate

    if shards is not None:
        return _run_shards(asked, task, output, shards, executor, overwrite)
    with progress(len(candidates) * len(task.samples)) as begin:
        return evaluate(candidates, task, output, pairs=pairs, overwrite=overwrite, on_step=begin)


def _run_shards(
    asked: "Asked", task: "Task[L, Outcome]", output: Path, count: int, executor: "Executor", overwrite: bool
) -> "Outcome":
    from lightsam_benchmarks.shards import evaluate_in_shards, warning

    if warning(asked, executor):
        err.print(Text(warning(asked, executor), "yellow"), soft_wrap=True)
    with progress(count) as begin:
        begin(f"{len(task.samples)} images in {count} shards")

        def show(done: "ShardResult") -> None:
            what = f"not done, {done.why_not}" if done.why_not else f"{done.images} images encoded"
            begin(f"{done.title}: {what}, in {done.seconds:.0f} s")

        return evaluate_in_shards(asked, task, output, count, executor, overwrite=overwrite, on_done=show)
