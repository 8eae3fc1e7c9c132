"""``lightsam residency``: where Core ML would run a package."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from lightsam.cli.console import out
from lightsam.cli.options import Unit, examples

if TYPE_CHECKING:
    import numpy as np

    from lightsam_exporters.facts import FileFacts
    from lightsam_exporters.formats.base import Share

EPILOG = examples(
    "lightsam residency artifacts/mobile_sam --unit CPU_AND_NE",
    "lightsam residency artifacts/mobile_sam/onnx-float16 --unit CUDA",
)


def residency(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A model's folder, or that of one export.")],
    format_name: Annotated[str | None, typer.Option("--format", help="Of this format; the first by default.")] = None,
    precision: Annotated[str | None, typer.Option(help="Of this precision; the first by default.")] = None,
    unit: Unit = None,
) -> None:
    """Where the operations of each file run: on CPU, GPU or Neural Engine (Core ML on macOS; ONNX on a GPU)."""
    from lightsam.stages import STAGE_NAMES
    from lightsam_exporters.formats import find_format
    from lightsam_exporters.loading import find_exports

    entry = find_exports(folder, format_name, precision)[0]
    backend = find_format(entry.format_name)
    for stage in STAGE_NAMES:
        path = entry.path(stage)
        if path is not None:
            chosen = unit or backend.units[0]
            _print(f"{entry.name} {stage}, {chosen}", backend.residency(path, chosen, _zeros(entry.facts.files[stage])))


def _zeros(file: "FileFacts") -> dict[str, "np.ndarray"]:
    """Inputs of the right names and shapes; where an operation runs does not depend on what is in them."""
    import numpy as np

    return {
        one.name: np.zeros([side if isinstance(side, int) else 1 for side in one.shape], np.float32)
        for one in file.inputs
    }


def _print(title: str, shares: "list[Share]") -> None:
    """Where Core ML would run a package."""
    table = Table("device", "operations", "estimated cost", title=title)
    for share in shares:
        table.add_row(share.device, str(share.operations), f"{share.cost:.1%}")
    out.print(table)
