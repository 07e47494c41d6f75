"""What follows a command: of a person, of a program, of the daemon itself."""

from protocol.errors import RpcError
from supervisors.machine.parts import Parts
from supervisors.machine.words import (
    CONFLICT,
    DAEMON_STOPPED,
    Hold,
    Level,
    Phase,
    Reconnect,
    ReplacePage,
    TakeOver,
    Then,
)


class Commands(Parts):
    """The moves that commands ask for; one that may not be given now raises, and changes nothing."""

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
                conflict = self.state.reason == CONFLICT
                repair = self.state.repair
                self._new_budget()
                self._become("connecting")
                self._set(repair=None, deadline=self.now + self.rules.connect_timeout)
                if conflict:
                    self.actions.append(TakeOver())
                elif repair is not None and repair.level is Level.PAGE:
                    self.actions.append(ReplacePage())
                else:
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
                self._set(
                    repair=None,
                    reconnects=0,
                    down_since=None,
                    deadline=self.now + self.rules.connect_timeout,
                )
                self.actions.append(Reconnect())

    def hold(self, event: Hold) -> None:
        match self.state.phase:
            case Phase.DOWN | Phase.WAITING:
                if self.state.status == "disconnected":
                    self._set(reason=event.reason, detail=None, action=None)
                elif self.state.status == "connecting":
                    self._become("disconnected", event.reason)
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
                if self.state.status == "connecting":
                    self._become("disconnected", DAEMON_STOPPED)
                self._set(phase=Phase.DOWN, deadline=None)
            case Phase.HELD:
                self._set(then=Then.SHUTDOWN)
            case _:
                self._end(Then.SHUTDOWN)


def _busy(message: str) -> RpcError:
    return RpcError("SESSION_BUSY", message)
