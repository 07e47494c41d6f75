"""selenium and chromedriver do the same start: `python -m benchmarks.peers.driver CHROMEDRIVER HOW`.

Given `floors.browser.Work` as JSON on its standard input; prints `seconds` from the start of chromedriver
to the news. Over WebDriver a page cannot call back: a script that waits in it takes the binding's place.
HOW is

- `code` or `connected`: what a program with selenium and wa-js does, which waits in the page, by wa-js' own
  events, for the code or for a connection that wa-js listens to;
- `bridge`: what is injected is the product's, with all that makes it quicker.
"""

import json
import os
import sys
import time

import msgspec
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from benchmarks.floors.browser import Work

_WAITS = {
    "bridge": """
const [words, done] = arguments;
const look = (text) => words.every((word) => text.includes(word)) && done(text);
window.told.forEach(look);
window.tell = look;
""",
    "code": """
const done = arguments[1];
const look = (code) => code && done(code.fullCode);
WPP.on('conn.auth_code_change', look);
if (WPP.isInjected) WPP.conn.getAuthCode().then(look);
""",
    "connected": """
const done = arguments[1];
const look = () => {
  if (WPP.isFullReady && WPP.conn.isAuthenticated() && WPP.conn.getStreamData().mode === 'MAIN') done();
};
for (const event of ['loader.full_ready', 'conn.stream_mode_changed', 'conn.main_ready']) {
  WPP.on(event, () => setTimeout(look));
}
look();
""",
}


def main(path: str, how: str) -> None:
    """Do it, and print the figure."""
    work = msgspec.json.decode(sys.stdin.buffer.read(), type=Work)
    os.environ |= work.environment
    options = ChromeOptions()
    options.binary_location = work.commands[0][0]
    for argument in work.commands[0][1:]:
        if argument.startswith("--") and argument != "--remote-debugging-pipe":
            options.add_argument(argument)
    binding = (
        "window.told = []; window.tell = (text) => window.told.push(text);"
        f"window.{work.binding} = (text) => window.tell(text);"
    )
    begun = time.perf_counter()
    driver = Chrome(options=options, service=ChromeService(path))
    try:
        for source in (binding, work.injection):
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        driver.set_script_timeout(60)
        driver.get(work.url)
        driver.execute_async_script(_WAITS[how], work.until)
        seconds = time.perf_counter() - begun
    finally:
        driver.quit()
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
