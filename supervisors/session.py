"""The supervisor of one session: the one place where its state changes.

Every command, every piece of news and every deadline goes through `give`, which asks the pure machine and
performs what it answers. `give` is synchronous: within trio's single thread that makes it the session's lock
and its mailbox at once, without a queue that could fill. It never waits for the browser, so a session
answers `status` and `stop` during a launch, a back-off or a hang.

What a life of the session (browser, page, bridge) does is none of its business: see `incarnation`.
"""

import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

import attrs
import msgspec
import structlog
import trio

from protocol.errors import RpcError
from protocol.proxy import Proxy
from protocol.times import rfc3339
from supervisors import machine
from supervisors.journal import ConnectionFacts, Journal
from supervisors.login import PROFILE_CORRUPT, Login
from supervisors.machine import Phase, State
from supervisors.whatsapp.page import WhatsAppPage

_log = structlog.get_logger(__name__)


@attrs.frozen(kw_only=True)
class QrCode:
    """The code on the page; times are epoch milliseconds."""

    text: str
    generated_at_ms: int
    expires_at_ms: int


@attrs.frozen(kw_only=True)
class PairingCode:
    """A code to type on the phone with this number (`+` and digits)."""

    phone_number: str
    code: str
    expires_at_ms: int


@attrs.frozen(kw_only=True)
class Preferences:
    """What a session's settings ask of its lives; `device_name` and `proxy` are taken at the next start."""

    device_name: str = "wasup"
    mark_read: bool = False
    auto_download_media: bool = False
    most_media_bytes: int = 100 * 2**20
    proxy: Proxy | None = None


class Life(Protocol):
    """One life of a session, from launch to death; its place among launches is that of its making."""

    @property
    def pid(self) -> int | None:
        """The browser's process id while there is one."""

    @property
    def page(self) -> WhatsAppPage | None:
        """The page, once the browser has one."""

    async def run(self) -> machine.Died:
        """Live; return the cause when all that belonged to the life is gone. Cancelled: the same, raised."""

    def end(self, cause: str, detail: str | None = None) -> None:
        """Have `run` come to its end soon, and give `cause`."""

    def reconnect(self) -> None:
        """Have the page load again."""

    def end_loop(self) -> None:
        """Have the page's script stopped; `Mended` or `Broke` will be given."""

    def replace_page(self) -> None:
        """Have another page in the same browser."""

    def take_over(self) -> None:
        """Have the page take the connection from whoever else uses this login."""

    def symptom(self) -> machine.Broke | machine.Lost:
        """Say what seems to be wrong with a page that shows neither a code nor a connection."""

    def send_outgoing(self) -> None:
        """Say that messages may be waiting."""


class Session:
    """A supervised session.

    `begin` makes a life for it; `facts` and `state` are what the store knew when the daemon started; `fleet`
    are all sessions, of which no two may have the same number.
    """

    def __init__(
        self,
        session_id: str,
        *,
        journal: Journal,
        begin: "Callable[[Session], Life]",
        rules: machine.Rules,
        state: State | None = None,
        facts: ConnectionFacts | None = None,
        preferences: Preferences | None = None,
        login: Login,
        fleet: "Iterable[Session]" = (),
    ) -> None:
        self.id = session_id
        self.journal = journal
        self.rules = rules
        self.state = State() if state is None else state
        self.told = _at_rest(self.state)  # what clients may be told: the state as far as it is durable
        self.login = login
        self.facts = ConnectionFacts() if facts is None else facts
        self.preferences = Preferences() if preferences is None else preferences
        self.qr: QrCode | None = None
        self.lacking: tuple[str, ...] = ()  # features that this version of the page does not offer
        self.pairing: PairingCode | None = None
        self.life: Life | None = None
        self._begin = begin
        self._fleet = fleet
        self._nursery: trio.Nursery | None = None
        self._recording = 0
        self._ends = 0  # how often it has come to be without a browser
        self._launch_waits = False
        self._leaving = trio.CancelScope()  # `run`'s
        self._changed = trio.Event()

    # -- for those who ask

    async def reached(self, condition: Callable[[State], bool]) -> State:
        """Wait until the state, as it may be told, meets `condition`; return it."""
        await self.until(lambda: condition(self.told))
        return self.told

    def connected_page(self) -> WhatsAppPage:
        """Return the page of a connected session. Raises SESSION_NOT_CONNECTED or AUTH_EXPIRED."""
        page = None if self.life is None else self.life.page
        if self.told.reason == machine.LOGGED_OUT:
            raise RpcError("AUTH_EXPIRED", currentStatus=self.told.status)
        if page is None or self.state.status != "connected":
            raise RpcError("SESSION_NOT_CONNECTED", currentStatus=self.told.status, reason=self.told.reason)
        return page

    async def recorded(self) -> None:
        """Wait until everything that has happened so far is durable, and may be told."""
        await self.until(lambda: not self._recording)

    async def ended(self) -> None:
        """Wait until there is no browser, whether that could be recorded or not.

        Returns as well where there was none for a moment, and somebody has started the session again.
        """
        ends = self._ends
        await self.until(lambda: self.state.phase is Phase.DOWN or self._ends != ends)

    async def held(self) -> bool:
        """After a `Hold`: wait until there is no browser; return whether the session is held, not stopped."""
        ends = self._ends
        await self.until(lambda: self.state.phase is Phase.HELD or self._ends != ends)
        return self._ends == ends

    async def stopped(self) -> State:
        """Wait until there is no browser, and that may be told; return the state then.

        `reached` would not do: what may be told can be from before the session was started.
        """
        await self.ended()
        await self.recorded()
        return self.told

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition`, which is asked whenever anything has happened, is true."""
        while not condition():
            await self._changed.wait()

    def restarts_ms(self) -> tuple[int, ...]:
        """Return the restarts of the current window as epoch milliseconds, oldest first."""
        now, wall = trio.current_time(), time.time()
        recent = self.state.ledger.within(self.rules.restart.window, now)
        return tuple(int((wall - (now - at)) * 1000) for at in recent)

    # -- for those who report

    def give(self, event: machine.Event) -> None:
        """Apply a command, a piece of news or a tick.

        Raises:
            RpcError: a command that may not be given now; nothing has changed.
        """
        before = self.state
        self.state, actions = machine.step(before, event, trio.current_time(), self.rules)
        if before.phase is not Phase.DOWN and self.state.phase is Phase.DOWN:
            self._ends += 1
        if self.state.status != "qr_generated":
            self.qr = self.pairing = None
        published = [action for action in actions if isinstance(action, machine.Publish)]
        incidents = [action for action in actions if isinstance(action, machine.Incident)]
        if (
            published
            or incidents
            or self.state.desired != before.desired
            or self.state.ledger != before.ledger
        ):
            self._recording += 1
            recorded = partial(self._note_recorded, self.state)
            self.journal.transition(
                self.state, self.facts, self.restarts_ms(), published, incidents, recorded
            )
        elif not self._recording:
            self.told = self.state
        for action in actions:
            self._perform(action)
        if before.status != self.state.status:
            (_log.warning if self.state.status == "disconnected" else _log.info)(
                "status_changed",
                session_id=self.id,
                status=self.state.status,
                previous=before.status,
                reason=self.state.reason,
                detail=self.state.detail,
            )
        for action in published:
            self._log_recovery(action)
        for incident in incidents:
            self._log_incident(incident)
        self._announce()

    def _log_recovery(self, event: machine.Publish) -> None:
        data = event.data
        match event.type:
            case "session.restarting":
                _log.warning(
                    "session_restarting",
                    session_id=self.id,
                    attempt=data["attempt"],
                    delay_s=data["delay"],
                    reason=data["reason"],
                )
            case "session.restart_limit":
                _log.warning("restart_limit_reached", session_id=self.id, reason=self.state.detail)
            case "session.recovered":
                _log.info("session_recovered", session_id=self.id, downtime_s=data["downtime"])
            case _:
                pass

    def _log_incident(self, incident: machine.Incident) -> None:
        match incident:
            case machine.Note(kind=kind, detail=detail, action=action):
                _log.warning("incident_occurred", session_id=self.id, kind=kind, detail=detail, action=action)
            case machine.Tried(action=action):
                _log.warning("recovery_went_further", session_id=self.id, action=action)
            case machine.Over():
                pass  # the transition says it

    def _note_recorded(self, state: State) -> None:
        self._recording -= 1
        self.told = state if self._recording else self.state
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def show_qr(self, text: str, expires_at_ms: int) -> None:
        """Take a new code from the page."""
        if self.state.status != "qr_generated" and self.life is not None:
            match self.login.judge_code():
                case "lost":
                    self.life.end(PROFILE_CORRUPT)
                    return
                case "unlinked":
                    self.unlink()
        code = QrCode(text=text, generated_at_ms=int(time.time() * 1000), expires_at_ms=expires_at_ms)
        if self.state.status != "qr_generated":
            self.facts = ConnectionFacts()  # who shows a code is linked to nobody
        self.give(machine.QrShown(text, rfc3339(expires_at_ms)))
        if self.state.status == "qr_generated":
            self.qr = code

    def hide_qr(self) -> None:
        """Forget the code: the page shows none now."""
        self.qr = None

    def hide_codes(self) -> None:
        """Forget all codes: the document that gave them is gone, or going."""
        self.qr = self.pairing = None

    def show_pairing(self, phone_number: str, code: str) -> None:
        """Take a code for linking by number that is valid from now on; one known already changes nothing."""
        if self.state.status != "qr_generated" or (self.pairing and self.pairing.code == code):
            return
        expires_at_ms = int((time.time() + machine.PAIRING_LIFE_S) * 1000)
        self.pairing = PairingCode(phone_number=phone_number, code=code, expires_at_ms=expires_at_ms)
        self.give(machine.PairingCodeShown(code, rfc3339(expires_at_ms)))

    def hide_pairing(self) -> None:
        """Forget the code for linking by number: it is not valid any more."""
        self.pairing = None

    def unlink(self) -> None:
        """Take it that the account no longer knows this device."""
        self.facts = ConnectionFacts()
        self.login.forget()
        self.give(machine.LoggedOut())

    def connect(self, facts: ConnectionFacts) -> bool:
        """Take what the page says of the account it is linked to: it is connected.

        Returns False, and ends the life, where another session has had the number for longer.
        """
        now_ms = int(time.time() * 1000)
        linked = now_ms if self.state.status == "qr_generated" else self.facts.linked_at_ms
        self.facts = attrs.evolve(
            facts,
            connected_at_ms=self.facts.connected_at_ms if self.state.status == "connected" else now_ms,
            linked_at_ms=now_ms if linked is None else linked,
        )
        if self.state.status != "connected" and not self._is_alone():
            return False
        self.login.prove(self.facts.linked_at_ms)
        self.give(machine.Connected(facts.phone_number))
        if self.life is not None:
            self.life.send_outgoing()
        return True

    def _is_alone(self) -> bool:
        """See to it that connected sessions have different numbers: the one linked later is stopped."""
        for other in self._fleet:
            if (
                other is self
                or other.state.status != "connected"
                or other.facts.phone_number is None
                or other.facts.phone_number != self.facts.phone_number
            ):
                continue
            if (other.facts.linked_at_ms or 0) <= (self.facts.linked_at_ms or 0):
                _log.warning("phone_number_in_use", session_id=self.id, other=other.id)
                self.give(machine.NumberTaken("The number is linked to another session"))
                return False
            _log.warning("phone_number_in_use", session_id=other.id, other=self.id)
            other.give(machine.NumberTaken("The number is linked to another session"))
        return True

    def send_outgoing(self) -> None:
        """Say that a message was accepted, or that a chat is free again."""
        if self.life is not None:
            self.life.send_outgoing()

    # -- the task

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the deadlines and own the lives, until `leave`. Cancelled, it ends the browser first."""
        with trio.CancelScope() as self._leaving:
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                if self._launch_waits and self.life is not None:
                    self._nursery.start_soon(self._live, self.life)
                try:
                    while True:
                        deadline = math.inf if self.state.deadline is None else self.state.deadline
                        with trio.move_on_at(deadline):
                            await self._changed.wait()
                        self.give(machine.Tick() if self.life is None else machine.Tick(self.life.symptom()))
                finally:
                    self._nursery = None

    def leave(self) -> None:
        """Have `run` return."""
        self._leaving.cancel()

    def fail(self) -> None:
        """After `run` raised: its life is gone; let the policy say what follows when it runs again."""
        self.give(machine.Died("INTERNAL_ERROR"))

    def _launch(self) -> None:
        self.login.begin(self.facts.linked_at_ms)
        self.life = self._begin(self)
        self._launch_waits = self._nursery is None
        if self._nursery is not None:
            self._nursery.start_soon(self._live, self.life)

    def _perform(self, action: machine.Action) -> None:
        match action:
            case machine.Launch():
                self._launch()
            case (
                machine.Publish() | machine.Note() | machine.Tried() | machine.Over()
            ):  # recorded with the transition
                pass
            case _ if self.life is None:
                pass
            case machine.End():
                self.life.end(action.cause, action.detail)
            case machine.Reconnect():
                self.login.load()
                self.life.reconnect()
            case machine.EndLoop():
                self.life.end_loop()
            case machine.ReplacePage():
                self.login.load()
                self.life.replace_page()
            case machine.TakeOver():
                self.life.take_over()

    async def _live(self, life: Life) -> None:
        try:
            died = await life.run()
        finally:
            self.life = None
        self.give(died)


def _at_rest(state: State) -> State:
    """Return what may be said of a session that a daemon before this one left so: it has no browser now."""
    if state.status in ("inactive", "disconnected"):
        return state
    return msgspec.structs.replace(state, status="disconnected", reason=machine.DAEMON_STOPPED)
