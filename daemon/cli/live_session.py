"""A session's page in `wasupctl top`: how it is, the code to scan, its events, its log, what befell it."""

import shlex
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Footer, RichLog, Static
from textual.worker import get_current_worker

from daemon.qr import code_of, half_blocks
from protocol.client.errors import CallTimeout, ConnectionLost, DaemonUnreachable
from protocol.errors import RpcError

from .board import Board, Session
from .figures import local
from .invocation import QUERY_S, Invocation
from .log import AGAIN_S, LEVEL_STYLES, MOST, LogLine, more, said
from .output import STATUS_STYLES
from .plots import sparkline
from .printable import printable
from .refusal import refused
from .since import cursor_at
from .summary import summary

PAGE: Final = 1000
"""Events that are asked for at once."""

GONE: Final = (DaemonUnreachable, ConnectionLost, CallTimeout)
"""What says that the daemon has gone."""

_EVENTS: Final = 200
_LINES: Final = 2000
"""What is kept of what has scrolled away."""

_INCIDENTS: Final = 50


class SessionPage(Screen[None]):
    """One session: how it is, the code to scan while it has one, its events, its log, what befell it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,backspace", "app.pop_screen", "Back")]

    def __init__(self, at: Invocation, board: Board, session_id: str) -> None:
        super().__init__()
        self.session_id = session_id
        self._at = at
        self._board = board
        self._code = ""
        self._incidents: list[Any] = []

    def compose(self) -> ComposeResult:
        yield Static(id="problem")
        with Vertical():
            yield Static(id="about")
            yield Static(id="code")
            yield Static(id="hint")
            yield RichLog(id="events", max_lines=_LINES, wrap=True, min_width=40)
            yield RichLog(id="log", max_lines=_LINES, wrap=True, min_width=40)
            yield RichLog(id="incidents", wrap=True, min_width=40)
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#events").border_title = "Events"
        self.query_one("#log").border_title = "Log"
        self.query_one("#incidents").border_title = "Incidents"
        self.look()
        self.follow_log()
        self.take([])

    def on_resize(self) -> None:
        self._show_code()

    @work(thread=True)
    def look(self) -> None:
        """Read what happened to the session before the page was opened."""
        try:
            with self._at.connect() as client:
                cursor = cursor_at(client, time.time() - 86_400)
                events: list[Any] = []
                while page := client.call(
                    "events.list", after=cursor, limit=PAGE, sessions=[self.session_id], within_s=QUERY_S
                )["events"]:
                    events, cursor = [*events, *page][-_EVENTS:], page[-1]["seq"]
                self._tell(self._show_events, events)
                answer = client.call(
                    "session.incidents", sessionId=self.session_id, limit=_INCIDENTS, within_s=QUERY_S
                )
                self._tell(self._show_incidents, answer["incidents"])
        except (*GONE, RpcError) as error:
            self.app.call_from_thread(self.notify, first_line(error), severity="warning", markup=False)

    @work(thread=True, exclusive=True, group="code")
    def ask_code(self) -> None:
        """Read the code that the session waits with."""
        text = ""
        try:
            with self._at.connect() as client:
                answer = client.call("session.qr", sessionId=self.session_id, format="text", within_s=QUERY_S)
                text = answer["qrText"]
        except (*GONE, RpcError):
            pass  # there is none now; the next second asks again
        self._tell(self._take_code, text)

    def take(self, events: list[dict[str, Any]]) -> None:
        """Show the session as it is now, and what has happened."""
        session = self._board.session(self.session_id)
        if session is None:
            self.query_one("#about", Static).update("This session is no more.")
            self._take_code("")
            return
        self.query_one("#about", Static).update(_about(session, self._board))
        mine = [event for event in events if event.get("sessionId") == self.session_id]
        self._show_events(mine)
        if any(event["type"] in ("session.disconnected", "session.recovered") for event in mine):
            self.look_at_incidents()
        if session["status"] == "qr_generated":
            self.ask_code()
        else:
            self._take_code("")

    @work(thread=True, exclusive=True, group="incidents")
    def look_at_incidents(self) -> None:
        """Read what befell the session anew."""
        try:
            with self._at.connect() as client:
                answer = client.call(
                    "session.incidents", sessionId=self.session_id, limit=_INCIDENTS, within_s=QUERY_S
                )
        except (*GONE, RpcError):
            return
        self._tell(self._show_incidents, answer["incidents"])

    def _show_events(self, events: list[dict[str, Any]]) -> None:
        log = self.query_one("#events", RichLog)
        for event in events:
            kind = event["type"]
            line = Text(f"{local(event['timestamp'])[11:]} ")
            line.append(f"{kind} ", "bold")
            log.write(line.append(printable(summary(event))))

    @work(thread=True)
    def follow_log(self) -> None:
        """Show what the daemon's log says of the session, as long as the page is open."""
        worker = get_current_worker()
        after = 0
        while not worker.is_cancelled:
            try:
                with self._at.connect() as client:
                    records = client.call(
                        "session.log", sessionId=self.session_id, after=after, limit=MOST, within_s=QUERY_S
                    )["records"]
            except GONE:
                pass  # said above all
            except RpcError as error:
                if error.code != "SHUTTING_DOWN":  # such as FORBIDDEN, to a reader
                    self._tell(self._show_no_log, refused(error))
                    return
            else:
                after = records[-1]["seq"] if records else after
                self._tell(self._show_log, records)
            worker_wait(worker, AGAIN_S)

    def _tell(self, show: Callable[..., None], what: Any) -> None:
        """Show what a thread has found; the page may have been closed meanwhile."""
        self.app.call_from_thread(lambda: show(what) if self.is_attached else None)

    def _show_log(self, records: list[LogLine]) -> None:
        log = self.query_one("#log", RichLog)
        for record in records:
            line = Text(f"{local(record['timestamp'])[11:]} ")
            line.append(f"{record['event']} ", LEVEL_STYLES.get(record["level"], "bold"))
            log.write(line.append(printable(said(record))))
            for below in more(record):
                log.write(Text(printable(below)))

    def _show_no_log(self, why: str) -> None:
        self.query_one("#log", RichLog).write(Text(printable(why)))

    def _show_incidents(self, incidents: list[Any]) -> None:
        log = self.query_one("#incidents", RichLog)
        log.clear()
        for incident in reversed(incidents):
            words = [incident.get(key) for key in ("kind", "detail", "action")]
            log.write(Text(printable(f"{local(incident['at'])} {'  '.join(str(w) for w in words if w)}")))

    def _take_code(self, text: str) -> None:
        if text != self._code:
            self._code = text
            self._show_code()

    def _show_code(self) -> None:
        code, hint = self.query_one("#code", Static), self.query_one("#hint", Static)
        lines = half_blocks(code_of(self._code), quiet=2, draw="dark") if self._code else []
        fits = bool(lines) and len(lines) + 3 <= self.size.height and len(lines[0]) <= self.size.width
        code.display, hint.display = fits, bool(lines) and not fits
        for log in self.query(RichLog):
            log.display = not fits
        if fits:
            code.update(Text("\n".join(lines)))
        elif lines:
            hint.update(
                f"Its code needs {len(lines[0])} columns and {len(lines) + 3} lines; this terminal has"
                f" {self.size.width} and {self.size.height}. Enlarge it, take a smaller font,"
                f" or run: wasupctl link {printable(shlex.quote(self.session_id))} --png FILE"
            )


def _about(session: Session, board: Board) -> Text:
    now = time.time()
    row = board.row(session, now)
    style = STATUS_STYLES.get(session["status"], "")
    text = Text.assemble(("● ", style), (printable(session["name"]), "bold"), f" ({session['id']})  ")
    text.append(session["status"], style)
    if session.get("reason"):
        text.append(f" ({printable(session['reason'])})")
    phone = session.get("phoneNumber") or "not linked"
    text.append(f"\n{phone}   up {row[2]}   memory {row[3]}   CPU {row[4]}   waiting {row[5]}")
    minutes = board.per_minute(session["id"], now)
    text.append(
        f"\nMessages a minute: {sparkline(minutes).lstrip() or 'none'} {minutes[-2]}   restarts {row[7]}"
    )
    return text


def worker_wait(worker: Any, seconds: float) -> None:
    """Wait in a thread, for as long as its work is wanted."""
    end = time.monotonic() + seconds
    while not worker.is_cancelled and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))


def first_line(error: Exception) -> str:
    """Return what an error says in short."""
    return printable(str(error).split("\n", 1)[0].rstrip(".") + ".")
