"""The commands ``lightsam weights ...``: published checkpoints and their cache."""

from typing import Annotated

import typer

from lightsam.terminal import DownloadBar, out, print_weights

AcceptLicense = Annotated[
    bool, typer.Option("--accept-license", help="For weights that are not for commercial use: yours is none.")
]


def examples(*lines: str) -> str:
    """An epilog of commands, each on a line of its own."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  {line}" for line in lines)


app = typer.Typer(
    help="Published checkpoints: what is cached, and how it gets there.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Names = Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="All models by default.")]


@app.command("list", epilog=examples("lightsam weights list"))
def list_checkpoints() -> None:
    """Every checkpoint: where it comes from, whether it is cached, its hash and its licence."""
    from lightsam.downloads import checkpoint_path, expected_sha256, is_cached
    from lightsam.models import MODELS

    print_weights([(c, checkpoint_path(c), expected_sha256(c), is_cached(c)) for c in MODELS.values()])


@app.command(
    "download",
    epilog=examples("lightsam weights download mobile_sam", "lightsam weights download edge_sam --accept-license"),
)
def download(
    names: Annotated[list[str], typer.Argument(metavar="MODEL...")], accept_license: AcceptLicense = False
) -> None:
    """Fetch checkpoints into the cache, and hold them to their hash."""
    from lightsam.checkpoints import check_licence
    from lightsam.downloads import download
    from lightsam.models import find_model

    cards = [find_model(name) for name in names]
    for card in cards:
        check_licence(card, accept_license)
    for card in cards:
        out.print(f"{card.name}: {download(card, DownloadBar())}", soft_wrap=True)


@app.command("verify", epilog=examples("lightsam weights verify", "lightsam weights verify mobile_sam"))
def verify(names: Names = None) -> None:
    """Hold cached checkpoints to their hash; exit status 1 if one is wrong, or one that was named is not there."""
    from lightsam.downloads import is_cached, verify
    from lightsam.errors import CheckpointError
    from lightsam.models import MODELS, find_model

    cards = [find_model(name) for name in names] if names else [card for card in MODELS.values() if is_cached(card)]
    if not cards:
        out.print("no checkpoint is cached")
    wrong = []
    for card in cards:
        try:
            out.print(f"{card.name}: {verify(card)}", soft_wrap=True)
        except CheckpointError as error:
            wrong.append(str(error))
    if wrong:
        raise CheckpointError("; ".join(wrong))


@app.command("path", epilog=examples("lightsam weights path mobile_sam"))
def path(name: Annotated[str, typer.Argument(metavar="MODEL")]) -> None:
    """Print where a cached checkpoint is; exit status 1 if it is not there."""
    from lightsam.downloads import checkpoint_path, is_cached
    from lightsam.errors import CheckpointError
    from lightsam.models import find_model

    card = find_model(name)
    if not is_cached(card):
        raise CheckpointError(f"the checkpoint of {name} is not cached: lightsam weights download {name}")
    out.print(checkpoint_path(card), soft_wrap=True)
