"""An evaluation as a sweep's work: what is done at one point."""

import json
import tempfile
from pathlib import Path
from typing import Any

from .evaluation import Evaluation
from .storage import as_text
from .subjects import Candidate


def evaluate_one(candidate: Candidate, evaluation: Evaluation) -> dict[str, Any]:
    """The record of one subject, as JSON holds it."""
    from lightsam_benchmarks.evaluations import evaluate

    from .ground_truth import load as load_data
    from .run import Quality
    from .subjects import check_slots

    check_slots([candidate], evaluation)
    data = load_data(evaluation)
    with tempfile.TemporaryDirectory() as folder:
        outcome = evaluate([candidate], Quality(data, evaluation), Path(folder) / "record.json")
    return json.loads(as_text(outcome.record))
