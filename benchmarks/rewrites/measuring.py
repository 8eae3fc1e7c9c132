"""All rows of one model: which files they need, and what each row's number is made of."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from lightsam.errors import LightSamError
from lightsam_benchmarks.latency.summary import Summary
from lightsam_exporters import artifacts
from lightsam_exporters.formats import find_format
from lightsam_exporters.lint.memory import peak

from . import conversion
from .authors import NotGivenError
from .files import Files
from .inputs import Inputs
from .memory import Peak, peak_of
from .operations import times_by_operation
from .process import in_a_process
from .record import FAILED, LEFT_OUT, OK, Group, Memory, Profile, Result, Timed
from .rounds import Measured, Method, Subject, measure, ratio_of
from .table import (
    ACTIVATIONS,
    AT_LOAD,
    AUTHORS,
    CONVERSION,
    CONVERTED,
    FAITHFUL,
    MEMORY,
    OURS,
    TIME,
    Case,
    Row,
    without,
)

Key = tuple[str, str]
"""A file of a case: subject and format."""


def each_left_out(rows: Sequence[Row], files: Files) -> list[Row]:
    """Rows for what each rewrite is worth: every file that is timed, against the same without one of its rewrites."""
    timed = dict.fromkeys((row.model, row.case, row.format) for row in rows if row.kind == TIME)
    return [
        Row(model, case, format_name, without(name))
        for model, case, format_name in timed
        for name in files.rewrites(case.stage, format_name)
    ]


class Measuring:
    """One model; what was measured for one row serves the others."""

    def __init__(
        self, files: Files, inputs: Inputs, method: Method, rows: Sequence[Row], on_step: Callable[[str], None]
    ) -> None:
        self.files = files
        self.rows = rows
        self.memory: list[Memory] = []
        self.conversion_s: dict[str, float] = {}
        self._inputs = inputs
        self._method = method
        self._on_step = on_step
        self._times: dict[Case, dict[Key, Measured]] = {}

    def results(self) -> list[Result]:
        """Every row's number, or why there is none."""
        return [self._result(row) for row in self.rows]

    @cached_property
    def groups(self) -> list[Group]:
        """What was timed by turns."""
        model = self.files.loaded.card.name
        return [
            Group(
                model,
                case.name,
                case.prompts,
                tuple(
                    Timed(subject, format_name, size, one.ms, Summary.of([one.ms]), one.psnr_db)
                    for (subject, format_name), one in found.items()
                    for size in (artifacts.size_bytes(self.files.path(case.stage, subject, format_name)),)
                ),
            )
            for case, found in self._times.items()
        ]

    def profiles(self) -> list[Profile]:
        """Before and after of everything that was timed in ONNX: the authors' file where there is one, and ours."""
        model = self.files.loaded.card.name
        found: list[Profile] = []
        for case, times in self._times.items():
            before = AUTHORS if (AUTHORS, "onnx") in times else FAITHFUL
            if not {(before, "onnx"), (OURS, "onnx")} <= set(times):
                continue
            self._on_step(f"{model}: operations of {case.name}, {before} and {OURS}")
            sides = [self._subject(case, (name, "onnx")) for name in (before, OURS)]
            spent = in_a_process(times_by_operation, sides, self._method.threads)
            found += [Profile(model, case.name, side.name, ms) for side, ms in zip(sides, spent, strict=True)]
        return found

    def _result(self, row: Row) -> Result:
        kinds = {
            TIME: self._time,
            MEMORY: self._memory,
            ACTIVATIONS: self._activations,
            CONVERSION: self._conversion,
        }
        status, message, numbers = OK, "", {}
        try:
            numbers = kinds[row.kind](row)
        except NotGivenError as error:
            status, message = LEFT_OUT, str(error)
        except LightSamError as error:
            status, message = FAILED, str(error)
        about = (row.name, row.model, row.what, row.format, row.against, row.kind)
        return Result(*about, status, message, row.target, **numbers)

    def _time(self, row: Row) -> dict[str, Any]:
        keys = (OURS, row.format), (row.against, row.baseline_format)
        self._subject(row.case, keys[1])  # says why there is none, before any other is timed
        if row.case not in self._times:
            self._times[row.case] = self._timed(row.case)
        times = self._times[row.case]
        ours, baseline = (times[key].ms for key in keys)
        ratio = ratio_of(ours, baseline)
        of_call = (Summary.of([one]).median_ms / row.case.prompts for one in (ours, baseline))
        return {**dict(zip(_SIDES, of_call, strict=True)), "value": ratio.value, "interval": (ratio.low, ratio.high)}

    def _timed(self, case: Case) -> dict[Key, Measured]:
        """All files that rows ask for in one case, but those that cannot be had."""
        keys: dict[Key, None] = {}
        for row in self.rows:
            if row.kind == TIME and row.case == case:
                keys |= {(OURS, row.format): None, (row.against, row.baseline_format): None}
        subjects = []
        for key in keys:
            try:
                subjects.append(self._subject(case, key))
            except LightSamError:  # whoever asks for it is told
                continue
        self._on_step(f"{self.files.loaded.card.name}: timing {case.name}, {len(subjects)} files by turns")
        measured = measure(subjects, self._method)
        return {(one.name, one.format): found for one, found in zip(subjects, measured, strict=True)}

    def _memory(self, row: Row) -> dict[str, Any]:
        sides = (OURS, row.format), (row.against, row.baseline_format)
        peaks = [self._peak(row, key) for key in sides]
        ours, baseline = (one.taken_bytes if row.format in AT_LOAD else one.running_bytes for one in peaks)
        return {**dict(zip(_SIDES, (ours, baseline), strict=True)), "value": ours / baseline}

    def _peak(self, row: Row, key: Key) -> Memory:
        for one in self.memory:
            if (one.case, one.subject, one.format) == (row.case.name, *key):
                return one
        subject = self._subject(row.case, key)
        self._on_step(f"{row.model}: {row.what}, {' '.join(key)}")
        peak: Peak = in_a_process(peak_of, subject, self._method.threads)
        self.memory.append(Memory(row.model, row.case.name, *key, peak.running, peak.taken, peak.total))
        return self.memory[-1]

    def _activations(self, row: Row) -> dict[str, Any]:
        def alive(subject: str, format_name: str) -> float:
            path = self.files.path(row.case.stage, subject, format_name)
            return float(max(peak(graph).bytes for graph in find_format(format_name).listing(path)))

        ours, baseline = alive(OURS, row.format), alive(row.against, row.baseline_format)
        return {**dict(zip(_SIDES, (ours, baseline), strict=True)), "value": ours / baseline}

    def _conversion(self, row: Row) -> dict[str, Any]:
        self._on_step(row.name)
        size = self.files.loaded.sam.image_size
        self.conversion_s = in_a_process(conversion.convert, row.model, self.files.checkpoint, size, CONVERTED)
        seconds = sum(self.conversion_s.values())
        return {"ours": seconds, "value": seconds}

    def _subject(self, case: Case, key: Key) -> Subject:
        name, format_name = key
        inputs = self._inputs.for_authors(case) if name == AUTHORS else self._inputs.of(case)
        return Subject(name, format_name, case.stage, self.files.path(case.stage, name, format_name), inputs)


_SIDES = ("ours", "baseline")
