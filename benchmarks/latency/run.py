"""One run: every task in a fresh process, round after round, put together as a record."""

import datetime
import os
import pickle
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lightsam.version import __version__
from lightsam_benchmarks import machine
from lightsam_exporters.formats.base import OnStep

from .plan import Task
from .record import CRASHED, OK, TIMED_OUT, Parity, Record, Result, Unit
from .summary import Summary
from .timing import Method
from .worker import Finding, Job


def benchmark(
    tasks: Sequence[Task], method: Method, refused: Sequence[Task] = (), on_step: OnStep = lambda _: None
) -> Record:
    """Measure every task in each round; between two measurements of one thing lie those of all others.

    What fails once is not tried again.
    """
    # What ran, before it runs: the clone may have another commit at the end.
    here, git, versions = machine.describe(), machine.git_state(), machine.versions(machine.ran_by())
    findings: list[list[Finding]] = [[] for _ in tasks]
    for number in range(1, method.rounds + 1):
        for task, found in zip(tasks, findings, strict=True):
            on_step(f"round {number} of {method.rounds}: {task.title}")
            if not found or found[-1].status == OK:
                found.append(in_a_fresh_process(replace(task.job, first=number == 1)))
    judged = {
        (*task.subject.key, task.job.unit): found[0].parity
        for task, found in zip(tasks, findings, strict=True)
        if found[0].parity is not None
    }
    results = [
        _result(task, found, judged.get((*task.subject.key, task.job.unit)))
        for task, found in zip(tasks, findings, strict=True)
    ]
    return Record(
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        lightsam=__version__,
        git=git,
        python=platform.python_version(),
        versions=versions,
        machine=replace(here, load_after=machine.load_average()),
        method=method,
        results=(*results, *(task.result() for task in refused)),
    )


def in_a_fresh_process(job: Job) -> Finding:
    """Run the worker; its end by a signal or by the time limit is a finding, too."""
    unit = Unit(job.unit, "", "", job.threads)
    # A process that is stopped leaves its temporary files, and what it started may still be ending.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        job_path, finding_path, said_path = (Path(folder) / name for name in ("job", "finding", "said"))
        job_path.write_bytes(pickle.dumps(job))
        command = [sys.executable, "-m", str(__package__), str(job_path), str(finding_path)]
        # Nothing that a compiler cached for an earlier process: its first call would look like another's.
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": folder, "TMPDIR": folder}
        with (
            said_path.open("wb") as said,
            subprocess.Popen(command, stdout=said, stderr=said, env=environment) as process,
        ):
            try:
                status = process.wait(job.method.timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                return Finding(TIMED_OUT, unit, f"it was stopped after {job.method.timeout_s:g} s")
            except BaseException:  # an interrupted run leaves no process behind
                process.kill()
                raise
        # A runtime that calls exit(0) ends the worker before it could say anything.
        if status == 0 and finding_path.exists():
            finding: Finding = pickle.loads(finding_path.read_bytes())
            return finding
        return Finding(CRASHED, unit, _how_it_ended(status, said_path.read_text(errors="replace", encoding="utf-8")))


def _how_it_ended(status: int, said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = f": {lines[-1][:200]}" if lines else ""
    if status < 0:
        try:
            return f"it was ended by {signal.Signals(-status).name}{last}"
        except ValueError:
            return f"it was ended by signal {-status}{last}"
    return f"it ended with status {status} and no result{last}"


def _result(task: Task, findings: Sequence[Finding], parity: Parity | None) -> Result:
    last = findings[-1]
    rounds = tuple(found.round for found in findings if found.round is not None)
    names = rounds[0].ms if rounds else ()
    return Result(
        subject=task.subject,
        scope=task.job.scope,
        unit=last.unit,
        status=last.status,
        message=last.message or findings[0].message,
        sha256=task.sha256,
        size_bytes=task.size_bytes,
        parity=task.parity or parity,
        residency=findings[0].residency,
        rounds=rounds,
        summaries={name: Summary.of([one.ms[name] for one in rounds]) for name in names},
    )
