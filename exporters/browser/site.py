"""What a site needs besides the code of web/ and the model: ONNX Runtime Web, and photographs to try it on."""

import json
from importlib.resources import files
from pathlib import Path

from .runtime import WASM_FILES, runtime_files

RUNTIME = "ort"
EXAMPLES = "examples"
VISITED = ("index.html", "*.js", "page/*", *(f"{RUNTIME}/{name}" for name in WASM_FILES))
"""Patterns of what a browser loads that runs the model on the processor; the model's own files come on top."""


def site_files() -> list[tuple[Path, Path]]:
    """Everything else than the code and the model.

    Returns:
        Files, and their places in the folder of a site.

    Raises:
        PackageError: if ONNX Runtime Web cannot be had.
        WriteError: if the cache cannot be written.
    """
    ours, photographs = (Path(str(files(f"lightsam_exporters.{name}"))) / "data" for name in ("browser", "parity"))
    index = ours / "examples.json"
    shown = [entry["file"] for entry in json.loads(index.read_text(encoding="utf-8"))]
    return [
        *((path, Path(RUNTIME, name)) for name, path in runtime_files().items()),
        (index, Path(EXAMPLES, "index.json")),
        *((photographs / name, Path(EXAMPLES, name)) for name in shown),
        (ours / "nojekyll", Path(".nojekyll")),  # GitHub Pages then publishes the files as they are
    ]
