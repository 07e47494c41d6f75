"""wasupd with the stand-in for a browser: nothing else of it is different."""

import sys
from pathlib import Path

from daemon.__main__ import main
from supervisors import fleet
from supervisors.chrome.locate import Browser
from tests.stand_in import browser

ROOT = Path(__file__).parents[2]


def programs(directory: Path) -> Path:
    """Write the program of this daemon, and that of its browser, into a directory; return the former."""
    daemon, stand_in = directory / "wasupd", directory / "stand-in"
    daemon.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from tests.stand_in.daemon import run\nsys.exit(run({str(stand_in)!r}))\n"
    )
    stand_in.write_text(f"#!{sys.executable} -IS\n" + Path(browser.__file__).read_text())
    for program in (daemon, stand_in):
        program.chmod(0o755)
    return daemon


def run(stand_in: str) -> int:
    """Run the daemon in the foreground; return its exit status."""

    async def locate(_setting: str) -> Browser:
        return Browser(path=Path(stand_in), version=browser.VERSION, headless_shell=True)

    vars(fleet)["locate"] = locate  # the one thing that is different
    return main()
