"""``lightsam models``: what there is."""

from typing import TYPE_CHECKING

from rich.table import Table

from lightsam.cli.console import out, progress
from lightsam.cli.options import examples

if TYPE_CHECKING:
    from lightsam.cost import Cost
    from lightsam.models import ModelCard, WeightSet


EPILOG = examples("lightsam models")


def models() -> None:
    """What there is: size, cost, licenses, published figures, and which weights are cached."""
    from lightsam.cost import count
    from lightsam.models import MODELS
    from lightsam.weights.cache import is_cached

    with progress(len(MODELS)) as begin:
        rows = []
        for card in MODELS.values():
            begin(f"counting {card.name}")
            rows.append((card, count(card), {one.name: is_cached(card, one) for one in card.weights}))
    _print(rows)


def _print(rows: "list[tuple[ModelCard, dict[str, Cost], dict[str, bool]]]") -> None:
    """The table of models: card, what each stage costs, and which of its weights are cached."""
    from lightsam.models.card import IPHONE_12, M1_PRO

    devices = (IPHONE_12, M1_PRO)
    table = Table(
        "model",
        "encoder",
        "GMACs",
        "decoder",
        "GMACs",
        "sizes",
        "license",
        "COCO AP",
        *(f"{device} ms" for device in devices),
        "paper",
        "weights",
        caption="Parameters and GMACs are counted on the exported graphs, GMACs at the first size. AP and encoder "
        "latency are the authors' own, not measured here.",
    )
    sources: dict[str, str] = {}

    def mark(source: str) -> str:
        return sources.setdefault(source, f"({len(sources) + 1})")

    for card, cost, cached in rows:
        latencies = [card.published.latency("encoder", device) for device in devices]
        figures: list[tuple[float | str | None, str]] = [
            (card.published.coco_ap, card.published.source),
            *((None, "") if one is None else (one.ms, one.source) for one in latencies),
        ]
        table.add_row(
            card.name,
            f"{cost['encoder'].parameters / 1e6:.1f} M",
            f"{cost['encoder'].gmacs:.1f}",
            f"{cost['decoder'].parameters / 1e6:.1f} M",
            f"{cost['decoder'].gmacs:.1f}",
            ", ".join(map(str, card.image_sizes)),
            "\n".join(_beside(card, one, one.license_line) for one in card.weights),
            *("" if value is None else f"{value} {mark(source)}" for value, source in figures),
            card.paper.removeprefix("https://"),
            "\n".join(_beside(card, one, "cached" if cached[one.name] else "not cached") for one in card.weights),
        )
    out.print(table)
    for source, number in sources.items():
        out.print(f"{number} {source}", soft_wrap=True)


def _beside(card: "ModelCard", chosen: "WeightSet", text: str) -> str:
    """With the name of the set, where it is not the official one."""
    return text if chosen == card.official else f"{chosen.name}: {text}"
