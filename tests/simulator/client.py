"""A blocking client of the control API, for the command line and for scripts."""

import base64
import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.simulator.errors import SimulatorError


def default_path() -> Path:
    """Where a simulator started by hand listens: `$WASUP_SIMULATOR`, else in the runtime directory."""
    if chosen := os.environ.get("WASUP_SIMULATOR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"), f"wasup-simulator-{os.getuid()}.sock")  # noqa: S108


class Client:
    """One connection; every method raises SimulatorError with what the simulator had to say."""

    def __init__(self, path: Path | None = None, timeout_s: float = 60) -> None:
        self.path = path or default_path()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(self.path))
        except OSError as error:
            self._socket.close()
            raise SimulatorError(
                f"no simulator answers at {self.path} ({error.strerror}): start one with "
                "`python -m tests.simulator serve`, or say --control PATH"
            ) from None
        self._answers = self._socket.makefile("rb")

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._answers.close()
        self._socket.close()

    def call(self, verb: str, **params: Any) -> Any:
        """Ask for anything that control.VERBS knows; parameters that are None are left out."""
        request = {"verb": verb, **{key: value for key, value in params.items() if value is not None}}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        line = self._answers.readline()
        if not line:
            raise SimulatorError("the simulator has gone")
        answer = json.loads(line)
        if not answer["ok"]:
            raise SimulatorError(answer["error"])
        return answer["result"]

    def scan(self, phone: str, text: str) -> str:
        """Scan a code's text; the linked device's id."""
        return str(self.call("scan", phone=phone, text=text)["device"])

    def scan_image(self, phone: str, image: bytes | str) -> str:
        """Scan a picture: a PNG file's bytes, or a data URL."""
        if isinstance(image, bytes):
            image = "data:image/png;base64," + base64.b64encode(image).decode()
        return str(self.call("scan", phone=phone, image=image)["device"])

    def receive(self, phone: str, from_: str, text: str, group: str | None = None) -> dict[str, Any]:
        """Somebody writes to the account."""
        entry: dict[str, Any] = self.call("receive", phone=phone, text=text, group=group, **{"from": from_})
        return entry

    def write(self, phone: str, to: str, text: str) -> dict[str, Any]:
        """The account's owner types a message on the phone."""
        entry: dict[str, Any] = self.call("write", phone=phone, to=to, text=text)
        return entry

    def read(self, phone: str, chat: str, by: str | None = None) -> int:
        """Whoever is at the other end of the chat reads what was sent; how many messages that were."""
        return int(self.call("read", phone=phone, chat=chat, by=by)["read"])

    def unlink(self, phone: str, device: str | None = None) -> list[str]:
        """Unlink one device, or all; which."""
        unlinked: list[str] = self.call("unlink", phone=phone, device=device)["unlinked"]
        return unlinked

    def offline(self, phone: str) -> None:
        """Cut the account off."""
        self.call("offline", phone=phone)

    def online(self, phone: str) -> None:
        """Let it in again."""
        self.call("online", phone=phone)

    def messages(self, phone: str) -> list[dict[str, Any]]:
        """Everything the phone has sent and received."""
        entries: list[dict[str, Any]] = self.call("messages", phone=phone)
        return entries

    def ledger(self, phone: str) -> dict[str, Any]:
        """Submissions, deliveries and receptions."""
        ledger: dict[str, Any] = self.call("ledger", phone=phone)
        return ledger

    def accounts(self) -> list[dict[str, Any]]:
        """Every account with its devices, contacts and groups."""
        accounts: list[dict[str, Any]] = self.call("accounts")
        return accounts
