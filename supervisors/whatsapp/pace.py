"""How fast the page is listened to. Pure.

A page that has been taken over can call the binding as often as it likes. Nothing of WhatsApp's comes near
these figures but a long catch-up, which waits a little.
"""

from typing import Final

NEWS_BURST: Final = 50_000
NEWS_PER_S: Final = 5_000
TEXT_BURST: Final = 128 * 2**20
TEXT_PER_S: Final = 4 * 2**20


class Pace:
    """An allowance of news and of characters that grows with time, up to a burst of each."""

    def __init__(self, now: float) -> None:
        self._news = float(NEWS_BURST)
        self._text = float(TEXT_BURST)
        self._at = now

    def take(self, characters: int, now: float) -> float:
        """Take one piece of news of this length; return in how many seconds it may be listened to."""
        passed, self._at = now - self._at, now
        self._news = min(NEWS_BURST, self._news + passed * NEWS_PER_S) - 1
        self._text = min(TEXT_BURST, self._text + passed * TEXT_PER_S) - characters
        return max(0.0, -self._news / NEWS_PER_S, -self._text / TEXT_PER_S)
