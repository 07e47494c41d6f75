"""The commands that reach every function of the page library, and a message's file."""

import base64
import fnmatch
import itertools
import mimetypes
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from .figures import size
from .files import write_private
from .invocation import QUERY_S, STDIN, At
from .lifecycle import Seconds
from .lookup import find
from .output import tell

_DOWNLOAD_S = 300


def functions(session: str, pattern: str = "*", /, *, at: At) -> None:
    """List every function that the page library offers, for `wasupctl whatsapp call`.

    Args:
        session: The session's id or name; it must be connected.
        pattern: Only those that match, such as 'group.*'.
    """
    with at.connect() as client:
        answer = client.call("whatsapp.functions", sessionId=find(client, session)["id"], within_s=QUERY_S)
    names = fnmatch.filter(answer["functions"], pattern)

    def show() -> None:
        for name in names:
            at.out.line(name)
        if not names:
            tell(f'No function matches "{pattern}".')

    at.result({"functions": names}, show)


def call(
    session: str,
    function: str,
    /,
    *arguments: Annotated[str, Parameter(allow_leading_hyphen=True)],
    timeout: Seconds = 30,
    at: At,
) -> None:
    """Call a function of the page library; prints what it returns, as JSON.

    Args:
        session: The session's id or name; it must be connected.
        function: Its name, such as chat.archive; `wasupctl whatsapp functions` lists them.
        arguments: Its arguments, each as JSON; what is no JSON is a text.
        timeout: Seconds to wait for its answer.
    """
    with at.connect() as client:
        answer = client.call(
            "whatsapp.call",
            sessionId=find(client, session)["id"],
            function=function,
            args=[_argument(text) for text in arguments],
            timeout=timeout,
            within_s=timeout + QUERY_S,
        )
    at.out.json(answer)


def download(session: str, message: str, file: Path | None = None, /, *, at: At) -> None:
    """Write a message's file to this machine.

    Args:
        session: The session's id or name.
        message: The message's id.
        file: Where to, readable by you alone; - writes it to stdout. Else the name that the message gives
            it, in this directory; a file that is there is not replaced.
    """
    with at.connect() as client:
        found = find(client, session)
        answer = client.call(
            "message.download", sessionId=found["id"], messageId=message, within_s=_DOWNLOAD_S
        )
    data = base64.b64decode(answer["data"])
    if file is not None and str(file) == STDIN and not at.as_json:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    path = _free(answer, message) if file is None else file
    write_private(path, data)
    result = {"file": str(path), "mimetype": answer["mimetype"], "bytes": len(data)}
    at.result(result, lambda: at.out.line(f"{path} ({answer['mimetype']}, {size(len(data))})"))


def _free(answer: dict[str, Any], message: str) -> Path:
    """Return a name that nothing has yet: strangers choose what files are called."""
    guessed = mimetypes.guess_extension(answer["mimetype"].partition(";")[0].strip()) or ".bin"
    given = Path(answer.get("filename") or "").name.lstrip(".")
    name = Path("".join(c if c.isprintable() else "_" for c in given) or f"{message}{guessed}")
    others = (name.with_stem(f"{name.stem}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([name], others) if not path.exists())


def _argument(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
