"""Changes what stands in an ``export.json``, as a careless or malicious hand would."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def edit_facts(export: Path, change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Change the facts of the export in a folder; returns what stands there now."""
    path = export / "export.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return content
