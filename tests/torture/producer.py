"""Producers that write down what became of each record: idempotent, transactional, and one without patience.

All write to all partitions of one topic at once, in threads of their own, until `finish`.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

from confluent_kafka import KafkaError, KafkaException, Producer

from tests.system.traffic import envelope
from tests.torture.journal import Journal, Outcome, Sent
from tests.torture.tally import Tally

TICK = 0.05  # seconds between two pieces of the plain producer's rate
UNDER_WAY = 50_000  # records without an answer that the plain producer has at the most
STUCK = 45.0  # seconds; a broker is back after 10, on a busy machine after 30
ANSWER_WITHIN = 120.0  # seconds that a transaction's end may take, broker restarts included
TRANSACTION_FAULTS = ("transaction_committed", "transaction_aborted", "transaction_abandoned")


class Load:
    """What all producers share. `partitions` grows when the topic does."""

    def __init__(
        self, bootstrap: str, topic: str, keys: list[str], partitions: int, journal: Journal
    ) -> None:
        self.bootstrap, self.topic, self.keys, self.journal = bootstrap, topic, keys, journal
        self.partitions = partitions
        self.failures: list[str] = []
        self._finish = threading.Event()

    def finish(self) -> None:
        """No more records; each producer settles what it has sent, and its thread ends."""
        self._finish.set()

    @property
    def finishing(self) -> bool:
        return self._finish.is_set()

    def pause(self, seconds: float) -> None:
        self._finish.wait(seconds)

    def producer(self, **settings: Any) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "acks": "all",
                "linger.ms": 20,
                "compression.type": "lz4",
                "topic.metadata.refresh.interval.ms": 2000,
                "reconnect.backoff.max.ms": 1000,
                "log_level": 0,
                **settings,
            }
        )

    def record(self, rng: random.Random, name: str) -> tuple[bytes, int]:
        """The envelope with `name` as its message id, and a partition for it."""
        value = envelope(rng.choice(self.keys), name, pad="x" * rng.randrange(20, 400))
        return value, rng.randrange(self.partitions)


class Writer(threading.Thread):
    """One producer. A failure of the harness itself is kept in `load.failures`, and fails the run."""

    prefix: ClassVar[str]

    def __init__(self, load: Load, seed: str) -> None:
        super().__init__(name=f"producer-{self.prefix}", daemon=True)
        self.load = load
        self.rng = random.Random(f"{seed}/{self.prefix}")
        self.sent = 0

    def run(self) -> None:
        try:
            self.work()
        except Exception as error:
            self.load.failures.append(f"{self.name}: {error!r}")

    def work(self) -> None:
        raise NotImplementedError

    def next_name(self) -> str:
        self.sent += 1
        return f"{self.prefix}{self.sent}"

    def send(self, producer: Producer, told: Callable[[Any, Any], None]) -> str:
        name = self.next_name()
        value, partition = self.load.record(self.rng, name)
        while True:
            try:
                producer.produce(self.load.topic, value, name, partition, on_delivery=told)
                return name
            except BufferError:
                producer.poll(0.1)
            except KafkaException as error:
                # the client has not seen a partition yet that grew a moment ago
                if error.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                    raise
                partition = self.rng.randrange(partition)

    def write_down(self, error: Any, message: Any) -> None:
        name = message.key().decode()
        if error is None:
            sent = Sent(Outcome.ACKNOWLEDGED, message.partition(), _offset(message), name)
        else:
            sent = Sent(Outcome.UNKNOWN, -1, -1, name)
        self.load.journal.write([sent])


class Steady(Writer):
    """Idempotent and patient. `rate` a second until all others finish, and then as fast as it goes until
    `records` are acknowledged.

    librdkafka's idempotent producer can stop for good when a broker dies under it. One that has had no answer
    for `STUCK` gives way to another, and what it had not settled stays unknown.
    """

    prefix = "p"

    def __init__(self, load: Load, seed: str, rate: float, records: int) -> None:
        super().__init__(load, seed)
        self.rate, self.records, self.acknowledged = rate, records, 0
        self._producer, self._heard = self._open(), time.monotonic()

    def work(self) -> None:
        began = time.monotonic()
        while not self.load.finishing:
            due = int((time.monotonic() - began) * self.rate)
            while self.sent < due and not self.load.finishing:
                self._send_next()
            self._poll(TICK)
        while self.acknowledged < self.records:
            if self.acknowledged + len(self._producer) < self.records:
                self._send_next()
            else:
                self._poll(TICK)
        while len(self._producer):
            self._poll(TICK)

    def write_down(self, error: Any, message: Any) -> None:
        super().write_down(error, message)
        if error is None:
            self.acknowledged += 1
            self._heard = time.monotonic()

    def _send_next(self) -> None:
        while len(self._producer) >= UNDER_WAY:
            self._poll(TICK)
        self.send(self._producer, self.write_down)
        self._producer.poll(0)

    def _poll(self, seconds: float) -> None:
        self._producer.poll(seconds)
        now = time.monotonic()
        if not len(self._producer):
            self._heard = now
        elif now - self._heard > STUCK:
            self._producer.purge()
            self._producer.flush(10)
            self._producer, self._heard = self._open(), time.monotonic()

    def _open(self) -> Producer:
        return self.load.producer(**{"enable.idempotence": True, "message.timeout.ms": 300_000})


class Impatient(Writer):
    """Tries once and waits two seconds: what was under way when a broker died stays unknown."""

    prefix = "i"

    def __init__(self, load: Load, seed: str, rate: float) -> None:
        super().__init__(load, seed)
        self.rate = rate

    def work(self) -> None:
        producer = self.load.producer(**{"retries": 0, "message.timeout.ms": 2000, "linger.ms": 1})
        while not self.load.finishing:
            self.send(producer, self.write_down)
            producer.poll(1 / self.rate)
        producer.flush(30)


class Transactional(Writer):
    """Small transactions: committed, aborted, or left open by a producer that goes away."""

    prefix = "t"

    def __init__(self, load: Load, seed: str, tally: Tally, identity: str, pause: float) -> None:
        super().__init__(load, seed)
        self.tally, self.identity, self.pause = tally, identity, pause

    def work(self) -> None:
        producer = self._open()
        while not self.load.finishing:
            outcome = self.rng.choices(TRANSACTION_FAULTS, (60, 30, 10))[0]
            self._delivered: list[Sent] = []
            names = self._write(producer)
            if outcome == "transaction_abandoned":
                self._settle(names, Outcome.ABORTED)
                del producer  # without a word; the next one of this identity has it aborted
                producer = self._open()
                self.tally.count(outcome)
            else:
                try:
                    ended = self._end(producer, commit=outcome == "transaction_committed")
                except KafkaException:
                    self._settle(names, Outcome.UNKNOWN)
                    producer = self._open()
                else:
                    self._settle(names, ended)
                    done = ended is Outcome.ACKNOWLEDGED
                    self.tally.count("transaction_committed" if done else "transaction_aborted")
            self.load.pause(self.rng.uniform(0, 2 * self.pause))

    def _open(self) -> Producer:
        producer = self.load.producer(**{"transactional.id": self.identity, "transaction.timeout.ms": 60_000})
        _insist(lambda: producer.init_transactions(10))
        return producer

    def _write(self, producer: Producer) -> list[str]:
        producer.begin_transaction()
        names = [self.send(producer, self._note) for _ in range(self.rng.randrange(1, 200))]
        producer.flush(ANSWER_WITHIN)
        return names

    def _note(self, error: Any, message: Any) -> None:
        if error is None:
            name = message.key().decode()
            self._delivered.append(Sent(Outcome.UNKNOWN, message.partition(), _offset(message), name))

    def _end(self, producer: Producer, *, commit: bool) -> Outcome:
        """Raises KafkaException where nobody knows how it ended."""
        try:
            if commit:
                _insist(lambda: producer.commit_transaction(10))
                return Outcome.ACKNOWLEDGED
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
        _insist(lambda: producer.abort_transaction(10))
        return Outcome.ABORTED

    def _settle(self, names: list[str], outcome: Outcome) -> None:
        known = {sent.id: sent for sent in self._delivered}
        nowhere = Sent(outcome, -1, -1, "")
        self.load.journal.write(
            known.get(name, nowhere._replace(id=name))._replace(outcome=outcome) for name in names
        )


def _insist(step: Callable[[], Any]) -> None:
    """Repeats what may be repeated. Raises the KafkaException of what may not, or took too long."""
    deadline = time.monotonic() + ANSWER_WITHIN
    while True:
        try:
            step()
            return
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _offset(message: Any) -> int:
    """-1 where the broker has only said that it had the record already."""
    offset = message.offset()
    return -1 if offset is None or offset < 0 else int(offset)
