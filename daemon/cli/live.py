"""`wasupctl top` on the screen: a table of sessions, and a page for each. Textual is imported here alone."""

import time
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Label, Static
from textual.worker import get_current_worker

from protocol.client.blocking import Client
from protocol.errors import RpcError

from .board import MINUTES, Board, Session
from .invocation import QUERY_S, Invocation
from .live_session import GONE, PAGE, SessionPage, first_line, worker_wait
from .lookup import every
from .output import STATUS_STYLES
from .printable import printable
from .refusal import refused
from .since import cursor_at

_TICK_S: Final = 1.0
# Together with their gaps 78 columns.
_COLUMNS: Final = (
    ("NAME", 14), ("STATUS", 12), ("UP", 4), ("MEMORY", 8), ("CPU", 5), ("WAIT", 4), ("MSG/MIN", 12),
    ("RST", 3),
)  # fmt: skip

_STATUS: Final = 1


class _Sessions(DataTable[Text]):
    """The table; its keys are told at the bottom like the program's own."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "Open")]


class Top(App[None]):
    """All sessions; asks the daemon once a second, in a thread of its own."""

    TITLE = "wasup"
    CSS = """
    #problem { color: $text-error; background: $error-muted; padding: 0 1; display: none; }
    #summary { padding: 0 1; }
    DataTable { height: 1fr; }
    #about { padding: 0 1; }
    RichLog { background: $background; scrollbar-size-vertical: 1; }
    #code { width: auto; color: black; background: white; display: none; }
    #hint { padding: 0 1; display: none; }
    RichLog { border-top: solid $primary; border-title-align: left; }
    #events, #log { height: 2fr; }
    #incidents { height: 1fr; }
    Ask { align: center middle; }
    Ask Label { padding: 1 2; border: round $primary; background: $surface; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "Start"),
        Binding("x", "stop", "Stop"),
        Binding("r", "restart", "Restart"),
        Binding("l", "link", "Link"),
        Binding("t", "theme", "Light/dark"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, at: Invocation) -> None:
        super().__init__()
        self.board = Board()
        self.at = at
        self.reached = True

    def compose(self) -> ComposeResult:
        yield Static(id="problem")
        yield Static("Asking the daemon …", id="summary")
        table = _Sessions(cursor_type="row", zebra_stripes=True)
        for label, width in _COLUMNS:
            table.add_column(label, width=width, key=label)
        yield table
        yield Footer()

    def on_mount(self) -> None:
        self.follow()

    # -- what the daemon tells

    @work(thread=True, exclusive=True, group="follow")
    def follow(self) -> None:
        """Take in what the daemon tells until the program ends; one that has gone is waited for."""
        worker = get_current_worker()
        client: Client | None = None
        cursor: int | None = None
        while not worker.is_cancelled:
            try:
                if client is None:
                    client = self.at.connect()
                if cursor is None:
                    cursor = cursor_at(client, time.time() - MINUTES * 60)
                sessions = every(client)["sessions"]
                events: list[Any] = []
                while page := self._page(client, cursor):
                    events += page
                    cursor = page[-1]["seq"]
            except GONE as error:
                client = None
                self._tell(f"The daemon is gone: {first_line(error)} Trying again.")
            except RpcError as error:
                if error.code == "CURSOR_EXPIRED":
                    cursor = None
                self._tell(refused(error))
            else:
                self.call_from_thread(self.take, sessions, events)
            worker_wait(worker, _TICK_S)
        if client is not None:
            client.close()

    def _page(self, client: Client, cursor: int) -> list[Any]:
        found: list[Any] = client.call("events.list", after=cursor, limit=PAGE, within_s=QUERY_S)["events"]
        return found

    def _tell(self, problem: str) -> None:
        self.call_from_thread(self.problem, problem)

    def problem(self, text: str) -> None:
        """Show what is wrong, above all; an empty text takes it away."""
        self.reached = not text
        for screen in self.screen_stack:
            for place in screen.query("#problem").results(Static):
                place.update(Text(printable(text)))
                place.display = bool(text)

    def take(self, sessions: list[Session], events: list[dict[str, Any]]) -> None:
        """Show what the daemon has told."""
        now = time.time()
        self.board.take(sessions, events, now)
        self.problem("")
        self._show(now)
        for screen in self.screen_stack:
            if isinstance(screen, SessionPage):
                screen.take(events)

    def _show(self, now: float) -> None:
        table = self.screen_stack[0].query_one(DataTable)
        sessions = self.board.sessions
        if [str(key.value) for key in table.rows] != [session["id"] for session in sessions]:
            chosen = self.chosen()
            table.clear()
            for session in sessions:
                table.add_row(*_cells(self.board.row(session, now)), key=session["id"])
            places = [place for place, session in enumerate(sessions) if session["id"] == chosen]
            table.move_cursor(row=places[0] if places else 0)
        else:
            for session in sessions:
                for (label, _), cell in zip(_COLUMNS, _cells(self.board.row(session, now)), strict=True):
                    table.update_cell(session["id"], label, cell)
        counts: dict[str, int] = {}
        for session in sessions:
            counts[session["status"]] = counts.get(session["status"], 0) + 1
        words = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        self.screen_stack[0].query_one("#summary", Static).update(
            f"{len(sessions)} sessions{': ' if words else ''}{words}"
            if sessions
            else "No session exists: make one with `wasupctl create NAME`."
        )

    # -- what a person does

    def chosen(self) -> str | None:
        """Return the id of the session that keys are about."""
        if isinstance(self.screen, SessionPage):
            return self.screen.session_id
        table = self.screen_stack[0].query_one(DataTable)
        if not table.row_count:
            return None
        return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)

    def on_data_table_row_selected(self) -> None:
        self._open()

    def _open(self) -> None:
        if (chosen := self.chosen()) and not isinstance(self.screen, SessionPage):
            self.push_screen(SessionPage(self.at, self.board, chosen))

    def action_start(self) -> None:
        self._ask_daemon("session.start", "started")

    def action_restart(self) -> None:
        self._asking("Restart", "session.restart", "restarting")

    def action_stop(self) -> None:
        self._asking("Stop", "session.stop", "stopped")

    def action_link(self) -> None:
        session = self.board.session(self.chosen())
        if session is None:
            return
        self._open()
        if session["status"] in ("inactive", "disconnected"):
            self._ask_daemon("session.start", "started; its code comes when the page is there")

    def action_theme(self) -> None:
        self.theme = "textual-light" if self.current_theme.dark else "textual-dark"

    def _asking(self, verb: str, method: str, done: str) -> None:
        if (session := self.board.session(self.chosen())) is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._ask_daemon(method, done)

        self.push_screen(Ask(f"{verb} {printable(session['name'])}? y: yes, any other key: no"), answered)

    def _ask_daemon(self, method: str, done: str) -> None:
        if (session := self.board.session(self.chosen())) is not None:
            self.request(method, session, done)

    @work(thread=True)
    def request(self, method: str, session: Session, done: str) -> None:
        """Ask the daemon for something that takes a while, and tell how it went."""
        name = printable(session["name"])
        try:
            with self.at.connect() as client:
                client.call(method, sessionId=session["id"], within_s=QUERY_S * 4)
        except RpcError as error:
            self.call_from_thread(self.notify, f"{name}: {refused(error)}", severity="error", markup=False)
        except GONE as error:
            self.call_from_thread(self.notify, first_line(error), severity="error", markup=False)
        else:
            self.call_from_thread(self.notify, f"{name}: {done}.", markup=False)


class Ask(ModalScreen[bool]):
    """A question: y answers yes, every other key no."""

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        yield Label(self._question, markup=False)

    def on_key(self, event: Any) -> None:
        event.stop()
        self.dismiss(event.key == "y")


def _cells(row: tuple[str, ...]) -> list[Text]:
    cells = [Text(printable(cell), no_wrap=True, overflow="ellipsis") for cell in row]
    cells[_STATUS].stylize(STATUS_STYLES.get(row[_STATUS], ""))
    for place in (2, 3, 4, 5, 7):
        cells[place].justify = "right"
    return cells
