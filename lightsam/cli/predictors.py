"""The predictor that a command runs, a model in PyTorch or exported files, and the options that name it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lightsam.cli.console import DownloadBar

if TYPE_CHECKING:
    from lightsam.predictor import Predictor


Model = Annotated[str, typer.Option(help="Run this model in PyTorch.")]
Artifacts = Annotated[Path | None, typer.Option(metavar="DIR", help="Run the exported files of this folder instead.")]
ModelSize = Annotated[int | None, typer.Option(help="With --model: side of the square input.")]
FileFormat = Annotated[str | None, typer.Option("--format", help="With --artifacts: this format.")]
FilePrecision = Annotated[str | None, typer.Option(help="With --artifacts: this precision.")]


def open_predictor(
    *,
    model: str,
    artifacts: Path | None,
    weights: str,
    image_size: int | None,
    format_name: str | None,
    precision: str | None,
    unit: str | None,
    numerics: str,
    accept_license: bool,
) -> "Predictor":
    """Load what the options of a command name.

    Raises:
        LightSamError: for weights that cannot be had, or files that are not there or damaged.
    """
    if artifacts is not None:
        from lightsam_exporters.formats.running import RunOptions
        from lightsam_exporters.loading import load_predictor

        how = RunOptions(unit, numerics)
        return load_predictor(artifacts, format_name=format_name, precision=precision, how=how)
    from lightsam.predictor import Predictor
    from lightsam.weights.checkpoints import load_model

    loaded = load_model(
        model, weights=weights, image_size=image_size, accept_license=accept_license, progress=DownloadBar()
    )
    return Predictor.from_model(loaded)
