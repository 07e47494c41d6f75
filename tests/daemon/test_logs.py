"""The shape of a log line, and what never is in one."""

import io
import json
import logging
from typing import Any

import pytest
import structlog

from daemon import logs


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_an_object_with_time_level_and_event() -> None:
    out = io.StringIO()
    logs.configure("info", "json", out)
    structlog.get_logger().warning("session_started", session_id="abc", attempt=2)
    (line,) = _lines(out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "session_started", "level": "warning", "session_id": "abc", "attempt": 2}


def test_auto_is_for_people_on_a_terminal_and_for_programs_elsewhere() -> None:
    terminal, file, plain = _Terminal(), io.StringIO(), io.StringIO()
    logs.configure("info", "auto", terminal)
    structlog.get_logger().info("daemon_started")
    logs.configure("info", "auto", file)
    structlog.get_logger().info("daemon_started")
    logs.configure("info", "console", plain)
    structlog.get_logger().info("daemon_started")
    assert "\x1b[" in terminal.getvalue()
    assert _lines(file)[0]["event"] == "daemon_started"
    assert "daemon_started" in plain.getvalue()
    assert "\x1b[" not in plain.getvalue()


def test_what_a_page_says_commands_no_terminal() -> None:
    out = io.StringIO()
    logs.configure("info", "console", out)
    structlog.get_logger().info("browser_wrote", line="\x1b[2Jgone", more="a\nb \x9bx")
    assert "\x1b" not in out.getvalue()
    assert "\x9b" not in out.getvalue()
    assert out.getvalue().count("\n") == 1
    assert r"\x1b[2Jgone" in out.getvalue()


def test_what_is_less_grave_than_the_level_is_left_out_and_the_level_can_change() -> None:
    out = io.StringIO()
    log = structlog.get_logger()
    logs.configure("warning", "json", out)
    log.info("probe_sent")
    assert not out.getvalue()
    logs.configure("debug", "json", out)
    log.debug("probe_sent")
    assert len(_lines(out)) == 1


def test_secrets_are_dropped_and_numbers_shortened_however_deep() -> None:
    out = io.StringIO()
    logs.configure("info", "json", out)
    structlog.get_logger().info(
        "message_sent",
        text="hello",
        qr_text="2@abc",
        webhookSecret="s",
        phone_number="+49 170 1234789",
        chat_id="491701234789@c.us",
        to="connected",
        settings={"webhook-secret": "s", "autoReconnect": True},
        messages=[{"text": "hello", "from": "491701234789@c.us"}, 3],
    )
    (line,) = _lines(out)
    del line["timestamp"]
    assert line == {
        "event": "message_sent",
        "level": "info",
        "phone_number": "+49…789",
        "chat_id": "49…789@c.us",
        "to": "connected",
        "settings": {"autoReconnect": True},
        "messages": [{"from": "49…789@c.us"}, 3],
    }


@pytest.mark.parametrize(
    ("phone", "short"),
    [
        ("+491701234789", "+49…789"),
        ("491701234789", "49…789"),
        ("+49 (170) 1234-789", "+49…789"),
        ("120363041234567890@g.us", "12…890@g.us"),
        ("12345", "…"),
        ("", "…"),
        ("status@broadcast", "…@broadcast"),
    ],
)
def test_masked(phone: str, short: str) -> None:
    assert logs.masked(phone) == short


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_is_written_without_the_values_of_variables(log_format: str) -> None:
    out = io.StringIO()
    logs.configure("info", log_format, out)
    message_text = "hello " * 2  # a local variable of the frame that raises
    try:
        _fail(message_text)
    except ZeroDivisionError:
        structlog.get_logger().exception("request_failed")
    assert "ZeroDivisionError" in out.getvalue()
    assert "in _fail" in out.getvalue()
    assert message_text not in out.getvalue()


def _fail(text: str) -> float:
    return len(text) / 0


def test_what_libraries_log_has_the_same_shape_from_warnings_up() -> None:
    out = io.StringIO()
    logs.configure("debug", "json", out)
    logs.configure("debug", "json", out)  # twice: still one line each
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("odd: %s", 7)
    (line,) = _lines(out)
    assert (line["event"], line["level"]) == ("odd: 7", "warning")


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    closed = io.StringIO()
    for out in (Full(), closed):
        logs.configure("info", "json", out)
        if out is closed:
            out.close()
        structlog.get_logger().info("daemon_started")
        logging.getLogger("some.library").error("odd")
