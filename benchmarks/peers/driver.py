"""selenium and chromedriver do the same start: `python -m benchmarks.peers.driver CHROMEDRIVER`.

Given `floors.browser.Work` as JSON on its standard input; prints `seconds` from the start of chromedriver
to the news. Over WebDriver a page cannot call back: a script that waits in it takes the binding's place.
"""

import json
import os
import sys
import time

import msgspec
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from benchmarks.floors.browser import Work

_WAIT = """
const [words, done] = arguments;
const look = (text) => words.every((word) => text.includes(word)) && done(text);
window.told.forEach(look);
window.tell = look;
"""


def main(path: str) -> None:
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
        driver.execute_async_script(_WAIT, work.until)
        seconds = time.perf_counter() - begun
    finally:
        driver.quit()
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1])
