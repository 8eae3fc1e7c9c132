"""A Chromium that is on this machine, driven by Playwright: https://playwright.dev/python."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightsam.errors import UsageError
from lightsam.installation import install_command

EXTRA = "browser"
VARIABLE = "LIGHTSAM_CHROMIUM"
"""Environment variable that names the Chromium to be taken, by its path or as on the command line."""
NAMES = ("chromium", "chromium-browser", "google-chrome")
"""Of programs, in the order in which they are looked for."""


def find_chromium() -> Path:
    """The program: that of the environment variable, one on the PATH, or Playwright's own.

    Raises:
        UsageError: if Playwright is not installed, or there is none.
    """
    if find_spec("playwright") is None:
        raise UsageError(
            f"a browser is driven by the package 'playwright', which is not installed: {install_command(EXTRA)}"
        )
    named = os.environ.get(VARIABLE)
    if named:
        chosen = shutil.which(named)
        if chosen is None:
            raise UsageError(f"{VARIABLE} names {named}, which is no program that can be run")
        return Path(chosen)
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is not None:
        return Path(found)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    if own.is_file():
        return own
    raise UsageError(
        f"no Chromium is here ({', '.join(NAMES)} on the PATH, or Playwright's own): install one by apt-get install "
        f"chromium (Debian) or {sys.executable} -m playwright install chromium, or name it in {VARIABLE}"
    )


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """A page of a headless Chromium, which has loaded an address; closed when the block ends.

    Yields:
        Playwright's ``Page``, of its synchronous interface.

    Raises:
        UsageError: if there is no Chromium, it does not start, or the address cannot be loaded.
    """
    program = find_chromium()
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            # Playwright leaves Chromium's sandbox out, which root does not have: only pages of our own are opened.
            browser = playwright.chromium.launch(executable_path=program)
        except Error as error:
            raise UsageError(f"{program} does not start: {first_words(error)}") from error
        try:
            page = browser.new_page()
            try:
                page.goto(url)
            except Error as error:
                raise UsageError(f"Chromium cannot load {url}: {first_words(error)}") from error
            yield page
        finally:
            browser.close()


def version_of(page: Any) -> str:
    """Of the Chromium that shows a page, such as ``150.0.7871.100``."""
    return str(page.context.browser.version)


def first_words(error: Exception) -> str:
    """What Playwright says in one line, without the name of its own call."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line.partition(": ")[2] if line.startswith(("Page.", "BrowserType.")) else line
