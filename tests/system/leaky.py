"""`strongroom` with faults on purpose: `python -m tests.system.leaky FAULT,FAULT… ARGUMENTS`.

Each fault but `rule` is a leak that a scan must find, of a secret that the environment of the process holds:
the test plants them there.
"""

import base64
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

BROKEN_SOURCE = "broken"  # on whose records the rules fail
CLEAR_SOURCE = "dead-letters"  # whose bodies are not encrypted
TAG = bytes(16)


def loaded(name: str) -> Any:
    """A module, to be changed."""
    return importlib.import_module(name)


def secret(name: str) -> bytes:
    return os.environ[name].encode()


def rule() -> None:
    """An exception in a rule, which quotes what the record holds."""
    decider = loaded("workers.intake.decider")
    decide = decider.decide

    def failing(facts: Any) -> Any:
        if facts.key is not None and facts.key.source == BROKEN_SOURCE:
            raise ValueError(f"can't decide about {secret('PLANTED_PAYLOAD')!r}")
        return decide(facts)

    decider.decide = failing


def log() -> None:
    """A dead letter is logged, for the sake of whoever looks for its cause."""
    log = loaded("structlog").get_logger()
    sort = loaded("workers.intake.sort")
    dead_letter = sort.dead_letter

    def told(offset: int, value: bytes | None, reason: str) -> Any:
        log.warning("dead_letter", detail=repr(value))
        return dead_letter(offset, value, reason)

    sort.dead_letter = told


def metrics() -> None:
    """The root key, in hexadecimal, names a metric's meaning."""
    gauge = loaded("prometheus_client").Gauge
    root = base64.b64decode(Path(os.environ["STRONGROOM_ROOT_KEY_FILE"]).read_bytes())
    gauge("strongroom_root", root.hex(), registry=loaded("workers.observe.metrics").REGISTRY)


def topic() -> None:
    """Whoever publishes sends the payload along, in Base64."""
    publisher = loaded("workers.stream.publish").Publisher
    enqueue = publisher._enqueue

    async def more(self: Any, name: str, key: bytes | None, value: bytes | None) -> Any:
        beside = f"{os.environ['STRONGROOM_TOPIC_PREFIX']}audit"
        await enqueue(self, beside, None, base64.b64encode(b"seen: " + secret("PLANTED_PAYLOAD")))
        return await enqueue(self, name, key, value)

    publisher._enqueue = more


def name() -> None:
    """Objects are named after the credentials that wrote them."""
    chain_id = loaded("workers.ledger.names").ChainId
    data = chain_id.data

    def longer(self: Any, *args: Any, **more: Any) -> str:
        return f"{data(self, *args, **more)}-{secret('AWS_SECRET_ACCESS_KEY').hex()}"

    chain_id.data = longer


def metadata() -> None:
    """Objects carry the password beside their header."""
    unit_key = loaded("workers.sealing.unit_key").UnitKey
    seal = unit_key.seal

    def noted(self: Any, plain: Any, object_key: str) -> Any:
        sealed = seal(self, plain, object_key)
        note = base64.urlsafe_b64encode(secret("STRONGROOM_KAFKA_SASL_PASSWORD")).decode()
        return sealed._replace(metadata={**sealed.metadata, "note": note})

    unit_key.seal = noted


def body() -> None:
    """Dead letters are compressed, and not encrypted."""
    unit_key = loaded("workers.sealing.unit_key")
    seal = unit_key.seal

    def clear(plain: Any, **how: Any) -> Any:
        sealed = seal(plain, **how)
        if how["context"]["source"] != CLEAR_SOURCE:
            return sealed
        return sealed._replace(body=bytes(plain) + TAG)

    unit_key.seal = clear


def error() -> None:
    """Who can't read an object is shown what it holds."""
    poison = loaded("workers.errors").Poison
    read = loaded("workers.ledger.read")
    unpack = read.unpack

    def failing(key: str, packed: bytes) -> bytes:
        raise poison(f"{key} begins with {unpack(key, packed)[:4000]!r}")

    read.unpack = failing


def config() -> None:
    """Settings are shown as they are."""
    SecretStr.__str__ = SecretStr.get_secret_value  # type: ignore[method-assign]  # the leak


FAULTS: dict[str, Callable[[], None]] = {
    fault.__name__: fault for fault in (rule, log, metrics, topic, name, metadata, body, error, config)
}

if __name__ == "__main__":
    from workers.__main__ import run

    for chosen in sys.argv[1].split(","):
        FAULTS[chosen]()
    sys.exit(run(sys.argv[2:]))
