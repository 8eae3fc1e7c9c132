"""Options of the commands that evaluate: which subjects, how they are run, and where the record goes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lightsam.cli.console import DownloadBar
from lightsam.cli.options import names_in
from lightsam_exporters.formats import FORMATS

if TYPE_CHECKING:
    from lightsam_benchmarks.quality.subjects import Loading

Subjects = Annotated[
    list[str],
    typer.Argument(metavar="SUBJECT...", help="A model's name (PyTorch), a folder of exports, or one of its folders."),
]
SubjectWeights = Annotated[
    list[str] | None,
    typer.Option(
        help="Of models: as for an export; repeatable, a subject each. trained by default.",
        metavar="official|SET|trained|seeded|auto|PATH",
    ),
]
SubjectSize = Annotated[int | None, typer.Option(help="Of models: side of the square input.")]
SubjectFormats = Annotated[
    str | None, typer.Option("--format", help=f"Of folders: {', '.join(FORMATS)}, separated by commas.")
]
SubjectPrecision = Annotated[str | None, typer.Option(help="Of folders: this precision alone.")]
OverwriteRecord = Annotated[
    bool, typer.Option("--overwrite", help="Replace a record that is there, and discard what another run has begun.")
]
Shards = Annotated[
    int | None, typer.Option(help="Of very many images: so many parts, each in a process of its own; same record.")
]
Jobs = Annotated[int, typer.Option(help="With --shards: at a time, by Dask where it is more than one.")]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="With --shards: a Dask scheduler that runs already.")
]
Threads = Annotated[int | None, typer.Option(help="On the CPU; what each runtime takes by default.")]


def loading_of(
    *,
    weights: Sequence[str] | None,
    image_size: int | None,
    format_name: str | None,
    precision: str | None,
    unit: str | None,
    numerics: str,
    threads: int | None,
    accept_license: bool,
) -> "Loading":
    """How subjects are found and run, by these options."""
    from lightsam_benchmarks.quality.subjects import Loading
    from lightsam_exporters.formats.running import RunOptions

    how = RunOptions(unit, numerics, threads=threads)
    return Loading(
        tuple(weights or ()), image_size, names_in(format_name), precision, how, accept_license, DownloadBar()
    )
