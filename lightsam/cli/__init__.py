"""The command ``lightsam``.

Results go to stdout, progress and log to stderr. Exit status: 0 done, 1 something failed, 2 wrong usage. Everything
heavy is imported where it is used, so that ``--help`` is instant.
"""

import logging
from typing import Annotated

import typer
from rich.logging import RichHandler

from lightsam.cli import (
    benchmark,
    bundle,
    demo,
    evaluate,
    everything,
    export,
    lint,
    models,
    parity,
    predict,
    residency,
    rewrites,
    sensitivity,
    sweep,
    weights,
)
from lightsam.cli.console import err, fail, out
from lightsam.cli.format_options import ExportCommand
from lightsam.errors import LightSamError
from lightsam.version import __version__
from lightsam_exporters.formats.quiet import own_the_process

app = typer.Typer(
    name="lightsam",
    help="Light Segment Anything models, from a PyTorch checkpoint to phones, laptops and browsers.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)
app.command(epilog=models.EPILOG)(models.models)
app.add_typer(weights.app, name="weights")
app.command(cls=ExportCommand, epilog=export.EPILOG)(export.export)
app.command(epilog=parity.EPILOG)(parity.parity)
app.command(epilog=lint.EPILOG)(lint.lint)
app.command(epilog=predict.EPILOG)(predict.predict)
app.command(epilog=everything.EPILOG)(everything.everything)
app.command(epilog=bundle.EPILOG)(bundle.bundle)
app.command(epilog=demo.EPILOG)(demo.demo)
app.command(epilog=residency.EPILOG)(residency.residency)
benchmark.app.command(epilog=rewrites.EPILOG)(rewrites.rewrites)
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(evaluate.app, name="evaluate")
app.command(epilog=sensitivity.EPILOG)(sensitivity.sensitivity)
app.command(epilog=sweep.EPILOG)(sweep.sweep)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"lightsam {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what converters say, too.")] = False,
) -> None:
    own_the_process()
    logger = logging.getLogger("lightsam")
    logger.handlers = [RichHandler(console=err, show_time=False, show_path=False, markup=False)]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False


_INTERRUPTED = 130


def main() -> None:
    """Run the command; every error that is somebody's to mend is one line and an exit status."""
    try:
        app()
    except LightSamError as error:
        fail(str(error), error.exit_status)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:  # what Typer makes of a KeyboardInterrupt
            fail("interrupted; what was there before is as it was", 1)
        raise
    except OSError as error:
        fail(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
    except MemoryError:
        fail("there is not enough memory for this model: close other programs, or take a smaller one", 1)
