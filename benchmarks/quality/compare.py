"""Which of two is better on the same objects, and whether the difference is more than noise.

The objects of one image resemble one another, so images are what is drawn again: the bootstrap over clusters
(https://en.wikipedia.org/wiki/Bootstrapping_(statistics)), paired, as both subjects saw the same.
"""

from collections.abc import Sequence

import numpy as np

from lightsam.errors import UsageError
from lightsam_benchmarks.machine import other_versions

from .evaluation import CLICKS
from .record import Difference, Record

RESAMPLES = 10_000
CONFIDENCE = 0.95
_AT_A_TIME = 2**24
"""Counts: of a resample, one for every image. The draws are the same however many are made at a time."""


def bootstrap(values: Sequence[float], images: Sequence[str], seed: int) -> tuple[float, float] | None:
    """The interval of a mean over objects at 95 %, from images drawn again and again; None for a single image.

    Args:
        values: of every object.
        images: the image that each object is in.
        seed: of the draws.
    """
    names, where = np.unique(np.asarray(images), return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.bincount(where, np.asarray(values, np.float64))
    counts = np.bincount(where)
    rng = np.random.default_rng(seed)
    means: list[np.ndarray] = []
    at_a_time = min(500, max(1, _AT_A_TIME // len(names)))
    for start in range(0, RESAMPLES, at_a_time):
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), min(at_a_time, RESAMPLES - start))
        means.append((drawn @ sums) / (drawn @ counts))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(np.concatenate(means), (tail, 100 - tail))
    return float(low), float(high)


def difference(
    names: tuple[str, str],
    prompts: str,
    a: Sequence[float],
    b: Sequence[float],
    images: Sequence[str],
    seed: int,
) -> Difference:
    """B less A, from the IoUs of the same objects."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return Difference(
        a=names[0],
        b=names[1],
        prompts=prompts,
        objects=len(first),
        images=len(set(images)),
        miou_a=float(first.mean()),
        miou_b=float(second.mean()),
        difference=float((second - first).mean()),
        interval=bootstrap(list(second - first), images, seed),
        largest_loss=max(0.0, float((first - second).max())),
    )


def within(record: Record, a: str, b: str) -> list[Difference]:
    """Two subjects of one record, for every kind of prompt."""
    images = [one.image for one in record.objects]
    found = []
    for mine in record.results:
        other = record.result(b, mine.prompts)
        if mine.subject == a and other is not None:
            found.append(difference((a, b), mine.prompts, mine.ious, other.ious, images, record.seed))
    return found


def compare(old: Record, new: Record) -> list[Difference]:
    """Two records: subjects of the same name are paired, or the only ones of both; NEW less OLD on the same objects.

    Raises:
        UsageError: if they share no object, or the protocols differ, or nothing says which subjects are a pair.
    """
    if old.protocol != new.protocol:
        raise UsageError(
            f"the records follow the protocols {old.protocol.name} and {new.protocol.name}: their numbers mean "
            "different things"
        )
    places = {one.key: index for index, one in enumerate(new.objects)}
    shared = [(index, places[one.key]) for index, one in enumerate(old.objects) if one.key in places]
    if not shared:
        raise UsageError("the two records have no object in common: they must be of the same data")
    images = [old.objects[index].image for index, _ in shared]
    found = []
    for a, b in _pairs(old, new):
        for mine in old.results:
            other = new.result(b, mine.prompts)
            if mine.subject != a or other is None or (mine.prompts == CLICKS and old.clicks != new.clicks):
                continue
            first, second = ([mine.ious[i] for i, _ in shared], [other.ious[j] for _, j in shared])
            found.append(difference((a, b), mine.prompts, first, second, images, old.seed))
    if not found:
        raise UsageError("the two records have no kind of prompt in common")
    return found


def _pairs(old: Record, new: Record) -> list[tuple[str, str]]:
    ours, theirs = ([one.name for one in record.subjects] for record in (old, new))
    if len(ours) == len(theirs) == 1:
        return [(ours[0], theirs[0])]
    pairs = [(name, name) for name in ours if name in theirs]
    if not pairs:
        raise UsageError(
            f"no subject is in both records, and there are several: {', '.join(ours)}; and {', '.join(theirs)}"
        )
    return pairs


def differing_settings(old: Record, new: Record) -> list[str]:
    """What besides the subjects was not the same, a line each."""
    lines = []
    for what, before, now in (
        ("objects", len(old.objects), len(new.objects)),
        ("images and ground truth", old.data.sha256[:12], new.data.sha256[:12]),
        ("clicks", old.clicks, new.clicks),
        ("lightsam", old.lightsam, new.lightsam),
    ):
        if before != now:
            lines.append(f"{what}: {before}, now {now}")
    lines += other_versions(old.versions, new.versions)
    return lines
