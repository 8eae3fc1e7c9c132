"""``lightsam evaluate --shards``: many images on several processes or machines, with a line for each shard."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from lightsam.cli.console import err, progress

if TYPE_CHECKING:
    from lightsam_benchmarks.executor import Executor
    from lightsam_benchmarks.quality.dataset import DataSet
    from lightsam_benchmarks.quality.run import Outcome
    from lightsam_benchmarks.quality.shards import Asked, ShardResult


def run_shards(
    asked: "Asked", data: "DataSet", output: Path, count: int, executor: "Executor", overwrite: bool
) -> "Outcome":
    """Evaluate in shards, and say of each how it ended.

    Raises:
        LightSamError: as `evaluate_in_shards`.
    """
    from lightsam_benchmarks.quality.shards import evaluate_in_shards, warning

    if warning(asked, executor):
        err.print(Text(warning(asked, executor), "yellow"), soft_wrap=True)
    with progress(count) as begin:
        begin(f"{len(data.samples)} images in {count} shards")

        def show(done: "ShardResult") -> None:
            what = f"not done, {done.why_not}" if done.why_not else f"{done.images} images encoded"
            begin(f"{done.title}: {what}, in {done.seconds:.0f} s")

        return evaluate_in_shards(asked, data, output, count, executor, overwrite=overwrite, on_done=show)
