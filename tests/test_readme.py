"""The README says what the code does."""

import re
from functools import partial
from pathlib import Path

import pytest
import tiny

from lightsam.models import MODELS
from lightsam.stages import STAGE_NAMES
from lightsam.weights import checkpoints
from lightsam_exporters.formats import FORMATS, find_format

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short():
    assert len(README.splitlines()) < 150


def test_the_two_commands_stand_at_the_top():
    assert "make export-coreml" in README[:2500]
    assert "make test" in README[:2500]


def test_every_model_of_the_registry_has_a_row():
    for name in tiny.PUBLISHED:
        card = MODELS[name]
        row = next(line for line in README.splitlines() if line.startswith(f"| `{name}`"))
        assert card.license in row
        assert card.paper in row
        assert ", ".join(map(str, card.image_sizes)) in row
        assert ("non-commercial" in row) is not card.commercial_use


def test_every_format_has_a_row_and_a_target():
    table = README.split("## Formats")[1].split("\n## ")[0]
    for name in FORMATS:
        row = next(line for line in table.splitlines() if line.startswith(f"| `{name}`"))
        for stage in STAGE_NAMES:
            assert f"`{find_format(name).file_name(stage)}`" in row
        for precision in find_format(name).options.precisions():
            assert precision in row
        assert f"`make export-{name}`" in README


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_link_into_the_repository_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert len(links) > 3
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_place_that_contributors_are_told_of_is_there():
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Where things are")[1].split("\n\n")[1]
    paths = [
        path for line in section.splitlines() for path in re.findall(r"`([a-z_/]+(?:/|\.py))`", line.split("|")[1])
    ]
    assert len(paths) > 15
    for path in paths:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", ["README.md", "docs/hand-off/python.md"])
def test_the_first_python_runs(page, photograph, tmp_path, monkeypatch, capsys):
    """As it stands, with a small model for the one that would be fetched."""
    first, *_ = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "photo.jpg").write_bytes(photograph.read_bytes())
    monkeypatch.chdir(tmp_path)
    small = partial(checkpoints.load_model, tiny.NAME, weights="seeded")
    monkeypatch.setattr(checkpoints, "load_model", lambda name: small())
    names: dict[str, object] = {}
    exec(first, names)
    assert names["prediction"].masks.shape == (3, 400, 600)
    assert "(3, 400, 600)" in capsys.readouterr().out
