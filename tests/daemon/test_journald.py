"""Entries of the journal: their fields, their ids, and what becomes of those that nobody takes."""

import array
import logging
import os
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon import journald, logs

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket on which a journal would listen; the log goes there."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.setblocking(False)
        monkeypatch.setattr(journald.Journal.__init__, "__defaults__", (path,))
        logs.configure("debug", "journal")
        yield sock


def taken(listening: socket.socket) -> dict[str, str]:
    """The fields of the next entry, read as journald does."""
    data, ancillary, _, _ = listening.recvmsg(2**20, socket.CMSG_SPACE(4))
    if ancillary:
        (fd,) = array.array("i", ancillary[0][2])
        with open(fd, "rb") as file:  # noqa: PTH123  # it has no path
            file.seek(0)
            data = file.read()
    fields = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, given, value = line.partition(b"=")
        if not given:
            (size,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + size], data[9 + size :]
        fields[name.decode()] = value.decode()
    return fields


def test_data_becomes_fields_and_the_message_is_for_people(listening: socket.socket) -> None:
    logs.session_names.set({"shop": "The shop"})
    log = structlog.get_logger()
    log.warning("session_restarting", session_id="shop", attempt=2, delay_s=2.0, reason="PAGE_HUNG", x=None)
    assert taken(listening) == {
        "MESSAGE": "shop: session restarting, attempt=2 delay_s=2.0 reason=PAGE_HUNG",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "wasupd",
        "MESSAGE_ID": journald.message_id("session_restarting"),
        "EVENT": "session_restarting",
        "SESSION_ID": "shop",
        "SESSION_NAME": "The shop",
        "ATTEMPT": "2",
        "DELAY_S": "2.0",
        "REASON": "PAGE_HUNG",
    }


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({"pid": 7, "session_id": "shop"}, {"CHROME_PID": "7", "SESSION_ID": "shop"}),
        ({"pid": 7, "uid": 1000, "method": "x.y"}, {"PEER_PID": "7", "PEER_UID": "1000", "METHOD": "x.y"}),
        ({"message": "m", "_1priority-x": 1}, {"DATA_MESSAGE": "m", "PRIORITY_X": "1"}),
        ({"orphans_killed": [1, 2]}, {"ORPHANS_KILLED": "[1, 2]"}),
    ],
)
def test_names_of_fields(data: dict[str, Any], fields: dict[str, str]) -> None:
    entry = journald.fields({"event": "something_happened", "level": "info", **data}, {})
    for usual in ("MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "MESSAGE_ID", "EVENT"):
        del entry[usual]
    assert entry == fields


def test_what_the_browser_says_stands_under_its_own_name(listening: socket.socket) -> None:
    structlog.get_logger().debug("browser_wrote", session_id="shop", pid=7, line="[1:1:ERROR] bad")
    entry = taken(listening)
    assert entry["MESSAGE"] == "[1:1:ERROR] bad"
    assert (entry["SYSLOG_IDENTIFIER"], entry["SESSION_ID"]) == ("wasupd-chrome", "shop")
    assert (entry["PRIORITY"], entry["CHROME_PID"]) == ("7", "7")


def test_lines_that_try_to_be_fields_stay_what_they_are(listening: socket.socket) -> None:
    structlog.get_logger().info("page_said", reason="x\nPRIORITY=0\n\0\x1b[2J", error="y" * 100_000)
    entry = taken(listening)
    assert entry["REASON"] == "x\nPRIORITY=0\n\0\x1b[2J"
    assert entry["PRIORITY"] == "6"
    assert len(entry["ERROR"]) == journald.MOST_CHARACTERS + 1


def test_a_traceback_follows_the_message(listening: socket.socket) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("request_failed", method="x.y", uid=0)
    message = taken(listening)["MESSAGE"]
    assert message.startswith("request failed, method=x.y uid=0\nTraceback")
    assert message.endswith("ZeroDivisionError: division by zero")


def test_what_libraries_log_comes_too(listening: socket.socket) -> None:
    logging.getLogger("some.library").warning("odd: %s", 7)
    entry = taken(listening)
    assert (entry["MESSAGE"], entry["PRIORITY"]) == ("odd: 7", "4")
    assert "MESSAGE_ID" not in entry


def test_an_entry_too_large_for_a_datagram_arrives_whole(listening: socket.socket) -> None:
    structlog.get_logger().info("much_said", **{f"part_{n}": "é" * 16_000 for n in range(40)})
    entry = taken(listening)
    assert all(entry[f"PART_{n}"] == "é" * 16_000 for n in range(40))


def test_what_a_stuck_journal_does_not_take_is_lost_and_counted(listening: socket.socket) -> None:
    log = structlog.get_logger()
    sent = 1000
    for number in range(sent):
        log.info("something_happened", number=number)
    arrived = 0
    while True:
        try:
            taken(listening)
        except BlockingIOError:
            break
        arrived += 1
    assert 0 < arrived < sent
    log.info("something_happened")
    assert taken(listening)["MESSAGE"] == f"{sent - arrived} messages were lost here"
    assert taken(listening)["EVENT"] == "something_happened"


def test_without_a_journal_nothing_stops(tmp_path: Path) -> None:
    journal = journald.Journal(tmp_path / "none")
    for _ in range(3):
        journal.send({"MESSAGE": "x"})


def test_auto_knows_when_standard_error_leads_to_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open("w") as stream:
        found = os.fstat(stream.fileno())
        assert not journald.is_behind(stream)
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert journald.is_behind(stream)
    with Path(__file__).open() as stream:
        assert not journald.is_behind(stream)


def test_the_catalogue_explains_events_that_there_are_by_their_ids() -> None:
    """And every error, and whatever a client is disconnected for."""
    entries = re.findall(
        r"^# (\w+)\n-- ([0-9a-f]{32})\nSubject: \S.*\nDefined-By: wasupd\n",
        (REPOSITORY / "systemd/wasup.catalog").read_text(),
        re.MULTILINE,
    )
    source = "".join(
        path.read_text()
        for package in ("daemon", "supervisors")
        for path in (REPOSITORY / package).rglob("*.py")
    )
    grave = re.findall(r'\b_?log\.(?:error|exception|critical)\(\s*"(\w+)"', source)
    grave += re.findall(r'(?:\.lose|\bBoundary)\("(\w+)"', source)
    assert len(grave) > 20
    assert {*grave} - {event for event, _ in entries} == set()
    for event, identifier in entries:
        assert identifier == journald.message_id(event), event
        assert f'"{event}"' in source, event
