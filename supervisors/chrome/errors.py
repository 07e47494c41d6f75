"""What can go wrong between the daemon and a Chrome, all under one base."""

from __future__ import annotations

import signal

from attrs import frozen


@frozen
class ExitStatus:
    """How a process ended: with an exit code, or by a signal."""

    code: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit code {self.code}"
        try:
            return f"signal {signal.Signals(self.signal).name}"
        except ValueError:
            return f"signal {self.signal}"


class ChromeError(Exception):
    """Base of everything that this package raises on purpose."""


class BrowserUnavailable(ChromeError):
    """No browser can run here until somebody does something.

    Args:
        reason: what is missing or refused, one sentence.
        action: what the administrator can do about it.
    """

    def __init__(self, reason: str, action: str) -> None:
        super().__init__(f"{reason} {action}")
        self.reason = reason
        self.action = action


class BrowserExited(ChromeError):
    """The browser ended, or never got ready.

    Args:
        status: how it ended; None if it had to be killed before it was ready.
        last_words: the end of what it wrote to its standard error.
    """

    def __init__(self, status: ExitStatus | None, last_words: str) -> None:
        super().__init__("browser was not ready in time" if status is None else f"browser ended: {status}")
        self.status = status
        self.last_words = last_words


class BrowserUnreachable(ChromeError):
    """A browser that runs elsewhere does not answer; it may, later.

    Args:
        place: where it should be, fit for logs.
        why: what the network, or the other side, says.
    """

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"no browser answers at {place}: {why}")
        self.place = place


class ProfileInUse(ChromeError):
    """Somebody else owns the profile, or may own it.

    Args:
        path: the profile directory.
        pid: the owner, where it is known.
        why: why the owner was not ended.
    """

    def __init__(self, path: str, pid: int | None, why: str) -> None:
        super().__init__(f"profile {path} is in use: {why}")
        self.path = path
        self.pid = pid
        self.why = why


class ConnectionClosed(ChromeError):
    """The DevTools connection is gone; nothing more will be answered on it.

    Args:
        last_words: the end of the browser's standard error, empty if it said nothing.
    """

    def __init__(self, last_words: str = "") -> None:
        super().__init__("DevTools connection closed")
        self.last_words = last_words


class DevToolsError(ChromeError):
    """Chrome answered a call with an error."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.method = method
        self.code = code
        self.message = message


class ContextDestroyed(DevToolsError):
    """The page navigated away, or its frame went, while it was evaluating."""


class MessageTooLarge(ChromeError):
    """A call that Chrome would not survive; nothing was sent."""

    def __init__(self, method: str, size_bytes: int) -> None:
        super().__init__(f"{method}: {size_bytes} bytes are too many for one message")
        self.method = method
        self.size_bytes = size_bytes


class CallTimeout(ChromeError):
    """Chrome or the page did not answer in time; the answer, if it still comes, is dropped."""

    def __init__(self, method: str, timeout_s: float) -> None:
        super().__init__(f"{method}: no answer within {timeout_s:g} s")
        self.method = method
        self.timeout_s = timeout_s


class TargetCrashed(ChromeError):
    """The renderer of the page died; only a navigation brings the page back."""

    def __init__(self) -> None:
        super().__init__("the page's renderer crashed")


class TargetDetached(ChromeError):
    """The target was closed, or its DevTools session was ended."""

    def __init__(self) -> None:
        super().__init__("the target is gone")


class EventsOverflowed(ChromeError):
    """A reader of events was too slow: what it was given is whole, what came after is lost."""


class NavigationFailed(ChromeError):
    """The page could not be loaded.

    Args:
        error_text: Chrome's own word for it, such as "net::ERR_NAME_NOT_RESOLVED".
    """

    def __init__(self, url: str, error_text: str) -> None:
        super().__init__(f"{url}: {error_text}")
        self.url = url
        self.error_text = error_text


class PageError(ChromeError):
    """An exception that the page's JavaScript threw.

    Args:
        name: the exception's name, such as "TypeError".
        message: its message.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
