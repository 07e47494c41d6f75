"""What every move of the machine is made of."""

import msgspec

from supervisors import policy
from supervisors.machine.words import (
    BARRED,
    CONFLICT,
    PAGE_RELOADED,
    PHONE_NUMBER_IN_USE,
    STOPPED,
    Action,
    End,
    Launch,
    Phase,
    Publish,
    Rules,
    State,
    Status,
    Then,
)


class Parts:
    """One step in the making; lives only within `step`."""

    def __init__(self, state: State, now: float, rules: Rules) -> None:
        self.state = state
        self.now = now
        self.rules = rules
        self.actions: list[Action] = []

    def _set(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)

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

    def _launch(self, *, restarts: bool = False) -> None:
        """Ask for a new life; its connect timeout begins when it is admitted."""
        self._set(
            desired="running", phase=Phase.STARTING, then=None, deadline=None, repair=None, restarts=restarts
        )
        if self.state.status != "connecting":
            self._become("connecting")
        self.actions.append(Launch())

    def _end(self, then: Then, rest_reason: str = STOPPED) -> None:
        ending = self.state.phase is Phase.ENDING
        self._set(phase=Phase.ENDING, then=then, rest_reason=rest_reason, deadline=None, repair=None)
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

    def _expect_code(self, life_s: float, known: float | None) -> None:
        """Have the page be hung when no other code comes long after this one's end."""
        self._set(deadline=max(known or 0.0, self.now + life_s + self.rules.connect_timeout))

    def _new_budget(self) -> None:
        self._set(ledger=policy.Ledger(), down_since=None, reconnects=0)

    def _next_reconnect(self) -> float | None:
        """Return when a page that lost its connection is to try again; None: not by itself."""
        reason = self.state.reason
        if reason == CONFLICT and self.rules.conflict == "yield":
            return None
        if reason == PAGE_RELOADED:
            return self.now + self.rules.connect_timeout
        if reason in BARRED and self.rules.reconnect.enabled:
            return policy.revival(self.rules.restart, self.now)
        return policy.next_reconnect(
            self.state.reconnects, self.rules.reconnect, self.rules.restart, self.now
        )

    def _page_counts(self) -> bool:
        """Tell whether news of the page matter: not when it is broken, being ended or already gone."""
        repair = self.state.repair
        return self.state.phase in (Phase.STARTING, Phase.UP) and (repair is None or repair.begun)
