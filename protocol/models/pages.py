"""Versions of WhatsApp's page that are kept: what `page.*` methods take and answer."""

from typing import Annotated

from msgspec import Meta

from .base import Params, Record, SessionRef, Time

PageVersionRef = Annotated[
    str, Meta(min_length=1, max_length=64, description="A version of the page, as page.list has it")
]


class PageSessionParams(Params, frozen=True, kw_only=True):
    """The session in whose browser the newest page is loaded."""

    session_id: SessionRef


class PageVersionParams(Params, frozen=True, kw_only=True):
    """A version that is kept."""

    version: PageVersionRef


class PageUseParams(Params, frozen=True, kw_only=True):
    """The version that sessions are to have; `latest`: the newest there is, each time."""

    version: Annotated[
        str, Meta(min_length=1, max_length=64, description="A version that is kept, or `latest`")
    ]


class PageVersion(Record, frozen=True, kw_only=True):
    """A version of the page that is kept; `bytes` is the size of its document."""

    version: str
    saved_at: Time
    bytes: int
    in_use: bool


class PageListResult(Record, frozen=True, kw_only=True):
    """What is kept, the latest first; `in_use` is the version that sessions are to have, or `latest`."""

    pages: tuple[PageVersion, ...]
    in_use: str


class PageUseResult(Record, frozen=True, kw_only=True):
    """The version that sessions get from the next time on that their page is loaded, or `latest`."""

    in_use: str


class PageRemoveResult(Record, frozen=True, kw_only=True):
    """It is kept no longer."""

    removed: bool = True
