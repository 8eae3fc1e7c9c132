"""``lightsam models``: what there is."""

from typing import TYPE_CHECKING

from rich.table import Column, Table

from lightsam.cli.console import out
from lightsam.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lightsam.catalogue import Entry

EPILOG = examples("lightsam models")


def models() -> None:
    """What there is: size, cost, licenses, published figures, and which weights are cached."""
    from lightsam.catalogue import read
    from lightsam.weights.folder import cache_root

    _print(read(), cache_root())


def _print(entries: "Sequence[Entry]", cache: "Path") -> None:
    """The table of models, and which of their weights are below the folder ``cache``."""
    from lightsam.catalogue import IPHONE_12, M1_PRO

    devices = (IPHONE_12, M1_PRO)
    table = Table(
        Column("model", no_wrap=True),
        "encoder",
        "GMACs",
        "decoder",
        "GMACs",
        "sizes",
        Column("license", overflow="fold", min_width=21),  # what somebody may do must not be cut off
        "COCO AP",
        *(f"{device} ms" for device in devices),
        Column("paper", no_wrap=True),
        "weights",
        caption="GMACs are counted on the graphs exported to ONNX, at the first size. AP and encoder "
        "latency are the authors' own, not measured here.",
    )
    sources: dict[str, str] = {}

    def mark(source: str) -> str:
        return sources.setdefault(source, f"({len(sources) + 1})")

    for entry in entries:
        figures = [entry.coco_ap, *(entry.encoder_ms.get(device) for device in devices)]
        # The official set goes without its name.
        sets = [("" if index == 0 else f"{one.name}: ", one) for index, one in enumerate(entry.weights)]
        encoder, decoder = entry.cost["encoder"], entry.cost["decoder"]
        table.add_row(
            entry.name,
            f"{encoder.parameters / 1e6:.1f} M",
            f"{encoder.gmacs:.1f}",
            f"{decoder.parameters / 1e6:.1f} M",
            f"{decoder.gmacs:.1f}",
            ", ".join(map(str, entry.image_sizes)),
            "\n".join(f"{name}{one.license}" for name, one in sets),
            *("" if one is None else f"{one.value} {mark(one.source)}" for one in figures),
            entry.paper.removeprefix("https://"),
            "\n".join(f"{name}{'cached' if (cache / one.cached_as).is_file() else 'not cached'}" for name, one in sets),
        )
    out.print(table)
    for source, number in sources.items():
        out.print(f"{number} {source}", soft_wrap=True)
