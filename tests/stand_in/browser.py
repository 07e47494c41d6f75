"""Stands in for Chrome: the same DevTools pipe on the fds 3 and 4, a page that is logged in, no rendering.

Run as a script, with the isolated interpreter and nothing imported that is not needed: hundreds of these run
at a time. It answers what the daemon asks of a browser, and tells what the bridge of a connected page tells.
"""

import json
import os
import select
import sys
import zlib

PAGE = "page"
VERSION = "156.0.8078.79"
LOAD_S = 0.5
"""How long the page takes from its document to its connection."""


def send(message: dict[str, object]) -> None:
    data = json.dumps(message).encode() + b"\0"
    while data:
        data = data[os.write(4, data) :]


def event(method: str, **params: object) -> None:
    send({"method": method, "params": params, "sessionId": PAGE})


class Browser:
    """What is known of the one page."""

    def __init__(self, profile: str) -> None:
        self.binding = ""
        self.loads = 0
        self.loading = False
        self.number = 4_910_000_000_000 + zlib.crc32(profile.encode())

    def answer(self, method: str, params: dict[str, str]) -> dict[str, object]:
        if method == "Browser.getVersion":
            return {"product": f"HeadlessChrome/{VERSION}"}
        if method == "Target.getTargets":
            return {"targetInfos": [{"targetId": PAGE, "type": "page"}]}
        if method == "Target.attachToTarget":
            return {"sessionId": PAGE}
        if method == "Runtime.addBinding":
            self.binding = params["name"]
        if method == "Page.navigate":
            self.loads += 1
            return {"frameId": PAGE, "loaderId": str(self.loads)}
        if method == "Runtime.evaluate":
            value = {"value": None} if "__wasup" in params["expression"] else 1
            return {"result": {"value": value}}
        return {}

    def follow(self, method: str, params: dict[str, str]) -> None:
        """Tell what follows an answer."""
        if method == "Browser.close":
            sys.exit(0)
        if method == "Page.navigate":
            self.loading = True
            frame = {"id": PAGE, "url": params["url"], "loaderId": str(self.loads)}
            event("Page.frameNavigated", frame=frame)

    def connect(self) -> None:
        """Be loaded: tell what the bridge tells of a page that is logged in."""
        self.loading = False
        event("Page.loadEventFired", timestamp=0)
        state = {
            "type": "state",
            "socket": "CONNECTED",
            "mode": "MAIN",
            "authenticated": True,
            "ready": True,
            "wid": f"{self.number}@c.us",
            "platform": "android",
            "deviceModel": None,
            "version": "2.3000.1",
            "library": "4.6.0",
        }
        event("Runtime.bindingCalled", name=self.binding, payload=json.dumps(state))


def keep_a_login(profile: str) -> None:
    """Leave on the disk what Chrome would: a database, in miniature."""
    database = f"{profile}/Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb"
    os.makedirs(database, exist_ok=True)  # noqa: PTH103  pathlib would be half of what this imports
    for name, text in (("CURRENT", "MANIFEST-000001\n"), ("MANIFEST-000001", "x"), ("000003.log", "x")):
        with open(f"{database}/{name}", "w") as file:  # noqa: PTH123
            file.write(text)


def main() -> None:
    profile = next(word.partition("=")[2] for word in sys.argv if word.startswith("--user-data-dir="))
    keep_a_login(profile)
    browser = Browser(profile)
    rest = b""
    while True:
        if browser.loading and not select.select([3], [], [], LOAD_S)[0]:
            browser.connect()
        if not (data := os.read(3, 65536)):
            return
        *messages, rest = (rest + data).split(b"\0")
        for text in messages:
            call = json.loads(text)
            method, params = call["method"], call.get("params", {})
            reply = {"id": call["id"], "result": browser.answer(method, params)}
            if "sessionId" in call:
                reply["sessionId"] = call["sessionId"]
            send(reply)
            browser.follow(method, params)


if __name__ == "__main__":
    main()
