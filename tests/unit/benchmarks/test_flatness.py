"""A soak's judge: a leak is found, noise and a saw-tooth are none, and what could hide one is not flat."""

import random

from tests.benchmarks.flatness import trend

AT = [5.0 * n for n in range(540)]  # 45 minutes
CHANCE = random.Random(1)
NOISY = [500 + CHANCE.gauss(0, 10) for _ in AT]
SAWTOOTH = [500 + 100 * (when % 37) / 37 for when in AT]


def test_noise_and_a_saw_tooth_are_flat() -> None:
    for values in (NOISY, SAWTOOTH, [500.0] * len(AT)):
        found = trend(AT, values, allowed=15)
        assert found.flat
        assert found.low <= 0 <= found.high


def test_a_leak_stands_out_of_both() -> None:
    for values in (NOISY, SAWTOOTH):
        leaking = [value + 40 * when / AT[-1] for when, value in zip(AT, values, strict=True)]
        found = trend(AT, leaking, allowed=15)
        assert not found.flat
        assert found.low < 40 < found.high
        assert abs(found.robust - 40) < 10


def test_a_certain_growth_that_does_not_matter_is_flat() -> None:
    assert trend(AT, [500 + 10 * when / AT[-1] for when in AT], allowed=15).flat


def test_what_is_too_noisy_to_tell_is_not_called_flat() -> None:
    wild = [500 + CHANCE.gauss(0, 300) for _ in AT]
    assert not trend(AT, wild, allowed=15).flat
