"""Proxies as they are given, used and shown."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.models import SettingsPatch, StoredSettings, merge
from protocol.proxy import keeps_password, parse_proxy, shown


def test_what_chrome_gets_and_what_clients_see() -> None:
    proxy = parse_proxy("https://ada:p%40ss@[::1]:8443/")
    assert (proxy.server, proxy.user, proxy.password) == ("https://[::1]:8443", "ada", "p@ss")
    assert "p@ss" not in repr(proxy)
    assert parse_proxy("socks5://localhost").server == "socks5://localhost"
    assert shown("http://ada:p%40ss@host:1") == "http://ada:***@host:1"
    assert shown("http://ada@host:1") == "http://ada@host:1"
    assert shown("socks4://host:1") == "socks4://host:1"


def test_a_proxy_that_is_given_as_it_is_shown_keeps_its_password() -> None:
    first = merge(StoredSettings(), SettingsPatch(proxy="http://ada:word@host:1"))
    again = merge(first, SettingsPatch(proxy=first.visible.proxy, mark_read=True))
    assert (again.proxy, again.visible.proxy) == ("http://ada:word@host:1", "http://ada:***@host:1")
    gone = merge(again, SettingsPatch(proxy=None))
    assert (gone.proxy, gone.visible.proxy) == (None, None)


@given(st.text(alphabet=":/@*%a1", max_size=20))
def test_no_password_is_shown(rest: str) -> None:
    text = shown(f"http://user:secret{rest}@host")
    assert "secret" not in text
    assert keeps_password(text)
