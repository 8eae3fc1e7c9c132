"""What is evaluated: a PyTorch model by its name, or the files of an export by their folder."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from lightsam.errors import UsageError
from lightsam.models import MODELS, find_model
from lightsam.predictor import Predictor
from lightsam.prompts import Prompt
from lightsam.rules import PromptRules
from lightsam.stages import STAGE_NAMES
from lightsam.weights.checkpoints import Weights, load_model
from lightsam.weights.downloads import ProgressBar
from lightsam.weights.sources import TRAINED
from lightsam_benchmarks import subject
from lightsam_benchmarks.latency import pytorch
from lightsam_benchmarks.latency.record import Subject
from lightsam_exporters.artifacts import sha256
from lightsam_exporters.formats import find_format
from lightsam_exporters.formats.running import RunOptions
from lightsam_exporters.loading import Export, find_exports, is_export, load_pair, predictor_of

from .evaluation import Evaluation
from .prompts import BACKGROUND, FOREGROUND
from .record import Evaluated

_EAGER = (f"{pytorch.NAME}-{pytorch.EAGER}", pytorch.NAME, pytorch.EAGER)
_UNKNOWN = Weights("", "", trained=False)
"""Before they are loaded."""


@dataclass(frozen=True)
class Loaded:
    """A subject in memory."""

    predictor: Predictor
    subject: Subject
    files: dict[str, str]
    """sha256 of each stage's file, as it is now; empty for PyTorch."""
    runs_on: str
    """Runtime and unit."""
    changed: bool = False
    """Whether a file is no longer the one that was exported."""

    @property
    def identity(self) -> str:
        """sha256 of weights, files and what runs them: all that changes the subject's answers."""
        facts = (self.subject.weights.sha256, sorted(self.files.items()), self.subject.image_size, self.runs_on)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def evaluated(self, name: str) -> Evaluated:
        """What a record says of it, under this name."""
        return Evaluated(name, self.subject, self.files, self.runs_on, self.changed)


@dataclass(frozen=True)
class Candidate:
    """Something that can be loaded when its turn comes: one at a time is in memory."""

    name: str
    """What it is called in the record; unique within a run."""
    origin: str
    """What tells it apart from another of the same name."""
    point_slots: int | None
    """Prompt slots of a decoder with static shapes."""
    rules: PromptRules
    """Which prompts the model takes."""
    load: Callable[[], Loaded] = field(repr=False)


@dataclass(frozen=True)
class Loading:
    """How subjects are found and run."""

    weights: Sequence[str] = ()
    """Of models: a subject each; none means the first trained ones that can be had."""
    image_size: int | None = None
    """Of models."""
    formats: Sequence[str] = ()
    """Of models' folders: these formats alone; all when there is none."""
    precision: str | None = None
    how: RunOptions = RunOptions()  # noqa: RUF009  # it is frozen
    accept_license: bool = False
    progress: ProgressBar | None = None


def find(
    names: Sequence[str], others: Sequence[str], loading: Loading, evaluation: Evaluation
) -> tuple[list[Candidate], list[Candidate]]:
    """What these names mean, in their order, each with a name of its own; nothing is loaded yet.

    Args:
        names: models, folders of models, folders of exports.
        others: what these are paired with; the same subject may be among both, and is then one.

    Raises:
        ContractError: if a folder has no manifest.
        UsageError: for a name that is nothing, a subject named twice, or a decoder with too few slots for the clicks.
    """
    if loading.weights and not any(name in MODELS for name in (*names, *others)):
        raise UsageError("--weights are those of a model, and none is named: an export holds its own")
    mine, theirs = ([candidate for name in group for candidate in _of(name, loading)] for group in (names, others))
    known = {(one.name, one.origin): one for one in (*mine, *theirs)}
    if len({(one.name, one.origin) for one in mine}) < len(mine):
        raise UsageError(f"a subject is named twice: {', '.join(names)}")
    told = {key: one for group in _by_name(list(known.values())) for key, one in _told_apart(group).items()}
    found = list(told.values())
    check_slots(found, evaluation)
    return [told[one.name, one.origin] for one in mine], [told[one.name, one.origin] for one in theirs]


def check_slots(candidates: Sequence[Candidate], evaluation: Evaluation) -> None:
    """Make sure that every model takes the clicks, and every decoder can hold them.

    Raises:
        UsageError: naming the first that cannot.
    """
    clicks = max(1, evaluation.clicks)
    corrected = clicks > 1  # the first says what is wanted, and any other may say what is not
    prompt = Prompt(
        [(0, 0)] * clicks,
        [FOREGROUND, *[BACKGROUND] * (clicks - 1)],
        mask=np.empty(0) if corrected and evaluation.rules.mask_prompt else None,
    )
    for candidate in candidates:
        if refusal := prompt.refusal(candidate.rules):
            raise UsageError(
                f"{candidate.name} cannot be asked for {evaluation.clicks} clicks under the protocol "
                f"{evaluation.protocol}: {refusal}"
            )
        needed = clicks + candidate.rules.padding_points(clicks, box=False)
        if candidate.point_slots is not None and needed > candidate.point_slots:
            raise UsageError(
                f"{clicks} clicks take {needed} prompt slots and {candidate.name} has "
                f"{candidate.point_slots}: give fewer clicks, or export it with --point-slots {needed}"
            )


def _by_name(found: Sequence[Candidate]) -> list[list[Candidate]]:
    groups: dict[str, list[Candidate]] = {}
    for candidate in found:
        groups.setdefault(candidate.name, []).append(candidate)
    return list(groups.values())


def _told_apart(group: list[Candidate]) -> dict[tuple[str, str], Candidate]:
    """Those of one name, with as much of the end of their path behind it as makes them differ."""
    if len(group) == 1:
        return {(group[0].name, group[0].origin): group[0]}
    paths = [Path(candidate.origin).parts for candidate in group]
    count = next(n for n in range(1, max(map(len, paths)) + 1) if len({parts[-n:] for parts in paths}) == len(group))
    return {
        (one.name, one.origin): replace(one, name=f"{one.name} ({'/'.join(parts[-count:])})")
        for one, parts in zip(group, paths, strict=True)
    }


def _of(name: str, loading: Loading) -> list[Candidate]:
    if name in MODELS:
        return [of_model(name, weights, loading) for weights in loading.weights or (TRAINED,)]
    folder = Path(name)
    if not folder.exists():
        raise UsageError(
            f"there is neither a model nor a folder {name!r}; the models are: {', '.join(MODELS)}; a folder is one of "
            "exports, such as artifacts/mobile_sam/onnx-float16"
        )
    # Absolute, as a folder may be given as ".".
    formats = loading.formats or (None,)
    folder = folder.absolute()
    if is_export(folder):  # it is that one, whatever formats are asked for of others
        return [of_export(find_exports(folder)[0], loading)]
    there = [entry for name in formats for entry in find_exports(folder, name, loading.precision)]
    once = {entry.name: entry for entry in there}  # an export's own folder is that export, whatever the format
    return [of_export(entry, loading) for entry in once.values()]


def _limit_threads(loading: Loading) -> None:
    if loading.how.threads is not None:
        torch.set_num_threads(loading.how.threads)


def of_model(name: str, weights: str, loading: Loading) -> Candidate:
    """A PyTorch model with these weights, in float32 on the CPU."""

    def load() -> Loaded:
        _limit_threads(loading)
        loaded = load_model(
            name,
            weights=weights,
            image_size=loading.image_size,
            accept_license=loading.accept_license,
            progress=loading.progress,
        )
        about = subject.of_model(name, loaded.sam, loaded.weights, pytorch.EAGER)
        return Loaded(Predictor.from_model(loaded), about, {}, f"PyTorch {torch.__version__}, CPU")

    card = MODELS[name]
    size = card.resolve_image_size(loading.image_size)
    shown = Subject(name, size, *_EAGER, None, _UNKNOWN).title
    return Candidate(shown, weights, None, card.skeleton(size).rules.prompts, load)


def of_export(entry: Export, loading: Loading) -> Candidate:
    """The files of one export.

    Raises:
        FormatUnavailableError: if what runs them is not installed.
    """
    about = subject.of_export(entry)
    find_format(entry.format_name)  # an error says what to install, before any work

    def load() -> Loaded:
        _limit_threads(loading)  # of masks brought to the image's size, and of the evaluator
        encoder, decoder = load_pair(entry, loading.how)
        paths = {stage: entry.path(stage) for stage in STAGE_NAMES}
        files = {stage: sha256(path) for stage, path in paths.items() if path is not None}
        runs_on = " and ".join(dict.fromkeys((encoder.judge, decoder.judge)))
        return Loaded(predictor_of(encoder, decoder), about, files, runs_on, bool(entry.changed_files()))

    rules = find_model(about.model).skeleton(about.image_size).rules.prompts
    return Candidate(about.title, str(entry.folder), about.point_slots, rules, load)
