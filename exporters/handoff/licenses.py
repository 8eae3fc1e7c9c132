"""The license texts that go with a bundle: of lightsam's code, and of the weights."""

from importlib.resources import files
from pathlib import Path

from lightsam.errors import UsageError
from lightsam_exporters.provenance import Provenance

CODE = "Apache-2.0"
"""Of lightsam itself."""


def code_text() -> str:
    """Of the Swift, Kotlin and JavaScript parts."""
    return _known()[CODE]


def text_of(license: str, authors: str) -> str:
    """The text of a license of what somebody else made.

    Args:
        license: SPDX identifier of one that lightsam brings.
        authors: who holds the rights.
    """
    return _known()[license].replace("{authors}", authors)


def weights_text(about: Provenance, given: Path | None = None) -> str:
    """What stands in the weights' license file: whose they are, and the text of their license.

    Args:
        about: of the export.
        given: a file with the text, for a license that lightsam does not bring.

    Raises:
        UsageError: if there is no text, or the given file cannot be read.
    """
    if given is not None:
        try:
            text = given.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the license {given} cannot be read as a text ({error})") from error
    elif about.license in _known():
        text = text_of(about.license, about.weights_authors)
    elif not about.trained:
        text = "Random numbers, which nobody owns.\n"
    else:
        raise UsageError(
            f"the weights {about.weights} are under {about.license}, whose text lightsam does not bring: save the text "
            f"of {about.license_url or 'their authors'} and give it with --weights-license FILE"
        )
    lines = [
        f"The weights inside the model files: {about.weights}, by {about.weights_authors or 'nobody'}.",
        f"License: {about.license_line}" + (f", {about.license_url}" if about.license_url else ""),
    ]
    return "\n".join([*lines, *filter(None, [about.license_note]), "", text])


def _known() -> dict[str, str]:
    """Texts by SPDX identifier."""
    folder = files(__package__) / "data" / "licenses"
    return {Path(one.name).stem: one.read_text(encoding="utf-8") for one in folder.iterdir()}
