"""Where clients look for the daemon."""

import subprocess
import sys

from protocol.client.locate import socket_candidates

ENV = {
    "RUNTIME_DIRECTORY": "/run/a:/run/b",
    "XDG_RUNTIME_DIR": "/run/user/1000",
    "XDG_STATE_HOME": "/home/a/state",
    "HOME": "/home/a",
}


def test_a_named_socket_is_the_only_one() -> None:
    env = {**ENV, "WASUP_SOCKET": "/tmp/env.sock"}  # noqa: S108 - never opened
    assert socket_candidates("/x.sock", env) == ["/x.sock"]
    assert socket_candidates(None, env) == ["/tmp/env.sock"]  # noqa: S108


def test_the_usual_places_in_their_order() -> None:
    assert socket_candidates(None, ENV) == [
        "/run/a/wasup.sock",
        "/run/user/1000/wasup/wasup.sock",
        "/run/wasup/wasup.sock",
        "/home/a/state/wasup/wasup.sock",
    ]
    assert socket_candidates(None, {"HOME": "/root"}) == [
        "/run/wasup/wasup.sock",
        "/root/.local/state/wasup/wasup.sock",
    ]
    assert socket_candidates(
        None, {"RUNTIME_DIRECTORY": "/run/wasup", "STATE_DIRECTORY": "/var/lib/wasup"}
    ) == [
        "/run/wasup/wasup.sock",
        "/var/lib/wasup/wasup.sock",
    ]
    assert socket_candidates(None, {}) == ["/run/wasup/wasup.sock"]


def test_the_blocking_client_does_not_load_trio() -> None:
    script = "import sys, protocol.client.blocking, protocol.openrpc; sys.exit('trio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
