"""Token buckets: how much may come at once, and how soon there is more."""

from hypothesis import given
from hypothesis import strategies as st

from workers.keyservice.throttle import NAMES_MAX, Throttle, network_of


@given(rate=st.floats(0.1, 50), waits=st.lists(st.floats(0, 5), max_size=200))
def test_nobody_gets_more_than_its_rate_and_one_burst(rate: float, waits: list[float]) -> None:
    throttle, uptime, taken = Throttle(rate), 100.0, 0
    for wait in waits:
        uptime += wait
        may = throttle.may("a", uptime)
        assert throttle.take("a", uptime) == may
        taken += may
    assert taken <= max(1.0, rate * 10) + (uptime - 100.0) * rate + 1e-6


def test_a_slow_rate_allows_one_at_least() -> None:
    throttle = Throttle(0.01)
    assert throttle.take("a", 0.0)
    assert not throttle.take("a", 50.0)
    assert throttle.take("a", 101.0)


def test_it_remembers_no_more_than_so_many() -> None:
    throttle = Throttle(1.0)
    for number in range(NAMES_MAX + 100):
        throttle.take(str(number), 0.0)
    assert len(throttle._buckets) == NAMES_MAX


def test_addresses_that_one_caller_has_are_one() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:203.0.113.9") == network_of("203.0.113.9") != network_of("203.0.113.8")
    assert network_of("unknown") == "unknown"
