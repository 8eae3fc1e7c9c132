"""What the command shows is what there is: names with brackets, any number of sources."""

from io import StringIO

import pytest
from command import printing_to

from lightsam.catalogue import IPHONE_12, Cost, Entry, Figure, WeightEntry
from lightsam.cli import console as terminal
from lightsam.cli.models import _print as print_models


@pytest.mark.parametrize("name", ["[old]", "[/x]", "[red]mask[/red]", ":smile:"])
def test_a_path_is_printed_as_it_is(lightsam, tmp_path, name):
    done = lightsam("parity", tmp_path / name)
    assert done.status == 1
    assert f"{name} holds no export" in done.stderr


def test_every_figure_names_its_own_source(tmp_path):
    cost = {stage: Cost(parameters=1, gmacs=1.0) for stage in ("encoder", "decoder")}
    entries = [
        Entry(
            name=f"model_{number}",
            image_sizes=(1024,),
            cost=cost,
            coco_ap=Figure(40.0 + number, f"accuracy of {number}") if number else None,
            encoder_ms={IPHONE_12: Figure(100.0 + number, f"latency of {number}")},
            paper="https://example.org/paper",
            weights=(),
        )
        for number in range(12)
    ]
    shown = StringIO()
    with printing_to(terminal.out, shown):
        print_models(entries, tmp_path)
    marks = dict(line.split(" ", 1)[::-1] for line in shown.getvalue().splitlines() if line.startswith("("))
    assert len(marks) == 23  # the first has no accuracy
    for number, entry in enumerate(entries):
        row = next(line for line in shown.getvalue().splitlines() if f" {entry.name} " in line)
        assert f"{100.0 + number} {marks[f'latency of {number}']}" in row
        if number:
            assert f"{40.0 + number} {marks[f'accuracy of {number}']}" in row


def test_what_is_cached_is_said_of_each_set(tmp_path):
    sets = [WeightEntry("official", "MIT", "a/a.pt"), WeightEntry("other", "CC0-1.0", "a/other/other.safetensors")]
    cost = {stage: Cost(parameters=1, gmacs=1.0) for stage in ("encoder", "decoder")}
    entry = Entry("model", (1024,), cost, None, {}, "https://example.org/paper", tuple(sets))
    (tmp_path / "a" / "other").mkdir(parents=True)
    (tmp_path / sets[1].cached_as).touch()
    shown = StringIO()
    with printing_to(terminal.out, shown):
        print_models([entry], tmp_path)
    first, second = (line for line in shown.getvalue().splitlines() if "cached" in line)
    assert [cell.strip() for cell in first.split("│")[-2:-1]] == ["not cached"]
    assert [cell.strip() for cell in second.split("│")[-2:-1]] == ["other: cached"]
    assert "other: CC0-1.0" in second
