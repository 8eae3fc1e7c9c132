"""``lightsam demo``: the server for the browser of this machine, ONNX Runtime Web from npm, and what a site holds."""

import base64
import hashlib
import http.client
import io
import json
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from test_sources import UNRESOLVED, Registry

from lightsam.errors import PackageError, PackageUnavailableError, UsageError
from lightsam.weights.folder import CACHE_VARIABLE
from lightsam_exporters.browser import runtime
from lightsam_exporters.browser.server import SiteServer
from lightsam_exporters.handoff import contents
from lightsam_exporters.handoff.platforms import PLATFORMS

WEB = PLATFORMS["web"]
SECRET = b"not of the site"


# The server


@pytest.fixture
def site(tmp_path):
    """A folder with a file of each kind, beside one that is nobody's business."""
    (tmp_path / "secret.txt").write_bytes(SECRET)
    folder = tmp_path / "site"
    (folder / "page").mkdir(parents=True)
    for name in (
        "index.html",
        "page/a b.js",
        "page/main.mjs",
        "page/x.wasm",
        "page/x.css",
        "page/x.onnx",
        "page/x.JPG",
    ):
        (folder / name).write_bytes(f"content of {name}".encode())
    (folder / "large.onnx").write_bytes(bytes(range(256)) * 20_000)
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path)
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "in.js").symlink_to(folder / "page" / "main.mjs")
    return folder


@pytest.fixture
def server(site):
    with SiteServer(site) as server:
        yield server


def port_of(server) -> int:
    return int(server.url.rstrip("/").rsplit(":", 1)[1])


def ask(server, path, method="GET", **headers):
    """Status, headers and content of an answer, to a path as it is written."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def send(server, request: bytes) -> bytes:
    """What comes back to bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while block := connection.recv(1 << 16):
            answer += block
    return answer


def test_it_serves_the_files_of_the_folder_with_their_types(server, site):
    types = {
        "/": "text/html; charset=utf-8",
        "/index.html": "text/html; charset=utf-8",
        "/page/a%20b.js?version=2": "text/javascript; charset=utf-8",
        "/page/main.mjs": "text/javascript; charset=utf-8",
        "/page/x.wasm": "application/wasm",
        "/page/x.css": "text/css; charset=utf-8",
        "/page/x.onnx": "application/octet-stream",
        "/page/x.JPG": "image/jpeg",
        "/in.js": "text/javascript; charset=utf-8",
        "/large.onnx": "application/octet-stream",
    }
    for path, kind in types.items():
        status, headers, content = ask(server, path)
        name = {"/": "index.html"}.get(path, path.split("?")[0].lstrip("/").replace("%20", " "))
        assert (status, content) == (200, (site / name).read_bytes()), path
        assert headers["Content-Type"] == kind, path
        assert int(headers["Content-Length"]) == len(content)


@pytest.mark.parametrize("path", ["/", "/nothing"])
def test_every_answer_has_the_headers_that_threads_need(server, path):
    _, headers, _ = ask(server, path)
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-cache"


def test_a_file_that_the_browser_has_is_not_sent_again(server, site):
    _, headers, _ = ask(server, "/large.onnx")
    tag = headers["ETag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        status, headers, content = ask(server, "/large.onnx", **{"If-None-Match": known})
        assert (status, content, headers["ETag"]) == (304, b"", tag)
    (site / "large.onnx").write_bytes(b"new")
    status, _, content = ask(server, "/large.onnx", **{"If-None-Match": tag})
    assert (status, content) == (200, b"new")


def test_head_is_get_without_the_content(server, site):
    status, headers, content = ask(server, "/large.onnx", "HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["Content-Length"]) == (site / "large.onnx").stat().st_size
    assert ask(server, "/nothing", "HEAD")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "MADE_UP"])
def test_other_methods_are_refused(server, method):
    status, headers, _ = ask(server, "/index.html", method)
    assert status == 405
    assert headers["Allow"] == "GET, HEAD"


OUTSIDE = [
    "/../secret.txt",
    "/page/../../secret.txt",
    "/page/../index.html",
    "/%2e%2e/secret.txt",
    "/%2E%2E%2Fsecret.txt",
    "/page%2f..%2f..%2fsecret.txt",
    "/..%5csecret.txt",
    "/%252e%252e/secret.txt",
    "/..%c0%afsecret.txt",
    "//secret.txt",
    "/page//main.mjs",
    "/./index.html",
    "/out.txt",
    "/up/secret.txt",
    "/up/site/index.html%00.txt",
    "/index.html%00",
    "/circle",
    "/page",
    "/page/",
    "/index.html/",
    "/index.html/x",
    "/%ff%fe",
    "/{secret}",
    "{secret}",
    "/%2f{secret}",
    "../secret.txt",
    "secret.txt",
    "http://127.0.0.1/index.html",
    "*",
    "/" + "a" * 5000,
    "/nothing",
]


@pytest.mark.parametrize("path", OUTSIDE, ids=range(len(OUTSIDE)))
def test_nothing_else_is_served_however_it_is_spelled(server, tmp_path, path):
    path = path.replace("{secret}", str(tmp_path / "secret.txt"))
    answer = send(server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 "), answer
    assert SECRET not in answer
    assert b"Cross-Origin-Resource-Policy: same-origin" in answer
    assert str(tmp_path).encode() not in answer


@pytest.mark.parametrize(
    "host",
    ["example.org", "example.org:{port}", "127.0.0.1.example.org", "127.0.0.1:{port}x", "0.0.0.0", "[::1]", "", None],
)
def test_a_name_that_was_made_to_lead_here_is_refused(server, host):
    """DNS rebinding: another site's page asks this server under the other site's name."""
    line = "" if host is None else f"Host: {host.format(port=port_of(server))}\r\n"
    answer = send(server, f"GET / HTTP/1.1\r\n{line}Connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"content of" not in answer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:{port}", "localhost:9000"])
def test_its_own_names_are_answered_through_a_forwarded_port_too(server, host):
    assert ask(server, "/", Host=host.format(port=port_of(server)))[0] == 200


def test_two_names_at_once_are_refused(server):
    answer = send(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: example.org\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "request_", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00\xff\r\n\r\n", b"GET /\r\n\r\n"]
)
def test_what_is_no_request_is_refused_and_the_server_goes_on(server, request_, capfd):
    assert b"content of" not in send(server, request_)
    assert ask(server, "/")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_browser_that_goes_away_in_the_middle_is_no_error(server, capfd):
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as connection:
        connection.sendall(b"GET /large.onnx HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(10)
    assert ask(server, "/")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_many_are_answered_at_once_on_one_connection_each(server, site):
    whole = (site / "large.onnx").read_bytes()
    with ThreadPoolExecutor(8) as pool:
        assert all(content == whole for _, _, content in pool.map(lambda _: ask(server, "/large.onnx"), range(24)))
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=10)
    for path, status in (("/", 200), ("/page/main.mjs", 200), ("/", 200)):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == status
        answer.read()
    connection.close()


def test_it_listens_on_this_machine_alone_and_ends_with_its_block(site):
    with SiteServer(site) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert server._server.socket.getsockname()[0] == "127.0.0.1"
        port = port_of(server)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    with SiteServer(site, port) as server:  # can be had again at once
        assert ask(server, "/")[0] == 200


def test_a_port_that_cannot_be_had_is_named(server, site):
    with pytest.raises(UsageError, match=rf"port {port_of(server)} of 127\.0\.0\.1 .*something else listens"):
        SiteServer(site, port_of(server))
    for port in (-1, 65536):
        with pytest.raises(UsageError, match=f"there is no port {port}"):
            SiteServer(site, port)


# ONNX Runtime Web


NAMES = (*runtime.WASM_FILES, *runtime.WEBGPU_FILES)


class Packages(Registry):
    """An npm that gives a small package of that name, and the lock file that goes with it."""

    def hold_runtime(self, names=NAMES) -> str:
        """Returns its integrity."""
        path = self.folder / "onnxruntime-web-1.0.0.tgz"
        with tarfile.open(path, "w:gz") as archive:
            for name in names:
                content = f"content of {name}".encode()
                member = tarfile.TarInfo(f"package/dist/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return f"sha512-{base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()}"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    packages = Packages(folder)
    locked = runtime._Locked("1.0.0", packages.hold_runtime())
    monkeypatch.setattr(runtime, "_locked", lambda: locked)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return packages


def test_the_files_are_fetched_once_without_running_a_script(npm, tmp_path):
    files = runtime.runtime_files()
    assert set(files) == {*NAMES, "LICENSE.txt"}
    for name in NAMES:
        assert files[name].read_text(encoding="utf-8") == f"content of {name}"
        assert files[name].is_relative_to(tmp_path / "cache" / "onnxruntime-web" / "1.0.0")
    assert "Copyright (c) Microsoft Corporation" in files["LICENSE.txt"].read_text(encoding="utf-8")
    assert runtime.runtime_files() == files
    (call,) = npm.calls
    assert call[:3] == ["pack", "onnxruntime-web@1.0.0", "--ignore-scripts"]
    assert sorted(path.name for path in (tmp_path / "cache" / "onnxruntime-web").iterdir()) == [".lock", "1.0.0"]


def test_of_two_at_once_one_waits(npm):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: runtime.runtime_files(), range(2))
    assert first == second
    assert len(npm.calls) == 1


@pytest.mark.parametrize("damage", ["truncated", "missing", "record"])
def test_what_is_damaged_in_the_cache_is_fetched_again(npm, damage):
    path = runtime.runtime_files()[NAMES[2]]
    good = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        (path if damage == "truncated" else path.parent / "files.json").write_bytes(b"con")
    assert runtime.runtime_files()[NAMES[2]].read_bytes() == good
    assert len(npm.calls) == 2


def test_what_a_killed_run_left_is_removed(npm, tmp_path):
    left = tmp_path / "cache" / "onnxruntime-web" / ".new-killed"
    left.mkdir(parents=True)
    runtime.runtime_files()
    assert not left.exists()


def test_another_package_than_the_locked_one_is_not_used(npm, tmp_path):
    npm.hold_runtime((*NAMES, "more.mjs"))
    with pytest.raises(PackageError, match=r"npm onnxruntime-web@1\.0\.0: the package has sha512 .* must have"):
        runtime.runtime_files()
    assert [path.name for path in (tmp_path / "cache" / "onnxruntime-web").iterdir()] == [".lock"]


def test_a_package_without_a_file_is_refused(npm, tmp_path, monkeypatch):
    locked = runtime._Locked("1.0.0", npm.hold_runtime(NAMES[1:]))
    monkeypatch.setattr(runtime, "_locked", lambda: locked)
    with pytest.raises(PackageError, match=f"has no file dist/{NAMES[0]}"):
        runtime.runtime_files()
    assert [path.name for path in (tmp_path / "cache" / "onnxruntime-web").iterdir()] == [".lock"]


def test_without_npm_or_a_network_it_says_so(npm, monkeypatch, tmp_path):
    npm.fail(UNRESOLVED)
    with pytest.raises(PackageUnavailableError, match=r"npm onnxruntime-web@1\.0\.0: npm fails with ENOTFOUND"):
        runtime.runtime_files()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackageUnavailableError, match="npm is not installed"):
        runtime.runtime_files()


# The site


@pytest.fixture(scope="module")
def whole(exports_of, tmp_path_factory):
    """A site of the tiny model, its description, and its folder."""
    folder = tmp_path_factory.mktemp("site")
    return contents.put(exports_of("onnx", "float32"), WEB, folder), folder


def test_it_holds_the_runtime_that_is_locked(whole):
    _, folder = whole
    assert {path.name for path in (folder / "ort").iterdir()} == {*NAMES, "LICENSE.txt"}
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"]["node_modules/onnxruntime-web"]["version"] == runtime.VERSION
    for start, loaded, compiled in (runtime.WASM_FILES, runtime.WEBGPU_FILES):
        assert runtime.VERSION in (folder / "ort" / start).read_text(encoding="utf-8")
        assert loaded in (folder / "ort" / start).read_text(encoding="utf-8")
        assert (folder / "ort" / compiled).read_bytes()[:4] == b"\0asm"


def test_its_examples_are_photographs_with_their_authors(whole):
    _, folder = whole
    entries = json.loads((folder / "examples" / "index.json").read_text(encoding="utf-8"))
    assert {entry["file"] for entry in entries} == {path.name for path in (folder / "examples").glob("*.jpg")}
    assert len({entry["title"] for entry in entries}) == len(entries) == 4
    for entry in entries:
        assert entry["author"]
        assert entry["license"] in ("CC0-1.0", "public domain")
        with Image.open(folder / "examples" / entry["file"]) as image:
            assert min(image.size) >= 300


def test_all_that_its_files_refer_to_is_there_at_any_address(whole):
    """Relative addresses only: GitHub Pages serves a repository's site below the repository's name."""
    _, folder = whole
    page = (folder / "index.html").read_text(encoding="utf-8")
    addresses = re.findall(r"""<(?:link|script|img|use)\b[^>]*?(?:href|src)=["']([^"'#]+)""", page)
    assert any(address.startswith("page/") for address in addresses)
    for address in (one.removeprefix("./") for one in addresses if not one.startswith("data:")):
        assert (folder / address).is_file(), address
    assert (folder / "service-worker.js").is_file()
    assert not {"index.html", "service-worker.js"} & {path.name for path in (folder / "page").iterdir()}
    imports = 0
    for path in (*folder.glob("*.js"), *folder.glob("page/*.js")):
        for address in re.findall(
            r"""^(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)";""", path.read_text(encoding="utf-8"), re.M
        ):
            assert (path.parent / address).is_file(), f"{path.name}: {address}"
            imports += 1
    assert imports > 30


def test_a_host_publishes_it_as_it_is(whole):
    _, folder = whole
    assert (folder / ".nojekyll").is_file()


def test_the_size_of_a_visit_is_of_what_a_browser_loads(whole):
    about, folder = whole
    code = sum(path.stat().st_size for path in (*folder.glob("*.js"), *folder.glob("page/*"), folder / "index.html"))
    wasm = sum((folder / "ort" / name).stat().st_size for name in runtime.WASM_FILES)
    model = sum(path.stat().st_size for path in (folder / "model").glob("*.onnx"))
    assert contents.visit_bytes(about, WEB, folder) == code + wasm + model
    assert contents.visit_bytes(about, PLATFORMS["swift"], folder) is None


def test_a_bundle_takes_what_suits_the_platform_and_says_so(exports_of, lightsam, tmp_path):
    folder, there = tmp_path / "tiny", ("float32", "float16")
    for precision in there:
        export = exports_of("onnx", precision)
        shutil.copytree(export.folder, folder / export.name)
    best = min(there, key=WEB.precisions.index)
    command = ("bundle", folder, "--for", "web", "--allow-untrained", "--output")
    done = lightsam(*command, tmp_path / "best")
    assert done.status == 0, done.stderr
    assert f"onnx-{best} for browsers" in done.stdout
    (other,) = {*there} - {best}
    assert f"{best} was taken; --precision takes another one that is there: {other}\n" in done.stdout
    assert re.search(r"a visitor downloads \d+\.\d MB once", done.stdout)
    about = json.loads((tmp_path / "best" / "model" / "model.json").read_text(encoding="utf-8"))
    assert about["precision"] == best
    done = lightsam(*command, tmp_path / "asked", "--precision", other)
    assert done.status == 0, done.stderr
    assert "was taken" not in done.stdout
    about = json.loads((tmp_path / "asked" / "model" / "model.json").read_text(encoding="utf-8"))
    assert about["precision"] == other


def test_a_site_without_the_model_files_is_whole_otherwise(exports_of, lightsam, tmp_path):
    url = ("--resources", "download", "--url", "https://example.org/{path}")
    command = ("bundle", exports_of("onnx", "float32").folder, "--for", "web", "--allow-untrained", *url)
    done = lightsam(*command, "--output", tmp_path / "x")
    assert done.status == 0, done.stderr
    assert [path.name for path in (tmp_path / "x" / "model").iterdir()] == ["model.json"]
    assert (tmp_path / "x" / "ort" / NAMES[0]).is_file()
    assert (tmp_path / "x" / "examples" / "index.json").is_file()


# The command


def addresses_in(line: str) -> str:
    return re.search(r"http://127\.0\.0\.1:\d+/", line)[0]


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_the_page_and_ends_well(exports_of, start_lightsam, tmp_path, monkeypatch, ended_by):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    export = exports_of("onnx", "float32")
    process = start_lightsam("demo", export.folder, "--port", "0", "--no-open", "--allow-untrained")
    line = process.stdout.readline()
    assert "onnx-float32" in line, process.stderr.read()
    assert "random weights" in line
    assert "Ctrl-C ends it" in line
    url = addresses_in(line)
    with urllib.request.urlopen(f"{url}model/model.json", timeout=10) as answer:
        about = json.load(answer)
    for stage in about["stages"].values():
        with urllib.request.urlopen(f"{url}model/{stage['path']}", timeout=10) as answer:
            assert hashlib.sha256(answer.read()).hexdigest() == stage["sha256"]
    process.send_signal(ended_by)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    assert stdout == ""
    assert stderr.splitlines() == [f"checking {export.folder}", "putting the page together"]
    assert not list(tmp_path.glob("lightsam-demo-*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "nowhere holds no export"),
        (("{coreml}",), "holds no onnx export; it holds: coreml-float"),
        (("{onnx}", "--precision", "w4"), "w4 export; it holds"),
        (("{onnx}",), "random weights"),
        (("{onnx}", "--allow-untrained", "--port", "65536"), "there is no port 65536"),
        (("{onnx}", "--allow-untrained", "--port", "{taken}"), "something else listens on it"),
    ],
)
def test_a_wrong_request_is_one_line(exports_of, exported, lightsam, server, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = exports_of("onnx", "float32").folder
    values = {"coreml": exported, "onnx": model, "taken": port_of(server)}
    done = lightsam("demo", *(one.format(**values) for one in arguments), "--no-open")
    assert done.status in (1, 2)
    assert done.stdout == ""
    assert said in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("error:")
    assert len(done.stderr.splitlines()) <= 2  # what was begun, and the error
    if "holds no" in said or "it holds" in said:
        precision = " --precision w4" if "w4" in arguments else ""
        assert f"`lightsam export mobile_sam --to onnx{precision}` makes one" in done.stderr
    assert not list(tmp_path.glob("lightsam-demo-*"))


def test_without_the_runtime_it_ends_in_one_line(exports_of, lightsam, npm):
    npm.fail(UNRESOLVED)
    done = lightsam("demo", exports_of("onnx", "float32").folder, "--port", "0", "--no-open", "--allow-untrained")
    assert done.status == 1
    assert done.stderr.splitlines()[-1].startswith("error: npm onnxruntime-web@1.0.0: npm fails with ENOTFOUND")


@pytest.mark.parametrize(
    ("options", "display", "opened"),
    [((), ":0", True), ((), "", False), (("--open",), "", True), (("--no-open",), ":0", False)],
)
def test_a_browser_is_opened_where_there_is_a_display(exports_of, lightsam, monkeypatch, npm, options, display, opened):
    shown = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    def interrupted(_event):
        raise KeyboardInterrupt

    class Pressed(threading.Event):
        wait = interrupted

    monkeypatch.setattr("lightsam.cli.demo.Event", Pressed)
    done = lightsam("demo", exports_of("onnx", "float32").folder, "--port", "0", "--allow-untrained", *options)
    assert done.status == 0, done.stderr
    assert shown == ([addresses_in(done.stdout)] if opened else [])


def test_make_demo_exports_where_nothing_is_there(tmp_path):
    make = shutil.which("make")
    assert make

    def said() -> list[str]:
        command = [make, "-n", "--assume-old=.venv/.ready", "demo", f"OUTPUT={tmp_path}"]
        root = Path(__file__).parent.parent
        return subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=True).stdout.splitlines()

    export, demo = (line.split() for line in said() if "lightsam" in line)
    assert export[1:4] == ["export", "mobile_sam", "--to"]
    precision = export[export.index("--precision") + 1]
    assert precision == WEB.precisions[0]
    assert demo[1:] == ["demo", f"{tmp_path}/mobile_sam"]
    there = tmp_path / "mobile_sam" / f"onnx-{precision}" / "export.json"
    there.parent.mkdir(parents=True)
    there.touch()
    assert [line.split()[1] for line in said() if "lightsam" in line] == ["demo"]
