"""From samples to numbers that can be compared: percentiles, and intervals that say how far to trust them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
_STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Its 97.5 % quantiles for 1, 2, ... degrees of freedom; the last serves for more, where it is a little too wide."""


@dataclass(frozen=True)
class Summary:
    """What one call takes, in milliseconds."""

    count: int
    """Counted calls of all rounds together."""
    min_ms: float
    median_ms: float
    p90_ms: float
    p99_ms: float
    """Interpolated between samples: with fewer than 100 of them nearly the largest."""
    spread: float
    """Distance of the quartiles over the median."""
    interval_ms: tuple[float, float]
    """The median's, at 95 %: two runs agree where `ratio` of them may be 1, see `median_interval`."""

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> "Summary":
        """Sum up the counted calls of every round, in milliseconds."""
        samples = np.concatenate([np.asarray(one, np.float64) for one in rounds])
        low, median, high, p90, p99 = np.percentile(samples, (25, 50, 75, 90, 99))
        return cls(
            count=samples.size,
            min_ms=float(samples.min()),
            median_ms=float(median),
            p90_ms=float(p90),
            p99_ms=float(p99),
            spread=float((high - low) / median),
            interval_ms=median_interval(rounds),
        )

    @property
    def uncertainty(self) -> float:
        """Half the interval over the median."""
        return (self.interval_ms[1] - self.interval_ms[0]) / 2 / self.median_ms


def order_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a median that assumes nothing about the distribution.

    From two order statistics (https://en.wikipedia.org/wiki/Median#Sampling_distribution, by the binomial
    distribution); of fewer than six values, the smallest and the largest.
    """
    ordered = sorted(values)
    n, k = len(ordered), 0
    below, of_k = 0.0, -n * math.log(2)  # probability that fewer than k samples lie below; logarithm of exactly k
    while k < n // 2:
        below += math.exp(of_k)
        if below > (1 - CONFIDENCE) / 2:
            break
        of_k += math.log((n - k) / (k + 1))
        k += 1
    k = max(k, 1)
    return ordered[k - 1], ordered[n - k]


def median_interval(rounds: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The interval of a run's median at 95 %, with what differs between processes in it if there are several rounds.

    Within one process calls resemble one another more than those of two processes do: memory lies elsewhere, the
    machine is busy with something else. So it is the wider of two intervals: that of the order statistics of all
    samples, and Student's t over the medians of the rounds (on a logarithmic scale).
    """
    low, high = order_interval([sample for one in rounds for sample in one])
    medians = np.log([np.median(one) for one in rounds])
    if len(rounds) > 1:
        half = _STUDENT_T[min(len(rounds) - 1, len(_STUDENT_T)) - 1] * medians.std(ddof=1) / math.sqrt(len(rounds))
        low, high = min(low, math.exp(medians.mean() - half)), max(high, math.exp(medians.mean() + half))
    return float(low), float(high)


@dataclass(frozen=True)
class Ratio:
    """How many times as long one takes as the other."""

    value: float
    low: float
    high: float

    @property
    def is_noise(self) -> bool:
        """Whether both may well take the same."""
        return self.low <= 1 <= self.high


def ratio(old: Summary, new: Summary) -> Ratio:
    """New over old, from two runs that know nothing of one another.

    The interval is put together from those of both (MOVER, https://doi.org/10.1002/sim.3095, on a logarithmic scale).
    """
    value = new.median_ms / old.median_ms
    old_low, old_high = (math.log(bound / old.median_ms) for bound in old.interval_ms)
    new_low, new_high = (math.log(bound / new.median_ms) for bound in new.interval_ms)
    low, high = -math.hypot(new_low, old_high), math.hypot(new_high, old_low)
    return Ratio(value, value * math.exp(low), value * math.exp(high))


def paired_ratio(turns: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Ratio:
    """B over A, from turns in which both were called shortly after one another: what slows one slows the other."""
    ratios = [math.log(np.median(b) / np.median(a)) for a, b in turns]
    low, high = order_interval(ratios)
    return Ratio(math.exp(float(np.median(ratios))), math.exp(low), math.exp(high))
