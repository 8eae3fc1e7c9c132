"""One run: every row of every model, put together as a record."""

import datetime
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES
from lightsam.version import __version__
from lightsam.weights.checkpoints import load_model
from lightsam.weights.downloads import ProgressBar
from lightsam_benchmarks import machine
from lightsam_benchmarks.latency.plan import photograph
from lightsam_exporters.formats import describe_format
from lightsam_exporters.formats.base import OnStep

from .authors import Authors
from .files import Files
from .inputs import Inputs
from .measuring import Measuring, each_left_out
from .record import About, Group, Memory, Profile, Record, Result
from .rounds import Method
from .table import CONVERTED, FORMATS, Row


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and how."""

    rows: Sequence[Row]
    method: Method
    weights: str = "auto"
    """As for an export."""
    authors: Path | None = None
    """Folder with clones of the authors' repositories."""
    each: bool = False
    """Whether each rewrite is also left out alone."""
    smallest: bool = False
    """Whether models are taken at their smallest image size, to see that everything runs."""
    accept_license: bool = False


def benchmark(plan: Plan, on_step: OnStep = lambda _: None, progress: ProgressBar | None = None) -> Record:
    """Measure every row; one that cannot be measured says why.

    Args:
        plan: what to do.
        on_step: told what begins.
        progress: of a download of weights.

    Raises:
        CheckpointError: if the weights cannot be had.
    """
    here, git = machine.describe(), machine.git_state()
    converters = [package for name in CONVERTED for package in describe_format(name).requires]
    names = dict.fromkeys((*machine.ran_by(), *(name.replace("_", "-") for name in converters)))
    models: list[About] = []
    results: list[Result] = []
    groups: list[Group] = []
    memory: list[Memory] = []
    profiles: list[Profile] = []
    authors = Authors(plan.authors)
    with photograph() as image:
        for model in dict.fromkeys(row.model for row in plan.rows):
            with tempfile.TemporaryDirectory() as folder:
                on_step(f"loading {model}, {plan.weights} weights")
                card = find_model(model)
                loaded = load_model(
                    model,
                    weights=plan.weights,
                    image_size=min(card.image_sizes) if plan.smallest else None,
                    accept_license=plan.accept_license,
                    progress=progress,
                )
                files = Files(loaded, Path(folder), authors, on_step)
                rows = [row for row in plan.rows if row.model == model]
                rows += each_left_out(rows, files) if plan.each else []
                one = Measuring(files, Inputs(files.stages, image), plan.method, rows, on_step)
                results += one.results()
                profiles += one.profiles()
                groups += one.groups
                memory += one.memory
                models.append(_about(files, authors, one.conversion_s))
    return Record(
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        lightsam=__version__,
        git=git,
        python=platform.python_version(),
        versions=machine.versions(names),
        machine=replace(here, load_after=machine.load_average()),
        method=plan.method,
        models=tuple(models),
        results=tuple(results),
        groups=tuple(groups),
        memory=tuple(memory),
        profiles=tuple(profiles),
    )


def _about(files: Files, authors: Authors, conversion_s: dict[str, float]) -> About:
    loaded = files.loaded
    return About(
        model=loaded.card.name,
        image_size=loaded.sam.image_size,
        weights=loaded.weights,
        authors=authors.commit(loaded.card.name),
        rewrites={
            f"{stage} {format_name}": tuple(files.rewrites(stage, format_name))
            for stage in STAGE_NAMES
            for format_name in FORMATS
        },
        conversion_s=conversion_s,
    )
