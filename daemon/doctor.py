"""What could keep sessions from running on this machine: each thing looked at is ok, a warning or an error.

Works with and without a running daemon, reads much and changes nothing. Each check stands for itself: one
that fails unexpectedly is an error of its own.
"""

import ctypes
import os
import shutil
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, Literal

import attrs
import httpx
import psutil
import trio

from daemon.config import Config
from daemon.handlers.daemon import LOW_BYTES
from supervisors.browsers import LEAST_FREE_BYTES
from supervisors.chrome import sandbox
from supervisors.chrome.errors import BrowserUnavailable
from supervisors.chrome.locate import locate
from supervisors.chrome.profile import find_owned_profiles
from supervisors.whatsapp import library
from supervisors.whatsapp.pages import PageNotStored, Pages

Status = Literal["ok", "warning", "error"]

CGROUPS: Final = Path("/sys/fs/cgroup")
FONTS: Final = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")
_LOW_MEMORY_BYTES: Final = 2**30
_LEAST_MEMORY_BYTES: Final = 256 * 2**20
_NETWORK_S: Final = 10.0
_SKEW_S: Final = 60
_TOO_SKEWED_S: Final = 300
_FEW_FILES: Final = 10_000
_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised
_MOST_NAMED: Final = 5


@attrs.frozen
class Check:
    """What was found of one thing; `action` says what to do, where there is something to do."""

    name: str
    status: Status
    message: str
    action: str | None = None


@attrs.frozen(kw_only=True)
class Patient:
    """What is looked at: a configuration, and what the daemon told, if one runs.

    `state_dir` is the daemon's own where that is known. `health` and `sessions` (ids) are None without one.
    """

    config: Config
    state_dir: Path
    health: Mapping[str, Any] | None = None
    sessions: frozenset[str] | None = None

    @property
    def uid(self) -> int:
        """Whom the daemon runs as, as far as its directory tells."""
        try:
            return self.state_dir.stat().st_uid
        except OSError:
            return os.geteuid()


async def examine(patient: Patient) -> list[Check]:
    """Make every check, one after the other."""
    found: list[Check] = []
    for name, check in _CHECKS.items():
        try:
            found += [attrs.evolve(one, name=name) for one in await check(patient)]
        except Exception as error:  # noqa: BLE001  # the others are still worth making
            found.append(Check(name, "error", f"The check itself failed: {error!r}", "Please report it."))
    return found


def worst(checks: list[Check]) -> Status:
    """Return the gravest status."""
    statuses = {check.status for check in checks}
    return "error" if "error" in statuses else "warning" if "warning" in statuses else "ok"


def _ok(message: str) -> list[Check]:
    return [Check("", "ok", message)]


def _warning(message: str, action: str) -> list[Check]:
    return [Check("", "warning", message, action)]


def _error(message: str, action: str) -> list[Check]:
    return [Check("", "error", message, action)]


async def _daemon(patient: Patient) -> list[Check]:
    if patient.health is None:
        return _warning("No daemon answers.", "`wasupctl health` says which sockets were tried.")
    problems = patient.health.get("problems", ())
    if not problems:
        return _ok(f"It runs, version {patient.health['version']}.")
    return [
        Check("", "warning", f"{each['code']}: {each['message']}", each.get("action")) for each in problems
    ]


async def _browser(patient: Patient) -> list[Check]:
    settings = patient.config.supervisor.browser
    if settings.endpoint:
        return _ok("It runs elsewhere, at [browser] endpoint; not looked at.")
    try:
        found = await locate(settings.path, fetch=False)
    except BrowserUnavailable as error:
        return _error(error.reason, error.action)
    return _ok(f"{found.path}, version {found.version}.")


async def _sandbox(patient: Patient) -> list[Check]:
    settings = patient.config.supervisor.browser
    if settings.endpoint:
        return _ok("A matter of the browser that runs elsewhere.")
    if settings.sandbox is False:
        return _warning("It is off by configuration.", 'Set [browser] sandbox = "auto".')
    if patient.uid == 0:
        report = _error if settings.sandbox is True else _warning
        return report(
            "Chrome has no sandbox as root.", "Run the daemon as an ordinary user, as its unit does."
        )
    try:
        browser = await locate(settings.path, fetch=False)
        sandbox.decide(settings.sandbox, browser, uid=patient.uid)
    except BrowserUnavailable as error:
        return _error(error.reason, error.action)
    return _ok("It can be had, as far as the kernel tells; Chrome has the last word when it starts.")


async def _namespaces(_patient: Patient) -> list[Check]:
    kernel = sandbox.read_kernel()
    if kernel.max_user_namespaces == 0:
        return _error("user.max_user_namespaces is 0.", "sysctl user.max_user_namespaces=10000")
    if kernel.unprivileged_userns_clone == 0:
        return _error("kernel.unprivileged_userns_clone is 0.", "sysctl kernel.unprivileged_userns_clone=1")
    if kernel.apparmor_restricts:
        return _warning(
            "AppArmor lets only programs with a profile have user namespaces.",
            "The browser needs a profile with `userns,`; distributions' own packages bring one.",
        )
    return _ok("Ordinary users may create them.")


async def _cgroup(_patient: Patient) -> list[Check]:
    try:
        controllers = (CGROUPS / "cgroup.controllers").read_text().split()
    except OSError:
        return _warning(
            "There is no unified cgroup hierarchy (v2).",
            "Sessions run without: the kernel does not tell their memory apart, the daemon alone watches it.",
        )
    if "memory" not in controllers:
        return _warning(
            "cgroup v2 lacks the memory controller.",
            "[browser] memory_limit is watched by the daemon alone: a page that grows fast is seen late.",
        )
    return _ok(f"v2, with {', '.join(controllers)}.")


async def _memory(patient: Patient) -> list[Check]:
    available = psutil.virtual_memory().available
    message = f"{available // 2**20} MiB are available."
    action = "Stop what is not needed, add memory, or run fewer sessions."
    if available < _LEAST_MEMORY_BYTES:
        return _error(message, action)
    return _warning(message, action) if available < _LOW_MEMORY_BYTES else _ok(message)


async def _disk(patient: Patient) -> list[Check]:
    place = _nearest(patient.state_dir)
    free, files = shutil.disk_usage(place).free, os.statvfs(place)
    message = f"{free // 2**20} MiB are free where {patient.state_dir} is."
    action = "Free space, or move the state directory to a larger disk."
    if free < LEAST_FREE_BYTES:
        return _error(message, action)
    if free < LOW_BYTES:
        return _warning(message, action)
    if files.f_files and files.f_favail < _FEW_FILES:
        return _warning(f"{files.f_favail} more files are possible there.", action)
    return _ok(message)


def _nearest(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


async def _clock(patient: Patient) -> list[Check]:
    action = "Let systemd-timesyncd, chrony or ntpd keep the clock: certificates and receipts go by it."
    async with httpx.AsyncClient(timeout=_NETWORK_S) as client:
        try:
            answer = await client.head(patient.config.supervisor.whatsapp.url)
            theirs = parsedate_to_datetime(answer.headers["date"])
        except (httpx.HTTPError, KeyError, ValueError):
            pass
        else:
            skew = abs((datetime.now(UTC) - theirs).total_seconds())
            if skew > _SKEW_S:
                report = _error if skew > _TOO_SKEWED_S else _warning
                return report(f"It is {skew:.0f} s away from that of WhatsApp's server.", action)
            return _ok("It agrees with WhatsApp's server.")
    # Read only (modes 0); a struct timex is smaller than this (adjtimex(2)).
    if ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024)) == _TIME_ERROR:
        return _warning("The kernel says that nobody synchronises it.", action)
    return _ok(f"It says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, and is synchronised.")


async def _fonts(_patient: Patient) -> list[Check]:
    if await trio.to_thread.run_sync(_has_fonts):
        return _ok("There are some.")
    return _warning(
        "None were found.", "Install some (Debian: fonts-liberation): screenshots show boxes without."
    )


def _has_fonts() -> bool:
    return any(found for place in FONTS for found in Path(place).expanduser().rglob("*.[ot]t[fc]"))


async def _page_library(patient: Patient) -> list[Check]:
    try:
        found = library.load(patient.config.supervisor.whatsapp.page_library)
    except library.LibraryMissingError as error:
        return _error(str(error), error.action)
    return _ok(f"{library.NAME} {found.version}, {found.path}.")


async def _page(patient: Patient) -> list[Check]:
    try:
        pages = Pages(patient.state_dir / "pages")
        await pages.check()
    except PermissionError as error:
        return _warning(
            f"{error.filename} may not be looked into.", "Run wasupctl doctor as root, or as its user."
        )
    except PageNotStored as error:
        return _error(
            f"The page that sessions are to have: {error}.",
            "`wasupctl page update SESSION`, or `wasupctl page use latest`.",
        )
    return _ok("The newest, each time." if pages.pinned is None else f"Kept at version {pages.pinned}.")


async def _network(patient: Patient) -> list[Check]:
    url = patient.config.supervisor.whatsapp.url
    async with httpx.AsyncClient(timeout=_NETWORK_S) as client:
        try:
            answer = await client.head(url)
        except httpx.HTTPError as error:
            return _error(
                f"{url} cannot be reached: {error or type(error).__name__}",
                "Look at name resolution, routes, firewall and proxy; sessions need this host over HTTPS.",
            )
    if answer.is_server_error:
        return _warning(f"{url} answers {answer.status_code}.", "Wait: the fault is theirs, or a proxy's.")
    return _ok(f"{url} answers.")


async def _permissions(patient: Patient) -> list[Check]:
    if not patient.state_dir.exists():
        return _ok(f"{patient.state_dir} does not exist yet; the daemon makes it.")
    try:
        wrong = [*_too_open(patient.state_dir, patient.uid)]
    except PermissionError as error:
        return _warning(
            f"{error.filename} may not be looked into.",
            "Run wasupctl doctor as root, or as the daemon's user.",
        )
    if wrong:
        named = ", ".join(map(str, wrong[:_MOST_NAMED]))
        more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        return _error(
            f"Others may read, or own, {named}{more}.",
            f"chmod -R go= {patient.state_dir}; its owner must be the daemon's user alone.",
        )
    config = patient.config
    if config.file is not None and config.webhooks.secret and config.file.stat().st_mode & stat.S_IROTH:
        return _warning(
            f"{config.file} holds a secret, and everybody may read it.", f"chmod o= {config.file}"
        )
    return _ok(f"{patient.state_dir} is its owner's alone.")


def _too_open(state_dir: Path, uid: int) -> Iterator[Path]:
    """Yield what others than the user may get at. What Chrome has in its profiles lies behind a 0700."""
    looked_at = [state_dir, *state_dir.glob("*"), *state_dir.glob("*/*"), *state_dir.glob("sessions/*/*")]
    os.listdir(state_dir)  # noqa: PTH208  glob keeps quiet about what it may not read
    for path in looked_at:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or (stat.S_ISSOCK(found.st_mode) and path.parent == state_dir):
            continue
        if found.st_uid != uid or found.st_mode & 0o077:
            yield path


async def _leftovers(patient: Patient) -> list[Check]:
    sessions_dir = patient.state_dir / "sessions"
    if patient.health is None:
        pids = [owner.process.pid for each in find_owned_profiles(sessions_dir).values() for owner in each]
        if pids:
            return _warning(
                f"Browsers of sessions run without a daemon: {', '.join(map(str, pids))}.",
                "The daemon ends them when it starts.",
            )
        socket = patient.config.rpc.socket
        if socket.exists():
            return _warning(f"{socket} is there, no daemon behind it.", "The next daemon replaces it.")
    elif patient.sessions is not None and os.access(sessions_dir, os.R_OK):
        strangers = sorted({path.name for path in sessions_dir.glob("[!.]*")} - patient.sessions)
        if strangers:
            return _warning(
                f"Directories of no session in {sessions_dir}: {', '.join(strangers[:_MOST_NAMED])}.",
                "Look into them; a session that is created with such an id begins with an empty one.",
            )
    return _ok("None.")


_CHECKS: Final[Mapping[str, Callable[[Patient], Awaitable[list[Check]]]]] = {
    "daemon": _daemon,
    "browser": _browser,
    "sandbox": _sandbox,
    "user namespaces": _namespaces,
    "cgroup": _cgroup,
    "memory": _memory,
    "disk": _disk,
    "clock": _clock,
    "fonts": _fonts,
    "page library": _page_library,
    "page": _page,
    "network": _network,
    "permissions": _permissions,
    "leftovers": _leftovers,
}


def run(patient: Patient) -> list[Check]:
    """As `examine`, for those without an event loop."""
    return trio.run(examine, patient)
