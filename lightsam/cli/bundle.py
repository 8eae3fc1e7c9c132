"""``lightsam bundle``: an export, with the code that runs it, for app developers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lightsam.cli.console import out, progress
from lightsam.cli.options import examples

if TYPE_CHECKING:
    from lightsam_exporters.handoff.bundle import Bundled, BundleRequest

EPILOG = examples(
    "lightsam bundle artifacts/mobile_sam --output MobileSAM-swift.zip",
    "lightsam bundle artifacts/mobile_sam --for android --output MobileSAM-android.zip",
    "lightsam bundle artifacts/mobile_sam --for web --precision float16 --output public/mobile_sam",
    "lightsam bundle artifacts/mobile_sam --output MobileSAM-swift.zip --record animals.json --record iphone.json",
    "lightsam bundle artifacts/mobile_sam --output small.zip --resources download --url https://example.org/sam/{path}",
)
_INSIDE, _DOWNLOAD = "inside", "download"


def bundle(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="A model's folder of artifacts, or one export of it.")],
    output: Annotated[Path, typer.Option(help="What is written.", metavar="FILE.zip|DIR")],
    platform: Annotated[
        str, typer.Option("--for", help="Whose code goes in: swift, android or web.", metavar="swift|android|web")
    ] = "swift",
    precision: Annotated[
        str | None,
        typer.Option(help="Of the export; what suits the platform best of what there is, if it is left out."),
    ] = None,
    resources: Annotated[
        str,
        typer.Option(
            help="Whether the model files go in, or the app downloads them from --url and checks their sha256.",
            metavar=f"{_INSIDE}|{_DOWNLOAD}",
        ),
    ] = _INSIDE,
    url: Annotated[
        str | None, typer.Option(help="Where the app finds the files; {path} stands for a file's.", metavar="URL")
    ] = None,
    record: Annotated[
        list[Path] | None,
        typer.Option(
            help="Of `lightsam evaluate` or `lightsam benchmark`, for the model card; may be given several times.",
            metavar="FILE.json",
        ),
    ] = None,
    weights_license: Annotated[
        Path | None,
        typer.Option(help="Text of the weights' license, where lightsam does not bring it.", metavar="FILE"),
    ] = None,
    allow_untrained: Annotated[
        bool, typer.Option("--allow-untrained", help="Also hand over random weights, to try the way.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Put the files of an export together with code, tests, licenses and a model card."""
    from lightsam.errors import UsageError
    from lightsam_benchmarks.handed_over import measured_of
    from lightsam_exporters.handoff.bundle import STEPS, BundleRequest
    from lightsam_exporters.handoff.bundle import bundle as make
    from lightsam_exporters.handoff.platforms import find_platform, preferred
    from lightsam_exporters.loading import find_exports

    if resources not in (_INSIDE, _DOWNLOAD):
        raise UsageError(f"resources are {_INSIDE} or {_DOWNLOAD}, not {resources!r}")
    if (resources == _DOWNLOAD) != (url is not None):
        raise UsageError(f"--resources {_DOWNLOAD} and --url belong together: give both, or neither")
    wanted = find_platform(platform)
    found = find_exports(path, wanted.format, precision)
    export = preferred(found, wanted)
    request = BundleRequest(
        export=export,
        platform=wanted,
        output=output,
        url=url,
        allow_untrained=allow_untrained,
        weights_license=weights_license,
        measured=measured_of(export, record or []),
        overwrite=overwrite,
    )
    with progress(STEPS) as begin:
        written = make(request, begin)
    _print(request, written)
    others = ", ".join(one.precision for one in found if one is not export)
    if others:
        out.print(f"{export.precision} was taken; --precision takes another one that is there: {others}")


def _print(request: "BundleRequest", written: "Bundled") -> None:
    """What was written, what a visitor loads of it, and what to do with model files that are downloaded."""
    from lightsam_exporters.artifacts import sha256, size_bytes

    size = f"{size_bytes(written.path) / 1e6:.1f} MB, sha256 {sha256(written.path)}"
    out.print(f"written to {written.path}: {request.export.name} for {request.platform.title}; {size}", soft_wrap=True)
    if written.visit_bytes is not None:
        out.print(
            f"a visitor downloads {written.visit_bytes / 1e6:.1f} MB once, the model included; less where the server "
            "compresses",
            soft_wrap=True,
        )
    if request.url is not None:
        names = " and ".join(file.path for file in request.export.facts.files.values())
        where = request.url.replace("{path}", "")
        out.print(
            f"put {names} of {request.export.folder} at {where}: the app downloads them from there", soft_wrap=True
        )
