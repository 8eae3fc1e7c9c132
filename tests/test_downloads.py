"""The downloader, for real, against a server on this machine."""

import contextlib
import hashlib
import http.server
import io
import multiprocessing
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pooch
import pytest
import requests
import tiny
import torch
from rich.console import Console

from lightsam import load_model
from lightsam.cli import console as terminal
from lightsam.errors import CheckpointError, CheckpointUnavailableError, LicenseError
from lightsam.files import WriteError
from lightsam.models import MODELS
from lightsam.weights import cache as cached
from lightsam.weights import downloads
from lightsam.weights.folder import CACHE_VARIABLE
from lightsam.weights.sources import fetch as fetch_set


def download(card, bar=None):
    return fetch_set(card, card.official, bar)


def checkpoint_path(card):
    return cached.checkpoint_path(card, card.official)


def expected_sha256(card):
    return cached.expected_sha256(card, card.official)


def is_cached(card):
    return cached.is_cached(card, card.official)


def verify(card):
    return cached.verify(card, card.official)


CONTENT = bytes(range(256)) * 4000  # about 1 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT in the way that the path names."""

    protocol_version = "HTTP/1.0"

    def do_GET(self):
        server = self.server
        server.requests.append(self.path)
        way = self.path.split("/")[1]
        if way == "missing":
            self.send_error(404)
            return
        if way == "silent":
            time.sleep(3)
            return
        content = server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = way == "cut" or (way == "cut_once" and len(server.requests) == 1)
        for start in range(0, len(content) // 2 if cut else len(content), 100_000):
            self.wfile.write(content[start : start + 100_000])
            if way in ("slow", "killed"):
                time.sleep(0.05)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.content = [], CONTENT
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda _: None))  # it waits between attempts
    return tmp_path / "cache"


@pytest.fixture
def card_for(server):
    def make(way: str, sha256: str | None = SHA256):
        url = f"http://127.0.0.1:{server.server_port}/{way}/weights.pt"
        return replace(tiny.CARD, weights=(tiny.official(url, sha256),))

    return make


class Bar:
    """A progress bar that remembers."""

    total = 0

    def __init__(self):
        self.received, self.closed = 0, False

    def update(self, size):
        self.received += size

    def reset(self):
        pass

    def close(self):
        self.closed = True


def left_over(cache) -> set[str]:
    return {path.name for path in cache.rglob("*") if path.is_file()} - {".lock"}


@pytest.mark.parametrize("way", ["full", "slow"])
def test_a_checkpoint_is_fetched_once(server, card_for, cache, way):
    card, bar = card_for(way), Bar()
    path = download(card, bar)
    assert path == checkpoint_path(card) == cache / tiny.NAME / "weights.pt"
    assert path.read_bytes() == CONTENT
    assert bar.closed
    assert bar.total == len(CONTENT)
    assert bar.received >= len(CONTENT)
    assert download(card) == path
    assert len(server.requests) == 1
    assert left_over(cache) == {"weights.pt"}


@pytest.mark.parametrize("way", ["full", "cut_once", "cut"])
def test_the_bar_of_the_command_ends_at_the_size_of_the_file(card_for, monkeypatch, way):
    """On a terminal, inside an export's bar; a second attempt begins anew, and a failure leaves no live display."""
    console = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(terminal, "err", console)
    bar = terminal.DownloadBar()
    with terminal.progress(1) as begin:
        begin("loading")
        if way == "cut":
            with pytest.raises(CheckpointError, match="breaks off"):
                download(card_for(way), bar)
        else:
            download(card_for(way), bar)
            assert bar.bar.tasks[0].completed == bar.total == len(CONTENT)
            assert "downloading" in console.file.getvalue()
    assert not bar.bar.live.is_started


def test_a_connection_that_breaks_once_is_tried_again(server, card_for):
    assert download(card_for("cut_once")).read_bytes() == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("cut", "the connection breaks off before the file is complete"),
        ("missing", "the server answers 404"),
    ],
)
def test_what_cannot_be_fetched_leaves_nothing(server, card_for, cache, way, message):
    with pytest.raises(CheckpointError, match=f"tiny_sam cannot be had from http://127.0.0.1:.*: {message}"):
        download(card_for(way))
    assert left_over(cache) == set()
    assert len(server.requests) == 1 + downloads.RETRIES


def test_a_server_that_does_not_answer_is_given_up(card_for, cache, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUTS_S", (1, 0.2))
    monkeypatch.setattr(downloads, "RETRIES", 0)
    with pytest.raises(CheckpointError, match="does not answer in time"):
        download(card_for("silent"))
    assert left_over(cache) == set()


def test_another_file_than_the_published_one_is_refused(card_for, cache):
    with pytest.raises(CheckpointError, match="another sha256 than it should"):
        download(card_for("full", "0" * 64))
    assert left_over(cache) == set()


def from_mirror(card_for, way, sha256=SHA256):
    """A card whose first address cannot be reached, and its second serves in the given way."""
    (mirror,) = card_for(way, sha256).official.sources
    first = replace(mirror, url="http://127.0.0.1:9/weights.pt")
    return replace(tiny.CARD, weights=(replace(tiny.CARD.official, sources=(first, mirror)),))


def test_a_mirror_is_tried_where_the_first_address_cannot_be_reached(server, card_for, cache):
    card = from_mirror(card_for, "full")
    assert download(card).read_bytes() == CONTENT
    assert left_over(cache) == {"weights.pt"}
    assert len(server.requests) == 1


def test_a_mirror_with_another_file_ends_the_run(card_for, cache):
    with pytest.raises(CheckpointError, match="another sha256 than it should") as caught:
        download(from_mirror(card_for, "full", "0" * 64))
    assert not isinstance(caught.value, CheckpointUnavailableError)
    assert left_over(cache) == set()


def test_every_address_that_cannot_be_reached_is_named(card_for):
    with pytest.raises(CheckpointUnavailableError, match=r"127\.0\.0\.1:9/.*: it cannot be reached, nor from .* 404"):
        download(from_mirror(card_for, "missing"))


def test_a_host_that_cannot_be_reached_is_not_tried_again(monkeypatch):
    """Waiting for what does not answer costs seconds a time, and `auto` has somewhere else to go."""
    attempts = []
    original = requests.Session.request
    monkeypatch.setattr(
        requests.Session, "request", lambda self, *a, **k: attempts.append(a) or original(self, *a, **k)
    )
    with pytest.raises(CheckpointUnavailableError, match="it cannot be reached"):
        download(tiny.CARD)
    assert len(attempts) == 1


def test_without_a_published_hash_the_first_download_counts(server, card_for, cache):
    card = card_for("full", None)
    assert expected_sha256(card) is None
    path = download(card)
    assert expected_sha256(card) == SHA256 == verify(card)

    path.unlink()
    server.content = CONTENT[::-1]  # the authors, or somebody else, replaced it
    with pytest.raises(CheckpointError, match="another sha256"):
        download(card)
    server.content = CONTENT
    assert download(card).read_bytes() == CONTENT


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_damaged_cache_is_noticed(card_for, sha256):
    card = card_for("full", sha256)
    path = download(card)
    path.write_bytes(CONTENT[:-1])
    for act in (verify, download):
        with pytest.raises(CheckpointError, match=r"weights\.pt has sha256 .* and must have .*: it is damaged"):
            act(card)


def test_a_cache_that_cannot_be_written_is_told(card_for, cache):
    cache.write_text("a file in the way", encoding="utf-8")
    with pytest.raises(WriteError, match=r"cannot write to .*cache/tiny_sam"):
        download(card_for("full"))


def fetch(card, queue):
    queue.put(download(card).read_bytes() == CONTENT)


def test_two_processes_fetch_it_once(server, card_for, cache):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    card = replace(MODELS["mobile_sam"], weights=card_for("slow").weights)  # a card that can be pickled
    processes = [context.Process(target=fetch, args=(card, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    assert [queue.get(timeout=60), queue.get(timeout=60)] == [True, True]
    for process in processes:
        process.join()
    assert len(server.requests) == 1
    assert left_over(cache) == {"weights.pt"}


def test_what_a_killed_download_left_is_cleared_up(server, card_for, cache):
    context = multiprocessing.get_context("spawn")
    card = replace(MODELS["mobile_sam"], weights=card_for("killed").weights)
    queue = context.Queue()
    process = context.Process(target=fetch, args=(card, queue))
    process.start()
    deadline = time.monotonic() + 60
    while not (server.requests and left_over(cache)):
        assert time.monotonic() < deadline, "the download did not begin"
        time.sleep(0.01)
    process.kill()
    process.join()
    assert left_over(cache)  # half a file, under another name
    assert not is_cached(card)
    assert download(card).read_bytes() == CONTENT
    assert left_over(cache) == {"weights.pt"}


@pytest.fixture
def published(server, monkeypatch, tiny_model):
    """The tiny model with a checkpoint on the server; non-commercial on request."""

    def register(**changes):
        stream = io.BytesIO()
        torch.save(tiny_model.state_dict(), stream)
        server.content = stream.getvalue()
        url = f"http://127.0.0.1:{server.server_port}/full/tiny_sam.pt"
        card = replace(tiny.CARD, weights=(tiny.official(url, **changes),))
        monkeypatch.setitem(MODELS, tiny.NAME, card)
        return card

    return register


@pytest.mark.parametrize("weights", ["official", "auto"])
def test_official_weights_are_loaded(published, tiny_loaded, weights):
    published()
    model = load_model(tiny.NAME, weights=weights)
    assert model.weights.name == "official"
    assert model.weights.trained
    assert model.weights.sha256 == tiny_loaded.weights.sha256


def test_the_weights_commands(published, lightsam, cache, server):
    published()
    assert lightsam("weights", "verify").stdout == "no checkpoint is cached\n"
    assert "not cached" in lightsam("weights", "list").stdout
    done = lightsam("weights", "path", tiny.NAME)
    assert (done.status, done.stderr.splitlines()[-1]) == (
        1,
        "error: the checkpoint of tiny_sam is not cached: lightsam weights download tiny_sam",
    )
    done = lightsam("weights", "download", tiny.NAME)
    assert done.status == 0, done.stderr
    path = lightsam("weights", "path", tiny.NAME).stdout.strip()
    assert path == str(cache / tiny.NAME / "tiny_sam.pt")
    digest = hashlib.sha256(server.content).hexdigest()
    row = next(line for line in lightsam("weights", "list").stdout.splitlines() if " tiny_sam " in line)
    assert digest[:12] in row
    assert "recorded" in row
    assert lightsam("weights", "verify").stdout == f"tiny_sam: {digest}\n"

    with open(path, "ab") as file:
        file.write(b"x")
    done = lightsam("weights", "verify", tiny.NAME)
    assert done.status == 1
    assert "it is damaged or was replaced" in done.stderr


def test_non_commercial_weights_need_a_word(published, lightsam, tmp_path, photograph, monkeypatch):
    monkeypatch.chdir(tmp_path)
    published(commercial_use=False, license="LicenseRef-Example", license_url="https://example.org/license")
    for command in (
        ["weights", "download", tiny.NAME],
        ["export", tiny.NAME, "--stage", "encoder"],
        ["predict", photograph, "--model", tiny.NAME, "--point", "1,1"],
    ):
        done = lightsam(*command)
        assert done.status == 2
        assert "non-commercial use only (LicenseRef-Example, https://example.org/license)" in done.stderr
        assert "--accept-license" in done.stderr
        with contextlib.suppress(FileNotFoundError):
            assert not [p for p in (tmp_path / "artifacts").rglob("*") if p.is_file() and p.name != ".lock"]
    with pytest.raises(LicenseError):
        load_model(tiny.NAME, weights=tmp_path / "my.pt")
    assert load_model(tiny.NAME, weights="seeded").weights.name == "seeded"
    assert "LicenseRef-Example" in lightsam("weights", "list").stdout
    assert "non-commercial" in lightsam("weights", "list").stdout

    done = lightsam("export", tiny.NAME, "--stage", "encoder", "--accept-license")
    assert done.status == 0, done.stderr
    from lightsam_exporters import facts
    from lightsam_exporters.formats.mil.program import read_program

    folder = tmp_path / "artifacts" / tiny.NAME
    assert facts.read(folder / "coreml-float16").files["encoder"].provenance.commercial_use is False
    metadata = read_program(folder / "coreml-float16" / "encoder.mlpackage").specification.description.metadata
    assert metadata.license == "LicenseRef-Example (https://example.org/license), non-commercial use only"
    assert "UNTRAINED" not in metadata.shortDescription
    assert lightsam("parity", folder).status == 0  # whoever has the files accepted
