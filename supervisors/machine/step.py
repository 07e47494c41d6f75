"""The decisions: `step(state, event, now, rules)` -> new state, actions."""

from typing import assert_never

import attrs

from protocol.errors import RpcError
from supervisors import policy
from supervisors.machine.words import (
    DAEMON_STOPPED,
    HOPELESS,
    LOGGED_OUT,
    PAGE_HUNG,
    PAIRING_LIFE_S,
    PHONE_NUMBER_IN_USE,
    QR_LIFE_S,
    RESTART_LIMIT,
    STOPPED,
    WAITING_FOR_LAUNCH,
    WAITING_FOR_MEMORY,
    Action,
    Admitted,
    Connected,
    Died,
    End,
    Event,
    Hold,
    Launch,
    LoggedOut,
    Lost,
    NumberTaken,
    PairingCodeShown,
    Phase,
    Publish,
    QrShown,
    Queued,
    Reconnect,
    Release,
    Reload,
    RestartNow,
    Restore,
    Rules,
    Shutdown,
    Start,
    State,
    Status,
    Stop,
    Then,
    Tick,
)


def step(state: State, event: Event, now: float, rules: Rules) -> tuple[State, tuple[Action, ...]]:
    """Apply one event at time `now` (monotonic seconds).

    Raises:
        RpcError: SESSION_BUSY, SESSION_ALREADY_STARTED or SESSION_NOT_STARTED, for a command that may not be
            given now.
    """
    move = _Move(state, now, rules)
    match event:
        case Start():
            move.start()
        case Stop():
            move.stop()
        case RestartNow():
            move.restart()
        case Reload():
            move.reload()
        case Hold():
            move.hold(event)
        case Release():
            move.release()
        case Restore():
            move.restore()
        case Shutdown():
            move.shutdown()
        case Queued():
            move.queued(event)
        case Admitted():
            move.admitted()
        case QrShown():
            move.qr_shown(event)
        case PairingCodeShown():
            move.pairing_code_shown(event)
        case NumberTaken():
            move.number_taken(event)
        case Connected():
            move.connected(event)
        case Lost():
            move.lost(event)
        case LoggedOut():
            move.logged_out()
        case Died():
            move.died(event)
        case Tick():
            move.tick()
        case _:
            assert_never(event)
    return move.state, tuple(move.actions)


class _Move:
    """One step in the making; lives only within `step`."""

    def __init__(self, state: State, now: float, rules: Rules) -> None:
        self.state = state
        self.now = now
        self.rules = rules
        self.actions: list[Action] = []

    # -- commands

    def start(self) -> None:
        match self.state.phase:
            case Phase.ENDING | Phase.HELD if self.state.then is not Then.START:
                raise _busy("The session is being stopped, or worked on")
            case Phase.ENDING | Phase.HELD | Phase.STARTING:
                raise _busy("Session creation already in progress")
            case Phase.DOWN | Phase.WAITING:
                self._new_budget()
                self._launch()
            case Phase.UP:
                if self.state.status in ("qr_generated", "connected"):
                    raise RpcError("SESSION_ALREADY_STARTED", currentStatus=self.state.status)
                if self.state.status == "connecting":
                    raise _busy("Session creation already in progress")
                self._new_budget()
                self._set(reconnects=0, deadline=self.now + self.rules.connect_timeout)
                self._become("connecting")
                self.actions.append(Reconnect())

    def stop(self) -> None:
        self._set(desired="stopped")
        match self.state.phase:
            case Phase.DOWN | Phase.WAITING:
                self._rest()
            case Phase.HELD:
                self._set(then=Then.STOP)
            case _:
                self._end(Then.STOP)

    def restart(self) -> None:
        match self.state.phase:
            case Phase.DOWN | Phase.WAITING:
                self.start()
            case Phase.STARTING | Phase.ENDING | Phase.HELD:
                raise _busy("The session is already being started or stopped")
            case Phase.UP:
                if self.state.status == "connecting":
                    raise _busy("The session is already being started")
                self._new_budget()
                if self.state.status != "disconnected":
                    self._become("disconnected", "RESTART_REQUESTED")
                self._become("connecting")
                self._end(Then.START)

    def reload(self) -> None:
        match self.state.phase:
            case Phase.DOWN | Phase.WAITING:
                raise RpcError("SESSION_NOT_STARTED", currentStatus=self.state.status)
            case Phase.STARTING | Phase.ENDING | Phase.HELD:
                raise _busy("The session is being started or stopped")
            case Phase.UP:
                if self.state.status == "connecting":
                    raise _busy("The session is already being started")
                if self.state.status != "disconnected":
                    self._become("disconnected", "RELOAD_REQUESTED")
                self._become("connecting")
                self._set(reconnects=0, down_since=None, deadline=self.now + self.rules.connect_timeout)
                self.actions.append(Reconnect())

    def hold(self, event: Hold) -> None:
        match self.state.phase:
            case Phase.DOWN | Phase.WAITING:
                if self.state.status == "disconnected":
                    self._set(reason=event.reason, detail=None, action=None)
                self._set(phase=Phase.HELD, then=None, deadline=None)
            case Phase.UP if self.state.status != "connecting":
                if self.state.status == "disconnected":
                    self._set(reason=event.reason, detail=None, action=None)
                else:
                    self._become("disconnected", event.reason)
                self._end(Then.HOLD)
            case _:
                raise _busy("The session is already being started or stopped")

    def release(self) -> None:
        if self.state.phase is not Phase.HELD:
            return
        match self.state.then:
            case Then.STOP:
                self._rest()
            case Then.SHUTDOWN:
                self._set(phase=Phase.DOWN, then=None)
            case _ if self.state.desired == "running":
                self._new_budget()
                self._launch()
            case _:
                self._set(phase=Phase.DOWN, then=None)

    def restore(self) -> None:
        if self.state.desired == "stopped":
            if self.state.status != "inactive":
                self._rest()
            return
        if self.state.status not in ("inactive", "disconnected"):
            self._become("disconnected", DAEMON_STOPPED)
        self._launch()

    def shutdown(self) -> None:
        match self.state.phase:
            case Phase.DOWN | Phase.WAITING:
                self._set(phase=Phase.DOWN, deadline=None)
            case Phase.HELD:
                self._set(then=Then.SHUTDOWN)
            case _:
                self._end(Then.SHUTDOWN)

    # -- what happened

    def queued(self, event: Queued) -> None:
        if self.state.phase is Phase.STARTING:
            self._set(reason=event.reason)

    def admitted(self) -> None:
        if self.state.phase is Phase.STARTING:
            self._set(deadline=self.now + self.rules.connect_timeout)
            if self.state.reason in (WAITING_FOR_LAUNCH, WAITING_FOR_MEMORY):
                self._set(reason=None)

    def qr_shown(self, event: QrShown) -> None:
        if not self._page_counts():
            return
        if self.state.status == "connected":  # it was unlinked, and nobody said so
            self._fall(LOGGED_OUT)
        known = self.state.deadline if self.state.status == "qr_generated" else None
        self._set(phase=Phase.UP, reconnects=0, down_since=None)
        if self.state.status != "qr_generated":
            self._become("qr_generated", self.state.reason if self.state.reason == LOGGED_OUT else None)
        self._expect_code(QR_LIFE_S, known)
        self._publish("session.qr", qrText=event.text, expiresAt=event.expires_at)

    def pairing_code_shown(self, event: PairingCodeShown) -> None:
        if not self._page_counts() or self.state.status != "qr_generated":
            return
        self._expect_code(PAIRING_LIFE_S, self.state.deadline)
        self._publish("session.pairing_code", pairingCode=event.code, expiresAt=event.expires_at)

    def number_taken(self, event: NumberTaken) -> None:
        if not self._page_counts():
            return
        self._set(desired="stopped", detail=event.detail)
        self._end(Then.STOP, PHONE_NUMBER_IN_USE)

    def connected(self, event: Connected) -> None:
        if not self._page_counts():
            return
        down_since = self.state.down_since
        self._set(phase=Phase.UP, deadline=None, reconnects=0, down_since=None)
        if self.state.status == "connected":
            return
        self._become("connected")
        self._publish("session.connected", phoneNumber=event.phone_number)
        if down_since is not None:
            self._publish("session.recovered", downtime=round(self.now - down_since, 3))

    def lost(self, event: Lost) -> None:
        if not self._page_counts():
            return
        # News of an outage that is known already must not push its next attempt away; that an attempt has
        # failed brings it nearer.
        known = self.state.deadline if self.state.status == "disconnected" else None
        self._fall(event.reason, event.detail)
        due = self._next_reconnect()
        self._set(phase=Phase.UP, deadline=due if known is None or due is None else min(known, due))

    def logged_out(self) -> None:
        if not self._page_counts():
            return
        self._fall(LOGGED_OUT)
        self._set(phase=Phase.UP, down_since=None, deadline=self.now + self.rules.connect_timeout)

    def died(self, event: Died) -> None:
        if self.state.phase is Phase.ENDING:
            match self.state.then:
                case Then.STOP | None:
                    self._rest()
                case Then.HOLD:
                    self._set(phase=Phase.HELD, then=None, deadline=None)
                case Then.START:
                    self._set(phase=Phase.STARTING, then=None, deadline=None)
                    self.actions.append(Launch())
                case Then.SHUTDOWN:
                    if self.state.status in ("connecting", "qr_generated", "connected"):
                        self._become("disconnected", DAEMON_STOPPED)
                    self._set(phase=Phase.DOWN, then=None, deadline=None)
            return
        if event.cause in HOPELESS:
            verdict: policy.Restart | policy.GiveUp = policy.GiveUp(
                revive_at=policy.revival(self.rules.restart, self.now)
            )
        else:
            verdict = policy.after_death(self.state.ledger, self.rules.restart, self.now)
        match verdict:
            case policy.Restart():
                self._fall(event.cause, event.detail)
                self._set(phase=Phase.WAITING, deadline=verdict.at, ledger=verdict.ledger, reconnects=0)
                self._publish(
                    "session.restarting",
                    reason=event.cause,
                    attempt=verdict.attempt,
                    delay=round(verdict.at - self.now, 3),
                )
            case policy.GiveUp():
                hopeless = event.cause in HOPELESS
                self._fall(event.cause if hopeless else RESTART_LIMIT, event.detail, cause=event.cause)
                self._set(phase=Phase.DOWN, deadline=verdict.revive_at, action=event.action, reconnects=0)
                if not hopeless:
                    self._publish(
                        "session.restart_limit",
                        reason=event.cause,
                        attempts=len(self.state.ledger.within(self.rules.restart.window, self.now)),
                        reviveIn=self.rules.restart.revive_after if verdict.revive_at is not None else None,
                    )
            case _:
                assert_never(verdict)

    def tick(self) -> None:
        if self.state.deadline is None or self.now < self.state.deadline:
            return
        match self.state.phase:
            case Phase.WAITING:
                self._launch()
            case Phase.DOWN:
                self._set(ledger=policy.Ledger())
                self._launch()
            case Phase.STARTING:
                self._hung()
            case Phase.UP if self.state.status == "disconnected" and self.state.reason != LOGGED_OUT:
                self._set(reconnects=self.state.reconnects + 1)
                due = self._next_reconnect()
                if due is not None:  # an attempt that is under way is given its time
                    due = max(due, self.now + self.rules.connect_timeout)
                self._set(deadline=due)
                self.actions.append(Reconnect())
            case Phase.UP:
                self._hung()
            case Phase.ENDING | Phase.HELD:
                self._set(deadline=None)

    # -- the parts that moves are made of

    def _set(self, **changes: object) -> None:
        self.state = attrs.evolve(self.state, **changes)  # type: ignore[arg-type]  # checked by attrs' own names

    def _publish(self, type_: str, **data: object) -> None:
        self.actions.append(Publish(type_, data))

    def _become(self, status: Status, reason: str | None = None, **more: object) -> None:
        previous = self.state.status
        self._set(status=status, reason=reason, detail=None, action=None)
        self._publish("session.status", **{"from": previous, "to": status, "reason": reason})
        if status == "disconnected":
            self._publish("session.disconnected", reason=reason, **more)
        elif status == "connecting":
            self._publish("session.connecting")

    def _fall(self, reason: str, detail: str | None = None, **more: object) -> None:
        """Become disconnected, or stay so for a new reason; remembers when the outage began."""
        if self.state.status == "disconnected":
            self._set(reason=reason)
        else:
            self._become("disconnected", reason, **more)
        self._set(detail=detail)
        if self.state.down_since is None:
            self._set(down_since=self.now)

    def _launch(self) -> None:
        """Ask for a new life; its connect timeout begins when it is admitted."""
        self._set(desired="running", phase=Phase.STARTING, then=None, deadline=None)
        if self.state.status != "connecting":
            self._become("connecting")
        self.actions.append(Launch())

    def _end(self, then: Then, rest_reason: str = STOPPED) -> None:
        ending = self.state.phase is Phase.ENDING
        self._set(phase=Phase.ENDING, then=then, rest_reason=rest_reason, deadline=None)
        if not ending:
            self.actions.append(End())

    def _rest(self) -> None:
        reason, detail = self.state.rest_reason, self.state.detail
        self._set(
            phase=Phase.DOWN, then=None, deadline=None, down_since=None, reconnects=0, rest_reason=STOPPED
        )
        if self.state.status != "inactive":
            self._become("inactive", reason)
            self._set(detail=detail if reason == PHONE_NUMBER_IN_USE else None)

    def _hung(self) -> None:
        self._set(deadline=None)
        self.actions.append(End(PAGE_HUNG))

    def _expect_code(self, life_s: float, known: float | None) -> None:
        """Have the page be hung when no other code comes long after this one's end."""
        self._set(deadline=max(known or 0.0, self.now + life_s + self.rules.connect_timeout))

    def _new_budget(self) -> None:
        self._set(ledger=policy.Ledger(), down_since=None, reconnects=0)

    def _next_reconnect(self) -> float | None:
        return policy.next_reconnect(
            self.state.reconnects, self.rules.reconnect, self.rules.restart, self.now
        )

    def _page_counts(self) -> bool:
        """Tell whether news of the page matter: not when it is being ended or already gone."""
        return self.state.phase in (Phase.STARTING, Phase.UP)


def _busy(message: str) -> RpcError:
    return RpcError("SESSION_BUSY", message)
