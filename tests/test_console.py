"""What the command shows is what there is: names with brackets, any number of sources."""

from dataclasses import replace
from io import StringIO

import pytest
import tiny
from command import printing_to

from lightsam.cli import console as terminal
from lightsam.cli.models import _print as print_models
from lightsam.cost import Cost
from lightsam.models.card import IPHONE_12, Published, PublishedLatency


@pytest.mark.parametrize("name", ["[old]", "[/x]", "[red]mask[/red]", ":smile:"])
def test_a_path_is_printed_as_it_is(lightsam, tmp_path, name):
    done = lightsam("parity", tmp_path / name)
    assert done.status == 1
    assert f"{name} holds no export" in done.stderr


def test_every_figure_names_its_own_source():
    cards = [
        replace(
            tiny.CARD,
            name=f"model_{number}",
            published=Published(
                source=f"accuracy of {number}" if number else "",
                coco_ap=40.0 + number if number else None,
                latencies=(PublishedLatency("encoder", IPHONE_12, 100.0 + number, f"latency of {number}"),),
            ),
        )
        for number in range(12)
    ]
    cost = {stage: Cost(parameters=1, gmacs=1.0) for stage in ("encoder", "decoder")}
    shown = StringIO()
    with printing_to(terminal.out, shown):
        print_models([(card, cost, {one.name: False for one in card.weights}) for card in cards])
    marks = dict(line.split(" ", 1)[::-1] for line in shown.getvalue().splitlines() if line.startswith("("))
    assert len(marks) == 23  # the first has no accuracy
    for number, card in enumerate(cards):
        row = next(line for line in shown.getvalue().splitlines() if f" {card.name} " in line)
        assert f"{100.0 + number} {marks[f'latency of {number}']}" in row
        if number:
            assert f"{40.0 + number} {marks[f'accuracy of {number}']}" in row
