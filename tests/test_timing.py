"""The stopwatch, by a clock of our own."""

import gc
import math

import numpy as np
import pytest

from lightsam.errors import UsageError
from lightsam_benchmarks.latency.summary import Summary, median_interval, order_interval, paired_ratio, ratio
from lightsam_benchmarks.latency.timing import Method, time_block, time_calls, time_once


class FakeClock:
    """Goes on when something is called, and only then."""

    def __init__(self, *durations_ms):
        self.now = 0
        self.durations = iter(durations_ms)
        self.calls = 0
        self.collecting = []

    def __call__(self):
        return self.now

    def call(self):
        self.calls += 1
        self.collecting.append(gc.isenabled())
        self.now += int(next(self.durations) * 1e6)


def test_the_warm_up_is_counted_apart():
    clock = FakeClock(900, 500, *[10] * 40)
    found = time_calls(clock.call, Method(warmup=2, min_count=5, min_time_s=0), clock)
    assert found.warmup_ms == (900, 500)
    assert found.ms == (10,) * 5
    assert found.complete
    assert clock.calls == 7


def test_calls_go_on_until_enough_time_has_passed():
    clock = FakeClock(*[10] * 400)
    found = time_calls(clock.call, Method(warmup=0, min_count=5, min_time_s=1), clock)
    assert len(found.ms) == 100


def test_a_slow_call_is_counted_three_times_at_least():
    clock = FakeClock(*[30_000] * 10)
    found = time_calls(clock.call, Method(warmup=3, min_count=20, min_time_s=1, max_time_s=60), clock)
    assert len(found.warmup_ms) == 2  # then the minute is over
    assert len(found.ms) == 3
    assert not found.complete


def test_no_garbage_is_collected_meanwhile():
    clock = FakeClock(*[1] * 10)
    time_calls(clock.call, Method(warmup=1, min_count=2, min_time_s=0), clock)
    time_once(clock.call, clock)
    assert time_block(clock.call, 2, clock) == [1, 1]
    assert clock.collecting == [False] * 6
    assert gc.isenabled()


@pytest.mark.parametrize(
    "wrong",
    [
        {"warmup": -1},
        {"min_count": 0},
        {"rounds": 0},
        {"threads": 0},
        {"min_time_s": -1},
        {"max_time_s": math.inf},
        {"timeout_s": 0},
    ],
)
def test_a_method_that_cannot_be(wrong):
    with pytest.raises(UsageError, match="at least"):
        Method(**wrong)


def test_the_numbers_of_a_summary():
    found = Summary.of([list(range(1, 51)), list(range(51, 102))])
    assert (found.count, found.min_ms, found.median_ms, found.p90_ms, found.p99_ms) == (101, 1, 51, 91, 100)
    assert found.spread == pytest.approx(50 / 51)


def test_the_order_interval_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        low, high = order_interval(rng.lognormal(size=25))
        inside += low <= 1 <= high
    assert 0.94 < inside / 2000 < 0.99
    assert order_interval([3, 1, 2]) == (1, 3)
    low, high = order_interval(range(200_000))  # in no time
    assert (low + high) / 2 == pytest.approx(100_000, abs=1)
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(200_000) / 2, rel=0.01)
    assert order_interval([7]) == (7, 7)


def noisy_run(rng, *, mean=100.0, rounds=3, between=0.05, within=0.02):
    """Processes differ more from one another than the calls of one do."""
    levels = mean * np.exp(rng.normal(0, between, rounds))
    return [level * np.exp(rng.normal(0, within, 20)) for level in levels]


def test_two_runs_agree_within_the_interval_that_they_state():
    """Nineteen of twenty do; by the samples alone, as if all calls were alike, hardly half would."""
    rng = np.random.default_rng(1)
    pairs = [(Summary.of(noisy_run(rng)), Summary.of(noisy_run(rng))) for _ in range(300)]
    assert np.mean([ratio(old, new).is_noise for old, new in pairs]) > 0.95
    naive = [(order_interval(np.concatenate(noisy_run(rng))), Summary.of(noisy_run(rng)).median_ms) for _ in range(300)]
    assert np.mean([low <= median <= high for (low, high), median in naive]) < 0.6


def test_what_is_twice_as_slow_is_beyond_noise():
    rng = np.random.default_rng(2)
    old, new = Summary.of(noisy_run(rng, between=0.01)), Summary.of(noisy_run(rng, mean=200, between=0.01))
    found = ratio(old, new)
    assert found.low < 2 < found.high
    assert not found.is_noise


def test_one_round_has_an_interval_too():
    low, high = median_interval([[1, 2, 3, 4, 5, 6, 7]])
    assert (low, high) == (1, 7)


def test_turns_find_a_ratio_that_drift_hides():
    """The machine gets three times as slow meanwhile; B takes 1.1 times what A does."""
    rng = np.random.default_rng(3)
    turns = []
    for turn in range(20):
        slow = 1 + turn / 10
        a, b = (slow * base * np.exp(rng.normal(0, 0.01, 3)) for base in (10, 11))
        turns.append((a, b))
    found = paired_ratio(turns)
    assert found.low < 1.1 < found.high
    assert found.high / found.low < 1.03
    assert math.isclose(found.value, 1.1, rel_tol=0.01)
