"""Keys and what they seal: it opens in its own place alone, whole or not at all."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.seals import CHUNK_BYTES, Key, Seals, UnreadableFile, read_sealed, write_sealed

KEY, OTHER = Key(bytes(range(32))), Key(bytes(32))
PLACE = b"here"


@settings(max_examples=30)
@given(st.binary(), st.binary())
def test_what_is_sealed_opens_in_its_place_alone(content: bytes, place: bytes) -> None:
    seals = Seals([KEY])
    sealed = seals.seal(place, content)
    assert sealed.startswith(KEY.id)
    assert seals.open(place, sealed) == content
    assert seals.open(place + b"?", sealed) is None
    assert Seals([OTHER]).open(place, sealed) is None
    assert Seals([OTHER, KEY]).open(place, sealed) == content


@settings(max_examples=30)
@given(st.integers(0, 60), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at: int, change: int) -> None:
    seals = Seals([KEY])
    sealed = bytearray(seals.seal(PLACE, b"a text of 25 bytes, or so"))
    sealed[at] ^= change
    assert seals.open(PLACE, bytes(sealed)) is None
    assert seals.open(PLACE, bytes(sealed[:at])) is None


def test_an_id_tells_nothing_of_its_key_and_neither_does_its_name() -> None:
    secret = os.urandom(32)
    key = Key(secret)
    assert key.id not in secret
    assert repr(key) == f"<Key {key.id.hex()}>"
    assert Key(secret).id == key.id != Key(os.urandom(32)).id
    with pytest.raises(ValueError, match="32 bytes"):
        Key(b"short")


def sealed_file(data: bytes, place: bytes = PLACE) -> bytes:
    out = io.BytesIO()
    write_sealed(KEY, place, (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)), out)
    return out.getvalue()


def opened(sealed: bytes, place: bytes = PLACE, *keys: Key) -> bytes:
    pieces = read_sealed(Seals(keys or [KEY]), place, Path("x"), io.BytesIO(sealed))
    return b"".join(pieces)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
def test_a_file_is_read_back(size: int) -> None:
    data = os.urandom(size)
    assert opened(sealed_file(data)) == data


def test_a_file_that_was_tampered_with_is_refused() -> None:
    data = os.urandom(2 * CHUNK_BYTES + 10)
    sealed = sealed_file(data)
    head, chunk = 8 + 32, CHUNK_BYTES + 16
    first, second, last = sealed[head : head + chunk], sealed[head + chunk : -26], sealed[-26:]
    for bad in (
        sealed[:head] + second + first + last,  # moved
        sealed[:head] + first + last,  # left out
        sealed[: head + chunk],  # cut off between two
        sealed[:-1],
        sealed + b"x",
        sealed[:20],
        b"",
        sealed[:8] + bytes(32) + sealed[head:],
    ):
        with pytest.raises(UnreadableFile, match="cannot be decrypted"):
            opened(bad)
    with pytest.raises(UnreadableFile):
        opened(sealed, b"elsewhere")
    with pytest.raises(UnreadableFile):
        opened(sealed, PLACE, OTHER)
