"""What supervisors record, and what is kept until it is on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from daemon.files import MediaFiles
from daemon.journal import StoreJournal
from daemon.seals import Seals
from daemon.store import StoreError, open_store, outbox, sessions
from daemon.store.messages import Content
from daemon.tallies import Tallies
from protocol.errors import RpcError
from protocol.models import Media
from supervisors.whatsapp.news import Acked, PageMessage

if TYPE_CHECKING:
    from pathlib import Path

KEY = "true_49@c.us_3EB0"
TOLD = PageMessage(
    key=KEY,
    id="3EB0",
    from_me=True,
    chat_id="49@c.us",
    author=None,
    to="49@c.us",
    kind="document",
    text=None,
    mimetype="text/plain",
    filename="a.txt",
    bytes=5,
    quoted_id=None,
    timestamp=1,
    ack=1,
)


@pytest.mark.parametrize("way", ["answer", "news", "caught up"])
async def test_a_file_is_kept_until_the_acknowledgment_is_on_the_disk(tmp_path: Path, way: str) -> None:
    """A daemon that is killed in between has to bring it to the page again, or a sent message would fail."""
    files = MediaFiles(tmp_path, Seals())
    async with open_store(tmp_path / "store.db") as store:
        await store.write(lambda db: sessions.insert(db, id="one", name="One", at_ms=1))
        content = Content(type="document", media=Media(mimetype="text/plain", filename="a.txt", bytes=5))
        await files.keep("one", "3EB0", b"hello")
        await store.write(
            lambda db: outbox.enqueue(db, "one", content, id="3EB0", chat_id="49@c.us", at_ms=1)
        )
        journal = StoreJournal(store, files, "one", {}, lambda: 5, Tallies())
        assert await journal.take(10)
        journal.resolved("3EB0", KEY, "49@c.us")
        with store.log.subscribe(types=["message.sent"]) as events, trio.fail_after(10):
            match way:
                case "answer":
                    journal.settled("3EB0", 1)
                case "news":
                    journal.acked(Acked(key=KEY, id="3EB0", ack=1))
                case _:
                    journal.received(TOLD, recovered=True)
            assert files.path("one", "3EB0").read_bytes() == b"hello"
            assert len(await anext(events)) == 1
        assert not files.path("one", "3EB0").exists()


async def test_what_has_an_outcome_that_is_not_on_the_disk_yet_is_not_unsettled(tmp_path: Path) -> None:
    """It would be given to the page a second time, beside the first."""
    async with open_store(tmp_path / "store.db") as store:
        await store.write(lambda db: sessions.insert(db, id="one", name="One", at_ms=1))
        content = Content(type="text", text="hello")
        await store.write(
            lambda db: outbox.enqueue(db, "one", content, id="3EB0", chat_id="49@c.us", at_ms=1)
        )
        journal = StoreJournal(store, MediaFiles(tmp_path, Seals()), "one", {}, lambda: 5, Tallies())
        taken = await journal.take(10)
        assert await journal.unsettled() == taken
        journal.put_back("3EB0")
        assert await journal.unsettled() == []


async def test_what_the_disk_refuses_is_a_refusal_for_supervisors_too(tmp_path: Path) -> None:
    """They know nothing of the store: its own error would end what asked for it, at worst the daemon."""

    class Bad:
        async def read(self, _query: object) -> None:
            raise StoreError("a bad sector")

        write = read

    bad: Any = Bad()
    journal = StoreJournal(bad, MediaFiles(tmp_path, Seals()), "one", {}, lambda: 5, Tallies())
    for question in (journal.next_due(), journal.take(1), journal.unsettled(), journal.is_sending()):
        with pytest.raises(RpcError, match="a bad sector"):
            await question
