"""Two records: what became slower, beyond noise?"""

from dataclasses import asdict, dataclass

from lightsam.errors import UsageError
from lightsam_benchmarks.machine import other_versions

from .record import OK, Record, Result
from .summary import Ratio, ratio

SLOWER, FASTER, SAME, BROKEN, LEFT_OUT = "slower", "faster", "same", "broken", "not measured"


@dataclass(frozen=True)
class Change:
    """One thing that both records have, or that only the old one has."""

    old: Result
    name: str
    """Of what was timed, as in a record; empty where the new record has none of it."""
    ratio: Ratio | None
    """New over old; None where the new record has no number."""
    verdict: str
    """``slower`` and ``faster`` are beyond noise; ``broken`` no longer runs, ``not measured`` the new run left out."""
    message: str = ""
    """Why it is broken."""

    def is_past(self, margin: float) -> bool:
        """Whether it is slower, beyond noise, by more than this share; what is broken always is."""
        return self.verdict == BROKEN or (
            self.verdict == SLOWER and self.ratio is not None and self.ratio.value > 1 + margin
        )


def compare(old: Record, new: Record) -> list[Change]:
    """Everything that the old record measured, in its order.

    Raises:
        UsageError: if the records have nothing in common.
    """
    there = new.by_key()
    changes = []
    for before in old.results:
        if before.status != OK:
            continue
        now = there.get(before.key)
        if now is None:
            changes.append(Change(before, "", None, LEFT_OUT))
            continue
        if now.status != OK:
            changes.append(Change(before, "", None, BROKEN, f"{now.status}: {now.message}"))
            continue
        if now.parity is not None and not now.parity.passed:  # fast and wrong is not faster
            changes.append(Change(before, "", None, BROKEN, "it no longer passes the judge"))
            continue
        for name, summary in before.summaries.items():
            if name not in now.summaries:
                changes.append(Change(before, name, None, LEFT_OUT))
                continue
            found = ratio(summary, now.summaries[name])
            verdict = SAME if found.is_noise else (SLOWER if found.value > 1 else FASTER)
            changes.append(Change(before, name, found, verdict))
    if all(change.verdict == LEFT_OUT for change in changes):
        raise UsageError("the two records have nothing in common: they must be of one model, export, stage and unit")
    return changes


def differing_settings(old: Record, new: Record) -> list[str]:
    """What besides the code was not the same, a line each: machine, versions, method, weights."""
    lines = []
    for name in ("chip", "os", "usable_cores", "power_source"):
        before, now = getattr(old.machine, name), getattr(new.machine, name)
        if before != now:
            lines.append(f"{name.replace('_', ' ')}: {before}, now {now}")
    lines += other_versions(old.versions, new.versions)
    lines += [
        f"{name}: {before}, now {now}"
        for name, before in asdict(old.method).items()
        if (now := getattr(new.method, name)) != before
    ]
    there = new.by_key()
    for before in old.results:
        now = there.get(before.key)
        if now is not None and now.subject.weights.sha256 != before.subject.weights.sha256:
            lines.append(f"{before.subject.title}: other weights")
    return list(dict.fromkeys(lines))
