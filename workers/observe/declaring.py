"""How a metric is declared: registered, and a line of the docs.

A label takes declared values only: neither a customer's id nor a write key can get in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

M = TypeVar("M", bound=MetricWrapperBase)


class Labelled(Generic[M]):
    """A metric with labels. `labels` raises ValueError for a value that was not declared."""

    def __init__(self, metric: M, allowed: Mapping[str, Iterable[str]]) -> None:
        self._metric = metric
        self._allowed = {label: frozenset(values) for label, values in allowed.items()}

    def labels(self, **values: str) -> M:
        for label, value in values.items():
            if value not in self._allowed.get(label, ()):
                raise ValueError(f"{value!r} is no declared value of label {label}")
        return self._metric.labels(**values)


@dataclass(frozen=True, slots=True)
class Declared:
    """A line of docs/metrics.md."""

    name: str
    kind: str
    unit: str
    labels: Mapping[str, Sequence[str]]
    meaning: str


DECLARED: list[Declared] = []


def _declare(name: str, kind: str, unit: str, meaning: str, labels: Mapping[str, Sequence[str]]) -> None:
    DECLARED.append(Declared(name, kind, unit, labels, meaning))


def counter(name: str, unit: str, meaning: str) -> Counter:
    _declare(name, "counter", unit, meaning, {})
    return Counter(name, meaning, registry=REGISTRY)


def counters(name: str, unit: str, meaning: str, **labels: Sequence[str]) -> Labelled[Counter]:
    _declare(name, "counter", unit, meaning, labels)
    return Labelled(Counter(name, meaning, list(labels), registry=REGISTRY), labels)


def gauge(name: str, unit: str, meaning: str) -> Gauge:
    _declare(name, "gauge", unit, meaning, {})
    return Gauge(name, meaning, registry=REGISTRY)


def gauges(name: str, unit: str, meaning: str, **labels: Sequence[str]) -> Labelled[Gauge]:
    _declare(name, "gauge", unit, meaning, labels)
    return Labelled(Gauge(name, meaning, list(labels), registry=REGISTRY), labels)


def histogram(name: str, unit: str, meaning: str, buckets: Sequence[float]) -> Histogram:
    _declare(name, "histogram", unit, meaning, {})
    return Histogram(name, meaning, buckets=buckets, registry=REGISTRY)


def histograms(
    name: str, unit: str, meaning: str, buckets: Sequence[float], **labels: Sequence[str]
) -> Labelled[Histogram]:
    _declare(name, "histogram", unit, meaning, labels)
    return Labelled(Histogram(name, meaning, list(labels), buckets=buckets, registry=REGISTRY), labels)
