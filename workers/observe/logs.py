"""Log lines: a stable event name and fields, JSON where no person watches, nothing that must stay sealed."""

import logging
import re
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from workers.settings import LogFormat, LogLevel

WITHHELD = "(withheld)"
AUDIT = "strongroom.audit"  # a logger whose lines are written whatever the level
# a field is withheld if one of the words of its name is here, or if its last word is `key` or `keys`
SECRET_WORDS = frozenset(
    {
        *("authorization", "cookie", "credential", "credentials", "passphrase", "password", "passwords"),
        *("dek", "kek", "secret", "secrets", "token", "tokens"),
        *(
            "body",
            "envelope",
            "line",
            "lines",
            "payload",
            "payloads",
            "plain",
            "plaintext",
            "value",
            "values",
        ),
    }
)
NO_SECRET = frozenset({"object_key", "plain_bytes"})  # names in the bucket and sizes stand in the ledger too
WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")
# Libraries that log what they do at `info`; what goes wrong with them is worth a line
LIBRARIES = (
    "aiobotocore",
    "aiohttp",
    "aiokafka",
    "asyncio",
    "boto3",
    "botocore",
    "faust",
    "kafka",
    "mode",
    "urllib3",
)


def configure(
    log_format: LogFormat, log_level: LogLevel, *, libraries: bool = True, stream: TextIO | None = None
) -> None:
    """Sends everything to `stream` (standard error), with the libraries' warnings unless told not to.

    Call it once, before the first line.
    """
    stream = stream or sys.stderr
    as_json = log_format is LogFormat.JSON or (log_format is LogFormat.AUTO and not stream.isatty())
    level = getattr(logging, log_level.upper())
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        withhold,
    ]
    last: list[Processor] = (
        # plain tracebacks: the rich ones print local variables, and those hold payloads and keys
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_event, *before],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for library in LIBRARIES:
        logger = logging.getLogger(library)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING if libraries else logging.CRITICAL)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=lambda *names: _ours(logging.INFO, AUDIT) if names == (AUDIT,) else _ours(level),
        cache_logger_on_first_use=True,
    )


def _ours(level: int, name: str = "strongroom") -> logging.Logger:
    logger = logging.getLogger(name)
    logger.setLevel(level)
    return logger


def withhold(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Takes out what a field's name or type says must stay sealed."""
    for name, value in event.items():
        if name == "event" or name.startswith("_"):
            continue
        if isinstance(value, bytes | bytearray | memoryview):
            event[name] = f"({len(value)} bytes)"
        elif _secret(name) and not isinstance(value, int | float | None):  # a number counts or measures
            event[name] = WITHHELD
    return event


def _secret(name: str) -> bool:
    words = [word.lower() for word in WORD.findall(name)]
    if name in NO_SECRET or not words:
        return False
    return words[-1] in ("key", "keys") or not SECRET_WORDS.isdisjoint(words)


def _name_event(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A library's line: its text is no stable name, so it becomes a field."""
    record: logging.LogRecord = event["_record"]
    event["message"] = event["event"]
    event["library"] = record.name
    event["event"] = "library_line"
    return event
