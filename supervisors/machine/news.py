"""What follows news of a life: its turn to launch, codes, connections, losses."""

from supervisors import policy
from supervisors.machine.recovery import Recovery
from supervisors.machine.words import (
    LOGGED_OUT,
    PAIRING_LIFE_S,
    PHONE_NUMBER_IN_USE,
    QR_LIFE_S,
    WAITING_FOR_LAUNCH,
    WAITING_FOR_MEMORY,
    Connected,
    Note,
    NumberTaken,
    Over,
    PairingCodeShown,
    Phase,
    QrShown,
    Queued,
    Then,
)


class News(Recovery):
    """The moves that news of the browser and the page ask for."""

    def queued(self, event: Queued) -> None:
        if self.state.phase is Phase.STARTING:
            self._set(reason=event.reason)

    def admitted(self) -> None:
        if self.state.phase is Phase.STARTING:
            self._set(deadline=self.now + self.rules.connect_timeout)
            if self.state.reason in (WAITING_FOR_LAUNCH, WAITING_FOR_MEMORY):
                self._set(reason=None)
                if self.state.restarts:  # it is done now, not when it was planned
                    self._set(ledger=policy.moved(self.state.ledger, self.now))
            self._set(restarts=False)

    def qr_shown(self, event: QrShown) -> None:
        if not self._page_counts():
            return
        if self.state.status == "connected":  # it was unlinked, and nobody said so
            self._lose(LOGGED_OUT, None)
        self._settle_repair()
        known = self.state.deadline if self.state.status == "qr_generated" else None
        self._set(phase=Phase.UP, reconnects=0, down_since=None)
        if self.state.status != "qr_generated":
            self.actions.append(Over(but=LOGGED_OUT))
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
        self.actions.append(Note(PHONE_NUMBER_IN_USE, event.detail, "STOPPED"))
        self._set(desired="stopped", detail=event.detail)
        self._end(Then.STOP, PHONE_NUMBER_IN_USE)

    def connected(self, event: Connected) -> None:
        if not self._page_counts():
            return
        down_since = self.state.down_since
        self._settle_repair()
        self._set(phase=Phase.UP, deadline=None, reconnects=0, down_since=None)
        if self.state.status == "connected":
            return
        self.actions.append(Over())
        self._become("connected")
        self._publish("session.connected", phoneNumber=event.phone_number)
        if down_since is not None:
            self._publish("session.recovered", downtime=round(self.now - down_since, 3))

    def logged_out(self) -> None:
        if not self._page_counts():
            return
        self._lose(LOGGED_OUT, None)
        self._set(
            phase=Phase.UP, repair=None, down_since=None, deadline=self.now + self.rules.connect_timeout
        )
