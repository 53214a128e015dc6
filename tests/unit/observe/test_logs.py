"""Log lines have names and fields, and nothing in them that must stay sealed."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from workers.observe import logs
from workers.settings import LogFormat, LogLevel

PLANTED = "planted-5e1f"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(LogFormat.JSON, LogLevel.INFO, stream=stream)
    yield stream
    root.handlers[:], root.level = before
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_a_name_a_level_a_time_and_its_fields(stream: io.StringIO) -> None:
    structlog.get_logger().info("partition_claimed", partition=3)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["partition"]) == ("partition_claimed", "info", 3)
    assert line["timestamp"].endswith("Z")


def test_lines_below_the_level_are_left_out(stream: io.StringIO) -> None:
    structlog.get_logger().debug("detail")
    assert lines(stream) == []


@pytest.mark.parametrize(
    "name",
    [
        *(
            "key",
            "write_key",
            "writeKey",
            "root_key",
            "unit_keys",
            "payload",
            "raw_payload",
            "secret",
            "sasl_password",
        ),
        *("token", "plaintext", "body", "value", "lines", "dek", "aws_credentials", "authorization"),
    ],
)
def test_what_a_field_is_called_can_withhold_it(stream: io.StringIO, name: str) -> None:
    structlog.get_logger().warning("something", **{name: PLANTED, "nested": 1})
    assert PLANTED not in stream.getvalue()
    assert lines(stream)[0][name] == logs.WITHHELD


@pytest.mark.parametrize(
    "value", [PLANTED.encode(), bytearray(PLANTED.encode()), memoryview(PLANTED.encode())]
)
def test_bytes_are_never_written(stream: io.StringIO, value: object) -> None:
    structlog.get_logger().warning("something", found=value)
    assert PLANTED not in stream.getvalue()
    assert lines(stream)[0]["found"] == "(12 bytes)"


@pytest.mark.parametrize(
    "fields", [{"keys": 12}, {"object_key": "data/ws=a"}, {"plain_bytes": 9}, {"keyspace": "a"}]
)
def test_counts_and_names_are_not_withheld(stream: io.StringIO, fields: dict[str, object]) -> None:
    structlog.get_logger().info("something", **fields)
    assert lines(stream)[0].items() >= fields.items()


@pytest.mark.parametrize("log_format", [LogFormat.JSON, LogFormat.CONSOLE])
def test_a_traceback_shows_no_local_variables(stream: io.StringIO, log_format: LogFormat) -> None:
    logs.configure(log_format, LogLevel.INFO, stream=stream)
    held = PLANTED[:8] + "2b" * 4
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "Traceback" in stream.getvalue()
    assert held not in stream.getvalue()


@pytest.mark.parametrize("library", ["aiokafka.conn", "faust", "botocore.auth"])
def test_warnings_of_libraries_come_through_under_one_name(stream: io.StringIO, library: str) -> None:
    logging.getLogger(library).info("chatter")
    logging.getLogger(library).warning("node %s is gone", 3)
    (line,) = lines(stream)
    assert (line["event"], line["library"], line["message"]) == ("library_line", library, "node 3 is gone")


def test_a_command_hears_nothing_of_libraries(stream: io.StringIO) -> None:
    logs.configure(LogFormat.JSON, LogLevel.ERROR, libraries=False, stream=stream)
    logging.getLogger("aiokafka").error("Unable to connect")
    assert lines(stream) == []


def test_auto_is_json_where_no_person_watches(stream: io.StringIO) -> None:
    logs.configure(LogFormat.AUTO, LogLevel.INFO, stream=stream)
    structlog.get_logger().info("something")
    assert lines(stream)[0]["event"] == "something"
