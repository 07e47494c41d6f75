"""What a page tells of the time while nobody listened: the real bridge on a library of the test's own."""

from pathlib import Path

import pytest
import trio

from supervisors.whatsapp import news
from supervisors.whatsapp.library import Library
from supervisors.whatsapp.page import Failure

from .bridged import bridged

# Three chats; the second is gone when it is asked for its messages.
LIBRARY = """
const key = (chat) => ({ id: '3EB0', remote: `${chat}@c.us`, toString: () => `false_${chat}@c.us_3EB0` });
window.WPP = {
  on() {},
  conn: {},
  chat: {
    getMessages: async (chat) => {
      if (chat === '2') throw new Error('chat_not_found');
      return [{ id: key(chat), t: 1500, type: 'chat', body: `from ${chat}` }];
    },
  },
  whatsapp: {
    ChatStore: { getModelsArray: () => ['1', '2', '3'].map((id) => ({ id, t: 1500 })) },
    functions: { unixTime: () => 2000 },
  },
};
"""


@pytest.mark.chrome
async def test_a_chat_that_cannot_be_read_hides_none_of_the_others(tmp_path: Path) -> None:
    """It is not caught up with, and is asked again."""
    texts: list[str | None] = []
    both = trio.Event()
    async with bridged(tmp_path, Library(tmp_path, LIBRARY)) as (tab, page):
        with page.news() as told, trio.fail_after(30):
            async with trio.open_nursery() as nursery:

                async def listen() -> None:
                    async for item in told:
                        if isinstance(item, news.Message):
                            texts.append(item.message.text)
                            if len(texts) == 2:
                                both.set()

                nursery.start_soon(listen)
                await tab.navigate("data:text/html,page")
                answer = await page.catch_up(1000)
                await both.wait()
                nursery.cancel_scope.cancel()
    assert texts == ["from 1", "from 3"]
    assert isinstance(answer, Failure)
    assert answer.message == "chat_not_found"
