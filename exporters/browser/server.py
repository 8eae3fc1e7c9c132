"""A server for one folder, for the browser of this machine and nobody else."""

import errno
import logging
import os
import shutil
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import unquote

from lightsam.errors import UsageError
from lightsam.files import reason

ADDRESS = "127.0.0.1"
"""The only one that is listened on."""
INDEX = "index.html"
HEADERS = {
    # These two make the page cross-origin isolated, without which a browser gives WebAssembly no threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer."""
# A table of our own: that of the system may say anything of .js and .mjs.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
"""By suffix; what is not here is ``application/octet-stream``."""
_HOSTS = (ADDRESS, "localhost")
_PORTS = range(2**16)
_IDLE_S = 60
"""After which a silent connection is closed."""
_BLOCK = 1 << 18
_log = logging.getLogger("lightsam.browser")


class SiteServer:
    """Serves the files of a folder on 127.0.0.1 while its ``with`` block runs.

    Raises:
        UsageError: for a port that cannot be had.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        """Take the port.

        Args:
            folder: whose regular files are served; ``index.html`` for ``/``.
            port: 0 for any that is free.
        """
        if port not in _PORTS:
            raise UsageError(f"there is no port {port}: give one of 0 to {_PORTS[-1]}, 0 for any that is free")
        try:
            self._server = _Server(folder.resolve(), port)
        except OSError as error:
            why = "something else listens on it" if error.errno == errno.EADDRINUSE else reason(error)
            raise UsageError(
                f"port {port} of {ADDRESS} cannot be had ({why}): give another by --port, or 0 for any that is free"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{ADDRESS}:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        super().__init__((ADDRESS, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of a file is nothing to tell a person about."""
        _log.debug("a connection from %s ended early", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def _answer(self, *, with_content: bool) -> None:
        if not self._asked_here():
            self.send_error(HTTPStatus.FORBIDDEN, f"this server is for {' and '.join(_HOSTS)} alone")
            return
        file = self._open()
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            self._send(file, with_content=with_content)

    def _asked_here(self) -> bool:
        """Whether the page's own address was asked: any other's name may be made to lead here (DNS rebinding)."""
        hosts = self.headers.get_all("Host", [])
        name, _, port = hosts[0].partition(":") if len(hosts) == 1 else ("", "", "")
        return name.lower() in _HOSTS and (not port or (port.isascii() and port.isdecimal()))

    def _open(self) -> IO[bytes] | None:
        """The file that is asked for, or None if there is no such file in the folder."""
        try:
            path = unquote(self.path.partition("?")[0].partition("#")[0], errors="strict")
        except ValueError:  # bytes that are no UTF-8
            return None
        first, *names = path.split("/")
        names = [INDEX] if names == [""] else names
        if first or not names or any(name in ("", ".", "..") or {"\0", "\\"} & set(name) for name in names):
            return None
        try:
            found = self.server.folder.joinpath(*names).resolve(strict=True)  # a link may lead out
            if found.is_relative_to(self.server.folder) and found.is_file():
                return found.open("rb")
        except (OSError, ValueError, RuntimeError):  # too long a name, one that may not be read, links in a circle
            pass
        return None

    def _send(self, file: IO[bytes], *, with_content: bool) -> None:
        status = os.fstat(file.fileno())
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        known = {one.strip().removeprefix("W/") for one in self.headers.get("If-None-Match", "").split(",")}
        if known & {tag, "*"}:
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self.send_header("ETag", tag)
            self.end_headers()
            return
        self.send_response(HTTPStatus.OK)
        suffix = Path(file.name).suffix.lower()
        self.send_header("Content-Type", TYPES.get(suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(status.st_size))
        self.send_header("ETag", tag)
        self.end_headers()
        if with_content:
            shutil.copyfileobj(file, self.wfile, _BLOCK)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse in one line of text, and close: what else was sent is not read."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:  # what the library says of every method that has no function here
            status, message = HTTPStatus.METHOD_NOT_ALLOWED, None
        content = f"{status.value} {message or status.phrase}\n".encode()
        self.send_response(status)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", TYPES[".txt"])
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def end_headers(self) -> None:
        """Add what every answer has."""
        if self.request_version != "HTTP/0.9":  # which has no headers
            for name, value in HEADERS.items():
                self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        """Without the versions of what is installed."""
        return "lightsam"

    def log_message(self, format: str, *arguments: Any) -> None:
        """To the log, which shows it with --verbose alone."""
        _log.debug(format, *arguments)
