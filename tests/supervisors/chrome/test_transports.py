"""NUL-separated messages over real pipes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from supervisors.chrome.transports import PipeTransport, TransportClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def ends() -> AsyncIterator[tuple[PipeTransport, trio.lowlevel.FdStream, trio.lowlevel.FdStream]]:
    replies_read, replies_write = os.pipe()
    commands_read, commands_write = os.pipe()
    transport = PipeTransport(replies_read, commands_write)
    chrome_writes = trio.lowlevel.FdStream(replies_write)
    chrome_reads = trio.lowlevel.FdStream(commands_read)
    yield transport, chrome_writes, chrome_reads
    await transport.aclose()
    await transport.aclose()
    await chrome_writes.aclose()
    await chrome_reads.aclose()


Ends = tuple[PipeTransport, trio.lowlevel.FdStream, trio.lowlevel.FdStream]


async def test_messages_are_cut_at_nuls_wherever_chunks_end(ends: Ends) -> None:
    transport, chrome, _ = ends
    await chrome.send_all(b"one\0two\0thr")
    assert [await transport.receive(), await transport.receive()] == [b"one", b"two"]
    await chrome.send_all(b"ee")
    with trio.move_on_after(0.01):  # a cancellation loses nothing
        await transport.receive()
    await chrome.send_all(b"\0\0four\0five")
    assert [await transport.receive(), await transport.receive()] == [b"three", b"four"]
    await chrome.aclose()
    with pytest.raises(TransportClosed):
        await transport.receive()


async def test_a_large_message_waits_for_a_slow_reader(ends: Ends) -> None:
    transport, _, chrome = ends
    message = bytes(range(1, 256)) * 20_000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.send, message)
        await trio.testing.wait_all_tasks_blocked()
        received = bytearray()
        while not received.endswith(b"\0"):
            received += await chrome.receive_some(1 << 16)
    assert received == message + b"\0"


async def test_a_reader_that_is_gone(ends: Ends) -> None:
    transport, _, chrome = ends
    await chrome.aclose()
    with pytest.raises(TransportClosed):
        await transport.send(b"x")
    await transport.aclose()
    with pytest.raises(TransportClosed):
        await transport.send(b"x")
    with pytest.raises(TransportClosed):
        await transport.receive()
