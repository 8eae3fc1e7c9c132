"""Where data lie: a path of this machine, or a URL (``s3://``, ``gs://``, ``https://``, ``memory://``), read by fsspec.

https://filesystem-spec.readthedocs.io ; fsspec comes with PyTorch, and each protocol with a package of its own, such as
``s3fs``. Its chained URLs work, too: ``simplecache::s3://bucket/images`` keeps on the disk what was read once.
"""

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from PIL.Image import Image

from lightsam.errors import FormatUnavailableError, ImageError, UsageError
from lightsam.transforms import open_image


@dataclass(frozen=True)
class Url:
    """A file or a folder that fsspec reads."""

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> "Url":
        return Url(f"{self.url.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part, as of a path."""
        return PurePosixPath(self.url).name

    def absolute(self) -> "Url":
        """Itself: it means the same on every machine."""
        return self

    def read_bytes(self) -> bytes:
        """The whole file.

        Raises:
            FormatUnavailableError: if the package that reads this protocol is not installed.
            OSError: if it cannot be read; FileNotFoundError if there is none.
            UsageError: for a protocol that fsspec does not know.
        """
        try:
            with _fsspec().open(self.url, "rb") as file:
                return file.read()
        except ImportError as error:
            raise FormatUnavailableError(f"{self.url} cannot be read: {error}") from error
        except OSError:
            raise
        except ValueError as error:
            raise UsageError(f"{self.url} cannot be read: {error}") from error
        # Each protocol's package raises errors of its own: of the network, of credentials.
        except Exception as error:
            raise OSError(f"{type(error).__name__}: {error}") from error

    def read_text(self, encoding: str) -> str:
        """The whole file, decoded; raises as `read_bytes`."""
        return self.read_bytes().decode(encoding)


Place = Path | Url


class _Named(BytesIO):
    """A file's content in memory, which messages call by the place that it came from."""

    def __init__(self, content: bytes, place: Url) -> None:
        super().__init__(content)
        self._place = place

    def __str__(self) -> str:
        return str(self._place)


def place(text: str | Path) -> Place:
    """A URL where there is a ``://``, else a path."""
    return Url(str(text)) if "://" in str(text) else Path(text)


def local(where: Place, what: str) -> Path:
    """A path of this machine.

    Args:
        what: is asked for, for the message.

    Raises:
        UsageError: if it is a URL.
    """
    if isinstance(where, Url):
        raise UsageError(f"{what} are read from a folder of this machine, not from {where}: copy them, or give --coco")
    return where


def file_sha256(where: Place) -> str:
    """Of a file's bytes.

    Raises:
        OSError: if it cannot be read.
    """
    if isinstance(where, Url):
        return hashlib.sha256(where.read_bytes()).hexdigest()
    with where.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def readable(where: Place) -> Path | BytesIO:
    """What Pillow opens: the path itself, or a URL's content.

    Raises:
        OSError: if it cannot be read.
    """
    return _Named(where.read_bytes(), where) if isinstance(where, Url) else where


def open_image_at(where: Place) -> Image:
    """An image as `lightsam.transforms.open_image` gives it: upright, RGB.

    Raises:
        ImageError: if it is missing, damaged or no image.
    """
    try:
        source = readable(where)
    except OSError as error:
        raise ImageError(f"{where} cannot be read as an image ({error})") from error
    return open_image(source)


def _fsspec() -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise FormatUnavailableError("URLs are read by the package fsspec, which is not installed") from error
    return fsspec
