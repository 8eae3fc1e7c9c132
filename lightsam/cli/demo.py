"""``lightsam demo``: an export in the browser of this machine."""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from lightsam.cli.console import out, progress
from lightsam.cli.options import examples

if TYPE_CHECKING:
    from lightsam_exporters.loading import Export

EPILOG = examples(
    "lightsam demo",
    "lightsam demo artifacts/edge_sam --precision float16 --port 0 --open",
)
_PORT = 8420
"""Not one that other programs like: a browser keeps the page and its model by the port."""
_STEPS = 2
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
"""Environment variables that say where a Unix program shows its windows."""
_DIR_HELP = "A model's folder of artifacts, or one ONNX export of it."


def demo(
    path: Annotated[Path, typer.Argument(metavar="DIR", help=_DIR_HELP)] = Path("artifacts/mobile_sam"),
    precision: Annotated[
        str | None, typer.Option(help="Of the export; what suits browsers best of what there is, if it is left out.")
    ] = None,
    port: Annotated[
        int, typer.Option(help="Of 127.0.0.1, where the page is served; 0 takes any that is free.")
    ] = _PORT,
    show: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open it in the browser; by default where there is a display."),
    ] = None,
    allow_untrained: Annotated[
        bool, typer.Option("--allow-untrained", help="Also show random weights, to try the way.")
    ] = False,
) -> None:
    """Serve a page on this machine that segments a photograph with a click, until Ctrl-C."""
    from lightsam_exporters.browser.server import SiteServer
    from lightsam_exporters.handoff import contents
    from lightsam_exporters.handoff.platforms import find_platform

    web = find_platform("web")
    export = _find(path, precision)
    with (
        _killed_as_interrupted(),
        tempfile.TemporaryDirectory(prefix="lightsam-demo-") as name,
        SiteServer(Path(name), port) as server,
    ):
        with progress(_STEPS) as begin:
            begin(f"checking {export.folder}")
            contents.check(export, web, allow_untrained=allow_untrained)
            begin("putting the page together")
            about = contents.put(export, web, Path(name))
        with contextlib.suppress(KeyboardInterrupt):
            weights = f"{about.weights.name} weights" if about.trained else "random weights, whose masks mean nothing"
            what = f"{about.title}, {export.name}, {weights}"
            out.print(f"{server.url} shows {what}; Ctrl-C ends it", soft_wrap=True)
            _open(server.url, show)
            Event().wait()


def _find(path: Path, precision: str | None) -> "Export":
    """The export that is shown.

    Raises:
        LightSamError: if there is none; the message says how one is made.
    """
    from lightsam.errors import ContractError, UsageError
    from lightsam_exporters.handoff.platforms import find_platform, preferred
    from lightsam_exporters.loading import find_exports

    web = find_platform("web")
    try:
        return preferred(find_exports(path, web.format, precision), web)
    except (ContractError, UsageError) as error:
        asked = f" --precision {precision}" if precision else ""
        raise type(error)(f"{error}; `lightsam export mobile_sam --to {web.format}{asked}` makes one") from error


def _open(url: str, show: bool | None) -> None:
    """Show the page, where that is wanted."""
    import webbrowser

    if show is None:
        show = sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in _DISPLAYS)
    if show:
        webbrowser.open(url)


@contextlib.contextmanager
def _killed_as_interrupted() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C, so that the temporary folder goes then, too."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
