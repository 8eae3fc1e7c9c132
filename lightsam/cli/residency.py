"""``lightsam residency``: where Core ML would run a package."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from lightsam.cli.console import out
from lightsam.cli.options import ComputeUnits, examples

if TYPE_CHECKING:
    from lightsam_exporters.formats.residency import Share

EPILOG = examples("lightsam residency artifacts/mobile_sam --compute-units CPU_AND_NE")


def residency(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A model's folder, with its manifest.json.")],
    precision: Annotated[str | None, typer.Option(help="Of this precision; the first by default.")] = None,
    compute_units: ComputeUnits = "ALL",
) -> None:
    """Core ML on macOS: which share of each package would run on CPU, GPU and Neural Engine."""
    from lightsam.stages import STAGE_NAMES
    from lightsam_exporters.formats.residency import residency as ask
    from lightsam_exporters.loading import find_export

    entry = find_export(folder, "coreml", precision)
    for stage in STAGE_NAMES:
        path = entry.path(stage)
        if path is not None:
            _print(f"{entry.name} {stage}, {compute_units}", ask(path, compute_units))


def _print(title: str, shares: "list[Share]") -> None:
    """Where Core ML would run a package."""
    table = Table("device", "operations", "estimated cost", title=title)
    for share in shares:
        table.add_row(share.device, str(share.operations), f"{share.cost:.1%}")
    out.print(table)
