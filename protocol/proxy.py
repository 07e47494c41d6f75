"""A session's proxy, as it is given (`http://user:password@host:port`), used and shown. Pure."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

KEPT: Final = "***"
"""What stands for a password that is not shown."""
_SCHEMES: Final = ("http", "https", "socks4", "socks5")


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A proxy; `server` is its address without credentials, as Chrome wants it."""

    server: str
    user: str | None = None
    password: str = field(default="", repr=False)


def parse_proxy(text: str) -> Proxy:
    """Read a proxy; `%xx` stands for what an address cannot hold.

    Raises:
        ValueError: a sentence that says what is wrong with it, without its credentials.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("This is not the address of a proxy, such as http://host:8080") from None
    if parts.scheme not in _SCHEMES or not parts.hostname or any(c in parts.hostname for c in ",;= \t"):
        raise ValueError(f"A proxy is {', '.join(_SCHEMES)}, ://, and a host")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("Nothing may follow the host and the port")
    if parts.username is not None and parts.scheme.startswith("socks"):
        raise ValueError("Chrome knows no credentials for SOCKS; use an http or https proxy, or none here")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Proxy(
        server=f"{parts.scheme}://{host}" + ("" if port is None else f":{port}"),
        user=None if parts.username is None else unquote(parts.username),
        password=unquote(parts.password or ""),
    )


def shown(text: str) -> str:
    """Return a proxy as clients may see it: without the password."""
    scheme, separator, rest = text.partition("://")
    credentials, at, host = rest.rpartition("@")
    user, colon, _password = credentials.partition(":")
    return f"{scheme}{separator}{user}{colon and ':' + KEPT}{at}{host}"


def keeps_password(text: str) -> bool:
    """Tell whether a proxy is given as it is shown, not with its password."""
    return f":{KEPT}@" in text
