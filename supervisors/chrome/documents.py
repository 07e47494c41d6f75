"""The documents of one tab, held when their answers have come: let through, replaced or refused.

Owns DevTools' Fetch domain of the tab, a proxy's wish for credentials included: to enable the domain again
replaces what it was enabled for before. Nothing but documents is held. Must not know which documents.
"""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from protocol.proxy import Proxy
    from supervisors.chrome.devtools import Connection
    from supervisors.chrome.events import Event, EventStream

BODY_TIMEOUT_S: Final = 60.0
REPLACE_TIMEOUT_S: Final = 30.0

_ASKED: Final = {"resourceType": "Document"}
_ANSWERED: Final = {"resourceType": "Document", "requestStage": "Response"}
# The Network domain tells of every request; at least it keeps nothing.
_NOTHING_KEPT: Final = {"maxTotalBufferSize": 0, "maxResourceBufferSize": 0, "maxPostDataSize": 0}


@frozen
class Held:
    """A document of the tab's main frame whose answer has come: status, None where it failed, and headers."""

    request_id: str
    url: str
    status: int | None
    headers: tuple[tuple[str, str], ...]


class Documents:
    """The documents of the tab with this DevTools session. Methods raise what `Connection.call` does."""

    def __init__(self, connection: Connection, target_id: str, session_id: str) -> None:
        self._connection = connection
        self._target_id = target_id
        self._session_id = session_id
        self._proxy: Proxy | None = None
        self._subscribed = False
        self.holding = False

    async def authenticate(self, proxy: Proxy) -> None:
        """Answer the proxy's wish for credentials, which the first document of all meets; Chrome keeps them.

        One that is asked again was refused; then the document fails, as it does without any.
        """
        asked: str | None = None

        def answer(event: Event) -> None:
            nonlocal asked
            request_id, source = event.params["requestId"], event.params["authChallenge"].get("source")
            response = {"response": "CancelAuth"}
            if source == "Proxy" and request_id != asked:
                response = {
                    "response": "ProvideCredentials",
                    "username": proxy.user or "",
                    "password": proxy.password,
                }
            asked = request_id
            self._post("Fetch.continueWithAuth", requestId=request_id, authChallengeResponse=response)

        self._proxy = proxy
        self._connection.subscribe(answer, "Fetch.authRequired", session_id=self._session_id)
        await self._enable(math.inf)

    async def hold(self, timeout_s: float) -> None:
        """Hold documents from the next one on; whoever reads `held` must answer each.

        They come from the network: the page's service workers are passed by, for as long as it lasts.

        Args:
            timeout_s: seconds for each of the calls that it takes; a page that hangs does not answer them.
        """
        if self.holding:
            return
        # Both are answered by the renderer too; the second holds only while the first is on.
        await self._call("Network.enable", timeout_s, **_NOTHING_KEPT)
        await self._call("Network.setBypassServiceWorker", timeout_s, bypass=True)
        self.holding = True
        try:
            await self._enable(timeout_s)
        except BaseException:
            self.holding = False
            raise

    def release(self) -> None:
        """Hold documents no more; one that is held just now still has to be answered."""
        if not self.holding:
            return
        self.holding = False
        self._post("Network.disable")
        if self._proxy is None:
            self._post("Fetch.disable")
        else:
            self._post("Fetch.enable", handleAuthRequests=True, patterns=[_ASKED])

    def held(self) -> AbstractContextManager[EventStream[Held]]:
        """Collect, while the block lasts, the documents that are held."""
        return self._connection.events(self._pick, "Fetch.requestPaused", session_id=self._session_id)

    async def body(self, held: Held) -> bytes:
        """Return the document, as far as it has come when it breaks off."""
        reply = await self._call("Fetch.getResponseBody", BODY_TIMEOUT_S, requestId=held.request_id)
        body: str = reply["body"]
        return base64.b64decode(body) if reply["base64Encoded"] else body.encode()

    async def replace(self, held: Held, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """Put another document in its place."""
        await self._call(
            "Fetch.fulfillRequest",
            REPLACE_TIMEOUT_S,
            requestId=held.request_id,
            responseCode=200,
            responseHeaders=[{"name": name, "value": value} for name, value in headers],
            body=base64.b64encode(body).decode(),
        )

    def let_through(self, held: Held) -> None:
        """Let it come as it is, or fail as it has."""
        self._post("Fetch.continueRequest", requestId=held.request_id)

    def refuse(self, held: Held) -> None:
        """Have the tab show an error in its place."""
        self._post("Fetch.failRequest", requestId=held.request_id, errorReason="BlockedByClient")

    async def _enable(self, timeout_s: float) -> None:
        if not self._subscribed:
            self._subscribed = True
            self._connection.subscribe(self._pass, "Fetch.requestPaused", session_id=self._session_id)
        asked = [] if self._proxy is None else [_ASKED]
        answered = [_ANSWERED] if self.holding else []
        await self._call(
            "Fetch.enable",
            timeout_s,
            handleAuthRequests=self._proxy is not None,
            patterns=[*asked, *answered],
        )

    def _pass(self, event: Event) -> None:
        """Let go on at once what is not held: a document that is only asked for yet, one of a frame."""
        if self._pick(event) is None:
            self._post("Fetch.continueRequest", requestId=event.params["requestId"])

    def _pick(self, event: Event) -> Held | None:
        match event.params:
            case {"frameId": self._target_id, "requestId": str(request_id), "request": {"url": str(url)}} if (
                "responseStatusCode" in event.params or "responseErrorReason" in event.params
            ):
                headers = event.params.get("responseHeaders", ())
                return Held(
                    request_id,
                    url,
                    event.params.get("responseStatusCode"),
                    tuple((header["name"], header["value"]) for header in headers),
                )
            case _:
                return None

    async def _call(self, method: str, timeout_s: float, **params: Any) -> dict[str, Any]:
        return await self._connection.call(method, params, session_id=self._session_id, timeout_s=timeout_s)

    def _post(self, method: str, **params: Any) -> None:
        self._connection.post(method, params, session_id=self._session_id)
