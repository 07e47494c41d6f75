"""The commands that show a session's figures, and what befell it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from protocol.times import parse

from .figures import duration, local
from .invocation import QUERY_S, At, Invocation
from .lookup import Session, find
from .output import tell
from .plots import bars, gathered, sparkline

_WIDTH = 60
"""Of plots: fits into 80 columns with what stands beside them."""

_BAR = 30


def stats(
    session: str, /, *, days: Annotated[int, Parameter(validator=Number(gte=1, lte=36_500))] = 30, at: At
) -> None:
    """Show a session's messages in figures, by day and by type, and how it went.

    Args:
        session: The session's id or name.
        days: How many days back.
    """
    with at.connect() as client:
        found = find(client, session)
        answer = client.call("session.stats", sessionId=found["id"], days=days, within_s=QUERY_S)
    at.result(answer, lambda: _show(at, found, answer, days, datetime.now(UTC).date()))


def incidents(
    session: str, /, *, limit: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 50, at: At
) -> None:
    """List what befell a session, and what was done about it; the newest last.

    With --json the newest comes first, as the daemon answers.

    Args:
        session: The session's id or name.
        limit: How many at most.
    """
    with at.connect() as client:
        found = find(client, session)
        answer = client.call("session.incidents", sessionId=found["id"], limit=limit, within_s=QUERY_S)

    def show() -> None:
        rows = [
            (
                local(incident["at"]),
                incident["kind"],
                incident.get("detail") or "-",
                incident.get("action") or "-",
                _recovered(incident),
            )
            for incident in reversed(answer["incidents"])
        ]
        if rows:
            at.out.table(
                ("TIME", "WHAT", "DETAIL", "ACTION", "RECOVERED"), rows, shrink=("DETAIL",), fold="DETAIL"
            )
        else:
            tell(f"{found['name']}: nothing befell it.")

    at.result(answer, show)


def _recovered(incident: dict[str, Any]) -> str:
    if not incident.get("recoveredAt"):
        return "not yet"
    return f"after {duration((parse(incident['recoveredAt']) - parse(incident['at'])) / 1000)}"


def _show(at: Invocation, session: Session, answer: dict[str, Any], days: int, today: date) -> None:
    figures, went = answer["stats"], answer["performance"]
    at.out.cells((session["name"], "bold"), f"({session['id']}), the last {days} days")
    response = went["averageResponseTime"]
    at.out.section(
        [
            (
                "Messages",
                [f"{figures['sent']} sent, {figures['received']} received, {figures['failed']} failed"],
            ),
            ("An hour", [f"{went['messagesPerHour']:.1f}"]),
            ("Answered after", ["-" if response is None else duration(response)]),
            ("Connected", [f"{went['uptime']:.1f} %"]),
            ("Errors", [f"{went['errorRate']:.1f} %"]),
        ]
    )
    if figures["byDay"]:
        at.out.line("")
        for label, key in (("Sent", "sent"), ("Received", "received")):
            values = gathered(_by_day(figures["byDay"], key, days, today), _WIDTH)
            at.out.cells((f"{label:>9}", "bold"), (f"{sparkline(values)}", "green"), f" most {max(values):g}")
        first = today - timedelta(days=days - 1)
        at.out.line(f"{'':>9} {first}{'today':>{max(6, min(days, _WIDTH) - 10)}}")
    if figures["byType"]:
        at.out.line("")
        width = max(map(len, figures["byType"]))
        for label, drawn, number in bars(figures["byType"], _BAR):
            at.out.cells((f"{label:>{max(9, width)}}", "bold"), (drawn, "green"), number)


def _by_day(days: Mapping[str, Any], key: str, count: int, today: date) -> list[float]:
    """Return a day's messages each, of days without any too, the oldest first."""
    dates = (today - timedelta(days=back) for back in reversed(range(count)))
    return [float(days.get(day.isoformat(), {}).get(key, 0)) for day in dates]
