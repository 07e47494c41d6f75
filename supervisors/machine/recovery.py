"""What follows a death: the cheapest level that may help, then, where it fails or is too late, the next.

One recovery is one entry of the restart ledger, whatever it takes; the cooldown and the limit hold for all
levels alike, the settle time for new browsers only. While it goes on a client sees one chain of events.
"""

from typing import assert_never

import attrs
import msgspec

from supervisors import policy
from supervisors.machine.parts import Parts
from supervisors.machine.words import (
    BARRED,
    CONFLICT,
    DAEMON_STOPPED,
    HOPELESS,
    LEVEL_ACTIONS,
    LOGGED_OUT,
    PAGE_RELOADED,
    RESTART_LIMIT,
    UPDATE_AGAIN_S,
    UPDATE_WANTED,
    Broke,
    Died,
    End,
    EndLoop,
    Launch,
    Level,
    Lost,
    Note,
    Noticed,
    Over,
    Phase,
    Reconnect,
    Repair,
    ReplacePage,
    TakeOver,
    Then,
    Tick,
    Tried,
)
from supervisors.settings import RestartSettings


class Recovery(Parts):
    """The moves that a broken page, a dead browser and a missed deadline ask for."""

    def died(self, event: Died) -> None:
        if self.state.phase is Phase.ENDING:
            self._ended()
        elif self.state.repair is not None:
            self._died_in_repair(event, self.state.repair)
        elif event.cause in HOPELESS:
            self._give_up(event, policy.revival(self.rules.restart, self.now))
        else:
            match policy.after_death(self.state.ledger, self.rules.restart, self.now):
                case policy.Restart() as verdict:
                    self._announce(event.cause, event.detail, Level.BROWSER, verdict)
                    self._set(phase=Phase.WAITING, deadline=verdict.at, reconnects=0)
                case policy.GiveUp(revive_at=revive_at):
                    self._give_up(event, revive_at)
                case unknown:
                    assert_never(unknown)

    def broke(self, event: Broke) -> None:
        if self.state.phase not in (Phase.STARTING, Phase.UP):
            return
        repair = self.state.repair
        if repair is None:
            self._recover(event)
        elif repair.begun:
            self._go_further(event, repair)
        elif event.level > repair.level:
            self._set(repair=msgspec.structs.replace(repair, level=min(event.level, Level.PAGE)))

    def mended(self) -> None:
        repair = self.state.repair
        if self.state.phase is Phase.UP and repair is not None and repair.level is Level.LOOP:
            self._settle_repair()
            patience = None if self.state.status == "connected" else self.rules.connect_timeout
            self._set(deadline=None if patience is None else self.now + patience)

    def noticed(self, event: Noticed) -> None:
        self.actions.append(Note(event.kind, event.detail, "NONE", over=True))

    def update_wanted(self) -> None:
        state = self.state
        if state.phase is not Phase.UP or state.status != "connected" or state.repair is not None:
            return
        if state.updated_at is not None and self.now < state.updated_at + UPDATE_AGAIN_S:
            return
        verdict = policy.after_death(state.ledger, self._unsettled(), self.now)
        if isinstance(verdict, policy.Restart) and verdict.at <= self.now:  # else another time: it works
            self._set(updated_at=self.now)
            self._recover(Broke(UPDATE_WANTED))

    def tick(self, event: Tick) -> None:
        if self.state.deadline is None or self.now < self.state.deadline:
            return
        match self.state.phase:
            case Phase.WAITING:
                self._launch(restarts=True)
            case Phase.DOWN:
                self._set(ledger=policy.Ledger())
                self._launch()
            case Phase.STARTING:
                self._missed(event.symptom)
            case Phase.UP:
                self._tick_up(event)
            case Phase.ENDING | Phase.HELD:
                self._set(deadline=None)

    def _tick_up(self, event: Tick) -> None:
        repair = self.state.repair
        if repair is not None and not repair.begun:
            self._repair(repair)
        elif (
            repair is None
            and self.state.status == "disconnected"
            and self.state.reason not in (LOGGED_OUT, PAGE_RELOADED)
        ):
            self._try_again()
        else:
            self._missed(event.symptom)

    def _missed(self, symptom: Broke | Lost) -> None:
        """Go on with a page that showed neither a code nor a connection in time."""
        if isinstance(symptom, Lost):
            self.lost(symptom)
        else:
            self.broke(symptom)

    def _try_again(self) -> None:
        """Have a page that lost its connection connect, and say when the next attempt is due."""
        self._set(reconnects=self.state.reconnects + 1, tried_at=self.now)
        due = self._next_reconnect()
        if due is not None:  # an attempt that is under way is given its time
            due = max(due, self.now + self.rules.connect_timeout)
        self._set(deadline=due)
        takes_over = self.state.reason == CONFLICT and self.state.reconnects % 2 == 1
        # By turns: one may succeed where the other fails.
        self.actions.append(TakeOver() if takes_over else Reconnect())

    def lost(self, event: Lost) -> None:
        if not self._page_counts():
            return
        if self.state.status == "disconnected" and self.state.reason in BARRED and event.reason not in BARRED:
            return  # the connection goes with the account: that must not make it an outage, tried again soon
        # News of an outage that is known already must not push its next attempt away; that an attempt has
        # failed brings it nearer: an interval counts from the attempt, not from when its failure was seen.
        waits = self.state.status == "disconnected" and (
            event.reason == self.state.reason or event.reason not in BARRED
        )
        known = self.state.deadline if waits else None
        tried_at = self.state.tried_at if self.state.reconnects else None
        self._lose(event.reason, event.detail)
        due = self._next_reconnect()
        if known is not None and due is not None:
            due = min(known, due if tried_at is None else max(self.now, due - (self.now - tried_at)))
        self._set(phase=Phase.UP, repair=None, deadline=due)

    def _ended(self) -> None:
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

    def _recover(self, event: Broke) -> None:
        """Begin the recovery of a broken page, or plan it for when the cooldown is over."""
        verdict = policy.after_death(self.state.ledger, self._unsettled(), self.now)
        if event.level is Level.BROWSER or isinstance(verdict, policy.GiveUp):
            self._end_broken(event)
            return
        level = event.level
        if level is Level.LOOP and verdict.at <= self.now:
            # Nobody is told of a death: the page stays, and what it was asked for waits a moment longer.
            self._set(
                phase=Phase.UP,
                ledger=verdict.ledger,
                repair=Repair(cause=event.cause, level=level, begun=True),
                deadline=self.now + self.rules.connect_timeout,
            )
            self.actions += (Note(event.cause, event.detail, LEVEL_ACTIONS[level]), EndLoop())
            return
        level = Level.PAGE if level is Level.LOOP else level  # a looping page cannot be loaded again
        repair = Repair(cause=event.cause, level=level, begun=False)
        self._announce(event.cause, event.detail, level, verdict)
        self._set(phase=Phase.UP, repair=repair, deadline=verdict.at, reconnects=0)
        if verdict.at <= self.now:
            self._repair(repair)

    def _go_further(self, event: Broke, repair: Repair) -> None:
        """Take the next level: the one under way has failed."""
        level = max(Level(repair.level + 1), event.level)
        if repair.level is Level.LOOP:
            level = max(level, Level.PAGE)  # a looping page cannot be loaded again
        if event.cause == repair.cause:
            self.actions.append(Tried(LEVEL_ACTIONS[level]))
        else:
            self.actions.append(Note(event.cause, event.detail, LEVEL_ACTIONS[level]))
        if level is Level.BROWSER:
            self._end_broken(event, repair)
            return
        self._set(ledger=policy.moved(self.state.ledger, self.now))
        self._say_restarting(event.cause, event.detail, self.now)
        self._repair(msgspec.structs.replace(repair, level=level))

    def _repair(self, repair: Repair) -> None:
        """Do what the level says; a QR or a connection must follow within the connect timeout."""
        if self.state.status != "connecting":
            self._become("connecting")
        self._set(
            phase=Phase.UP,
            repair=msgspec.structs.replace(repair, begun=True),
            deadline=self.now + self.rules.connect_timeout,
        )
        self.actions.append(ReplacePage() if repair.level is Level.PAGE else Reconnect())

    def _end_broken(self, event: Broke, repair: Repair | None = None) -> None:
        """End a browser in which nothing helps; what follows is decided when it has died."""
        self._set(deadline=None, repair=repair)
        self.actions.append(End(event.cause, event.detail))

    def _died_in_repair(self, event: Died, repair: Repair) -> None:
        """Go on with the recovery that was under way: it is the same entry of the ledger, at its new time."""
        at = self.now + self.rules.restart.settle
        if not repair.begun and self.state.deadline is not None:
            at = max(at, self.state.deadline)
        if event.cause != repair.cause:
            self.actions.append(Note(event.cause, event.detail, LEVEL_ACTIONS[Level.BROWSER]))
        self._set(ledger=policy.moved(self.state.ledger, at))
        self._say_restarting(event.cause, event.detail, at)
        self._set(phase=Phase.WAITING, deadline=at, repair=None, reconnects=0)

    def _announce(self, cause: str, detail: str | None, level: Level, verdict: policy.Restart) -> None:
        """Tell of a death whose recovery the policy grants."""
        self._set(ledger=verdict.ledger)
        self.actions.append(Note(cause, detail, LEVEL_ACTIONS[level]))
        self._fall(cause, detail)
        self._publish(
            "session.restarting",
            reason=cause,
            attempt=verdict.attempt,
            delay=round(verdict.at - self.now, 3),
        )

    def _say_restarting(self, cause: str, detail: str | None, at: float) -> None:
        """Tell of a death in the course of a recovery, unless that is what clients see already."""
        if self.state.status in ("connecting", "disconnected"):
            return
        self._fall(cause, detail)
        attempt = len(self.state.ledger.within(self.rules.restart.window, self.now))
        self._publish("session.restarting", reason=cause, attempt=attempt, delay=round(at - self.now, 3))

    def _give_up(self, event: Died, revive_at: float | None) -> None:
        hopeless = event.cause in HOPELESS
        self.actions.append(Note(event.cause, event.detail, "WAIT" if hopeless else "GIVEN_UP"))
        self._fall(event.cause if hopeless else RESTART_LIMIT, event.detail, cause=event.cause)
        self._set(phase=Phase.DOWN, deadline=revive_at, action=event.action, reconnects=0, repair=None)
        if not hopeless:
            self._publish(
                "session.restart_limit",
                reason=event.cause,
                attempts=len(self.state.ledger.within(self.rules.restart.window, self.now)),
                reviveIn=self.rules.restart.revive_after if revive_at is not None else None,
            )

    def _settle_repair(self) -> None:
        """Note that the recovery under way, if there is one, has worked."""
        if self.state.repair is not None:
            self.actions.append(Over(only=self.state.repair.cause))
            self._set(repair=None)

    def _lose(self, reason: str, detail: str | None) -> None:
        """Be disconnected for a reason that is no death; a new one is an incident, and may be an alert."""
        new = self.state.status != "disconnected" or self.state.reason != reason
        self._fall(reason, detail)
        if not new:
            return
        yields = reason == CONFLICT and self.rules.conflict == "yield"
        if reason in BARRED or yields:
            self._publish("session.alert", kind=reason, detail=detail)
        if reason == LOGGED_OUT:
            action = "NEW_QR"
        elif yields:
            action = "YIELDED"
        elif reason == CONFLICT:
            action = "TAKEOVER"
        else:
            action = "WAIT" if reason in BARRED or reason == PAGE_RELOADED else "RECONNECT"
        self.actions.append(Note(reason, detail, action))

    def _unsettled(self) -> RestartSettings:
        """Return the policy for what needs no pause because no browser has to end first."""
        return attrs.evolve(self.rules.restart, settle=0.0)
