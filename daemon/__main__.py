"""wasupd: arguments, configuration, and the event loop."""

from daemon import lean  # noqa: F401  # before structlog

# isort: split
import argparse
import faulthandler
import gc
import os
import sys
from pathlib import Path

import structlog
import trio

from daemon import __version__, journald, keyfile, logs
from daemon import config as configuration
from daemon import main as daemon
from daemon.listener import ListenError
from daemon.store import KeyMissing, StoreError
from supervisors import faults

_log = structlog.get_logger(__name__)


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line; the manual is made of it."""
    made = argparse.ArgumentParser(
        prog="wasupd", description="Keeps WhatsApp Web sessions alive. SIGTERM stops it, SIGHUP reloads."
    )
    made.add_argument(
        "--config", type=Path, metavar="FILE", help="default: $WASUP_CONFIG, /etc/wasup/config.toml"
    )
    made.add_argument("--check", action="store_true", help="check the configuration and exit")
    made.add_argument(
        "--new-key", type=Path, metavar="FILE", help="make a new file with a key ([encryption]) and exit"
    )
    made.add_argument("--version", action="version", version=f"wasupd {__version__}")
    return made


def main() -> int:
    """Run the daemon in the foreground; return its exit status.

    0: stopped in order. 1: it could not start or go on; standard error says why. 78: the configuration is
    refused (EX_CONFIG), its key file, or a key that the store needs is not in it.
    """
    arguments = parser().parse_args()
    if arguments.new_key is not None:
        return _new_key(arguments.new_key)
    try:
        config = configuration.load(arguments.config, os.environ)
        if arguments.check:
            keyfile.load(config.encryption.key_file, os.environ)
    except configuration.ConfigError as error:
        _complain(error)
        return configuration.EXIT_CODE
    if arguments.check:
        print(f"{config.file or 'built-in defaults'}: good")
        return 0
    logs.configure(config.log.level, config.log.format)
    if order := os.environ.get(faults.VARIABLE):
        faults.arm(order)
        _log.warning("crash_armed", point=order)
    faulthandler.enable()  # so that the watchdog's SIGABRT shows where the daemon hangs
    gc.freeze()  # what was imported stays: no collection need look through it, which takes 9 ms each time
    os.umask(0o077)
    try:
        trio.run(daemon.run, config)
    except (configuration.ConfigError, KeyMissing) as error:
        _complain(error)
        return configuration.EXIT_CODE
    except (ListenError, StoreError) as error:
        _complain(error)
        return 1
    return 0


def _complain(error: Exception) -> None:
    grave = "<3>" if journald.is_behind(sys.stderr) else ""  # sd-daemon(3)
    print(f"{grave}wasupd: {error}", file=sys.stderr)


def _new_key(path: Path) -> int:
    try:
        key = keyfile.create(path)
    except OSError as error:
        print(f"wasupd: {path}: no key is written there: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{path}: a new key, {key.id.hex()}. Keep a copy of it elsewhere: nothing is read without it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
