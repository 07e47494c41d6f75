"""What webhooks decide without asking anybody: pauses, addresses, signatures."""

import base64
import ipaddress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from daemon.webhooks import guard, schedule, signature

KEY = b"\x00\xff0123456789abcdef01234567"
WHSEC = "whsec_" + base64.b64encode(KEY).decode()


@given(st.binary(min_size=1, max_size=64), st.text("abc_0123456789", min_size=1), st.integers(0, 2**33))
def test_signatures_are_the_reference_librarys(key: bytes, message_id: str, timestamp_s: int) -> None:
    body = '{"text":"ü € \\n"}'
    secret = "whsec_" + base64.b64encode(key).decode()
    wanted = Webhook(secret).sign(message_id, datetime.fromtimestamp(timestamp_s, UTC), body)
    assert signature.sign(secret, message_id, timestamp_s, body.encode()) == wanted


def test_secrets() -> None:
    assert signature.keys(WHSEC) == (KEY,)
    assert signature.keys("whsec_YWI") == (b"ab",)  # without padding, as some give it
    assert signature.keys("plain ü") == (b"plain", "ü".encode())
    assert signature.keys(f"new {WHSEC}") == (b"new", KEY)
    assert signature.sign(f"new {WHSEC}", "m", 1, b"x").count("v1,") == 2
    for wrong in ("", "  ", "whsec_", "whsec_!!", "whsec_ü", "good whsec_%"):
        with pytest.raises(ValueError, match="Expected"):
            signature.keys(wrong)


@given(st.integers(1, 10_000), st.floats(0, 1), st.none() | st.floats(0, 1e9))
def test_pauses(failures: int, chance: float, asked: float | None) -> None:
    pause = schedule.delay_s(failures, chance, asked)
    assert 2.5 <= pause <= max(3600, min(asked or 0, 86_400))
    assert pause >= min(asked or 0, 86_400)
    if asked is None:
        assert pause <= schedule.delay_s(failures + 1, 1.0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        (" 0 ", 0),
        ("Sat, 21 Nov 2026 10:01:00 GMT", 60),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 0),
        ("Sat, 21 Nov 2026 10:01:00 -0000", 60),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("٣", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    now_s = datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp()
    assert schedule.retry_after_s(header, now_s) == seconds


PLAIN = guard.Policy()


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/hook?a=b",
        "https://10.0.0.1:8443/",
        "https://[fd12::1]/",
        "http://127.0.0.1:8080/",
        "http://localhost/",
        "http://shop.localhost./",
        "http://[::1]:80/",
        "http://127.9.9.9/",
        "https://xn--bcher-kva.example/",
    ],
)
def test_where_webhooks_may_go(url: str) -> None:
    guard.check_url(url, PLAIN)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.org/", "https"),
        ("http://10.0.0.1/", "https"),
        ("http://localhost.example.org/", "https"),
        ("http://0.0.0.0/", "https"),
        ("https://0.0.0.0/", "not one machine"),
        ("https://[::]/", "not one machine"),
        ("https://169.254.169.254/latest", "link-local"),
        ("https://[fe80::1]/", "link-local"),
        ("https://[fe80::1%25eth0]/", "link-local"),
        ("https://[::ffff:169.254.169.254]/", "link-local"),
        ("https://[64:ff9b::a9fe:a9fe]/", "link-local"),
        ("https://[2002:a9fe:a9fe::1]/", "link-local"),
        ("https://[::a9fe:a9fe]/", "link-local"),
        ("https://[fd00:ec2::254]/", "metadata"),
        ("https://100.100.100.200/", "metadata"),
        ("https://metadata.google.internal/", "secrets"),
        ("https://METADATA.google.internal./", "secrets"),
        ("https://224.0.0.1/", "not one machine"),
        ("https://255.255.255.255/", "not one machine"),
        ("https://user:pass@example.org/", "header"),
        ("ftp://example.org/", "http or https"),
        ("https:///x", "http or https"),
        ("https://example.org:0/", "http or https"),
        ("https://example.org:99999/", "URL"),
        ("https://[::1/", "URL"),
        ("https://example.org/a b", "ASCII"),
        ("https://example.org\\@127.0.0.1/", "ASCII"),
        ("https://example.org/\u00fc", "ASCII"),
        ("https://example.org/\x7f", "ASCII"),
    ],
)
def test_where_they_may_not(url: str, why: str) -> None:
    with pytest.raises(guard.Refused, match=why):
        guard.check_url(url, PLAIN)


def test_what_an_administrator_allows() -> None:
    allowed = guard.Policy(allow_http=True, allow_addresses=guard.networks(["169.254.10.0/24"]))
    guard.check_url("http://example.org/", allowed)
    guard.check_url("http://169.254.10.7/", allowed)
    for url in ("http://169.254.169.254/", "http://[fe80::1]/"):
        with pytest.raises(guard.Refused):
            guard.check_url(url, allowed)


@given(st.ip_addresses())
def test_nothing_link_local_passes(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if address.is_link_local:
        with pytest.raises(guard.Refused):
            guard.check_address(address, PLAIN, plain=False)
