"""What a run without shards left, where subjects have changed since: of each of the three commands."""

import json
from pathlib import Path

import pytest
import tiny
import torch
from annotated import NAMES, write_bsds, write_coco, write_images

from lightsam import load_model
from lightsam_benchmarks.edges import run as edges
from lightsam_benchmarks.instances import run as instances
from lightsam_benchmarks.journals import path_of
from lightsam_benchmarks.quality import run as quality

ANSWERS = {"run": (quality, "prediction"), "edges": (edges, "counted"), "instances": (instances, "masks_of")}
"""What answers an image, by the command."""
REAL = {command: getattr(module, function) for command, (module, function) in ANSWERS.items()}


@pytest.fixture(params=ANSWERS)
def command(request) -> str:
    return request.param


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "record.json"


@pytest.fixture
def evaluate(lightsam, command, output, tmp_path):
    """Run the command over three images."""
    images = ("--images", write_images(tmp_path / "images"))
    if command == "edges":
        options = ("--bsds", write_bsds(tmp_path / "truth"), *images)
    else:
        truth = write_coco(tmp_path / "truth.json")
        annotations = ("--annotations", truth, "--boxes", "ground-truth")
        options = (*(annotations if command == "instances" else ("--coco", truth)), *images)
    return lambda *arguments: lightsam("evaluate", command, tiny.NAME, *options, "--output", output, *arguments)


@pytest.fixture
def interrupted_after(monkeypatch, command):
    """Let so many images be answered; returns what grows with them."""

    def count(most: int) -> list[int]:
        answered: list[int] = []

        def answer(*arguments):
            if len(answered) == most:
                raise KeyboardInterrupt
            answered.append(1)
            return REAL[command](*arguments)

        monkeypatch.setattr(*ANSWERS[command], answer)
        return answered

    return count


def test_what_was_done_with_other_weights_is_discarded_on_demand(evaluate, interrupted_after, output, tmp_path):
    """What another subject did stays."""
    state = load_model(tiny.NAME, weights="seeded").sam.state_dict()
    torch.save(state, tmp_path / "same.pt")
    torch.save(state, tmp_path / "changing.pt")
    two = ("--weights", tmp_path / "same.pt", "--weights", tmp_path / "changing.pt")
    journal = path_of(output)
    interrupted_after(len(NAMES) + 1)
    assert "interrupted" in evaluate(*two).stderr
    before = journal.read_text(encoding="utf-8")
    assert len(before.splitlines()) == 1 + len(NAMES) + 1
    torch.save({key: one * 1.5 if "neck" in key else one for key, one in state.items()}, tmp_path / "changing.pt")

    done = evaluate(*two)
    assert (done.status, "begun with other weights or files" in done.stderr) == (1, True)
    assert "of tiny_sam torch-float32 (changing.pt): " in done.stderr
    assert "say --overwrite" in done.stderr
    assert journal.read_text(encoding="utf-8") == before

    interrupted_after(1)
    assert "interrupted" in evaluate(*two, "--overwrite").stderr
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()[1:]]
    assert [line["subject"].rpartition(" ")[2] for line in lines] == ["(same.pt)"] * len(NAMES) + ["(changing.pt)"]
    assert lines[-1]["sha256"] not in before

    answered = interrupted_after(99)
    done = evaluate(*two)
    assert done.status == 0, done.stderr
    assert len(answered) == len(NAMES) - 1
    assert not journal.exists()
