"""Finding a browser behind links and wrapper scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from supervisors.chrome import locate as module
from supervisors.chrome.errors import BrowserUnavailable
from supervisors.chrome.locate import locate

FAKE = b"\x7fELF"


def program(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o755)
    return path


def test_debians_wrappers_are_followed(tmp_path: Path) -> None:
    real = program(tmp_path / "lib/chromium/chromium", FAKE)
    script = f'#!/bin/sh\nAPPNAME=chromium\nLIBDIR={tmp_path}/lib/$APPNAME\nexec $LIBDIR/$APPNAME "$@"\n'
    assert module._resolve(program(tmp_path / "bin/chromium", script)) == real
    shell = program(tmp_path / "lib/chromium/chromium-headless-shell", FAKE)
    assert module._resolve(program(tmp_path / "bin/x", f'#!/bin/sh -e\n\n{shell} "$@"\n')) == shell


def test_googles_wrapper_and_links_are_followed(tmp_path: Path) -> None:
    real = program(tmp_path / "opt/google/chrome/chrome", FAKE)
    script = '#!/bin/bash\nHERE="`dirname "$CHROME_WRAPPER"`"\nexec -a "$0" "$HERE/chrome" "$@"\n'
    wrapper = program(tmp_path / "opt/google/chrome/google-chrome", script)
    link = tmp_path / "google-chrome"
    link.symlink_to(wrapper)
    assert module._resolve(link) == real


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("script", "#!/bin/sh\nexec something-else\n", "nor a wrapper script"),
        ("text", "hello", "not a browser binary"),
        ("snap", FAKE, "is a snap"),
        ("loop", "#!/bin/sh\nexec /x/loop\n", "not a browser"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, name: str, content: bytes | str, words: str) -> None:
    with pytest.raises(BrowserUnavailable, match=words):
        module._resolve(program(tmp_path / name, content))


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrowserUnavailable, match="No such file"):
        module._resolve(tmp_path / "none")


async def test_another_program_is_refused() -> None:
    with pytest.raises(BrowserUnavailable, match="not a working Chrome"):
        await locate("/bin/ls")


async def test_a_program_that_hangs_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "VERSION_TIMEOUT_S", 0.1)
    monkeypatch.setattr(module, "_resolve", lambda path: path)
    path = program(tmp_path / "chrome", "#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(BrowserUnavailable, match="gave no answer"), trio.fail_after(10):
        await locate(str(path))


async def test_where_nothing_is_installed_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: object, _arguments: list[str]) -> dict[str, str]:
        raise OSError("no network")

    monkeypatch.setattr(module, "NAMES", ())
    monkeypatch.setattr("selenium.webdriver.common.selenium_manager.SeleniumManager.binary_paths", fail)
    with pytest.raises(BrowserUnavailable, match="no network") as caught:
        await locate("auto")
    assert "apt install" in caught.value.action


@pytest.mark.chrome
async def test_the_installed_browsers_are_found() -> None:
    if not Path("/usr/bin/chromium").exists() or not Path("/usr/bin/chromium-headless-shell").exists():
        pytest.skip("not both are installed")
    auto, full = await locate("auto"), await locate("/usr/bin/chromium")
    assert auto.headless_shell
    assert not full.headless_shell
    assert full.version == auto.version
    assert full.major >= 100
    assert full.path != Path("/usr/bin/chromium")
    assert await locate(str(full.path)) == full
