"""Codes, scanning, logging in, restoring, logging out: a real Chrome with the real wa-js."""

import base64
from pathlib import Path

import pytest
import trio

from tests.simulator import Config, Simulator, SimulatorError
from tests.simulator_tests.browser import browser
from tests.simulator_tests.conftest import ADA, ALICE

pytestmark = pytest.mark.chrome

BOB = "+491701234568"
KINDS = pytest.mark.parametrize("kind", ["shell", "new"])


@KINDS
async def test_scan_then_restore_after_a_kill(sim: Simulator, profile: Path, kind: str) -> None:
    phone = sim.phone(ALICE, "Alice")
    with trio.fail_after(60):
        async with browser(sim, profile, kind) as page:
            device = await phone.scan(await page.code())
            await page.main()
            names = [name for name, _, _ in page.history]
            assert names.index("conn.main_ready") < names.index("conn.authenticated")
            assert await page.evaluate("WPP.conn.getMyUserWid().toString()") == phone.wid
            assert await page.evaluate("WPP.conn.getMyUserId()._serialized") == phone.wid
            assert await page.wpp("conn.getPlatform") == "android"
            assert phone.account.devices[device].name == "wasup"
        assert phone.linked == [device]
        await phone.wait_for(lambda p: not p.connected)
        async with browser(sim, profile, kind) as page:
            await page.main()
            assert await page.wpp("conn.isRegistered")
            assert await page.wpp("conn.getAuthCode") is None
            seen = {name for name, _, _ in page.history}
            assert "conn.authenticated" not in seen
            assert "conn.require_auth" not in seen
            assert "loader.FullReady" in seen
        assert phone.linked == [device]


async def test_a_version_that_the_library_supports(sim: Simulator, profile: Path) -> None:
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await page.code()
            assert await page.evaluate("WPP.version") == "4.6.0"
            version = await page.evaluate("WPP.conn.getBuildConstants().VERSION_STR")
            least = (
                (await page.evaluate("WPP.supportedWhatsappWeb")).removeprefix(">=").removesuffix("-alpha")
            )
            assert [int(part) for part in version.split(".")] >= [int(part) for part in least.split(".")]
            assert await page.evaluate("WPP.conn.isMultiDevice()")
            assert await page.wpp("conn.getStreamData") == {"mode": "QR", "info": "NORMAL"}
            await page.event("loader.FullReady")
        errors = [line for line in page.console if not line.startswith(("log", "info", "debug"))]
        assert errors == []


async def test_scan_a_screenshot(sim: Simulator, profile: Path) -> None:
    phone = sim.phone(ALICE)
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await page.code()
            await page.evaluate(
                "new Promise(done => { const look = () => document.querySelector('canvas') ? done() : "
                "requestAnimationFrame(look); look(); })"
            )
            picture = (await page.call("Page.captureScreenshot"))["data"]
            await phone.scan_image(base64.b64decode(picture))
            await page.main()


class TestRotation:
    @pytest.fixture
    def config(self) -> Config:
        return Config(codes=3, first_code_s=3600, next_code_s=3600)

    async def test_codes_come_and_go(self, sim: Simulator, profile: Path) -> None:
        phone = sim.phone(ALICE)
        with trio.fail_after(30):
            async with browser(sim, profile) as page:
                first = await page.code()
                sim.turn_codes()
                second = await page.code()
                assert second.split(",")[1:] == first.split(",")[1:]
                with pytest.raises(SimulatorError, match="has expired"):
                    await phone.scan(first)
                with pytest.raises(SimulatorError, match="mangled"):
                    await phone.scan(second[:-2] + "x=")
                sim.turn_codes()
                third = await page.code()
                sim.turn_codes()
                await page.event("conn.qrcode_idle")
                assert await page.wpp("conn.isIdle")
                assert await page.wpp("conn.getAuthCode") is None
                with pytest.raises(SimulatorError, match="has expired"):
                    await phone.scan(third)
                again = await page.wpp("conn.refreshQR")
                assert again["fullCode"] not in (first, second, third)
                await phone.scan(again["fullCode"])
                await page.main()

    async def test_they_turn_by_themselves(self, profile: Path) -> None:
        from tests.simulator import serve

        with trio.fail_after(30):
            async with (
                serve(Config(codes=2, first_code_s=2, next_code_s=0.2)) as sim,
                browser(sim, profile) as page,
            ):
                assert await page.code() != await page.code()
                await page.event("conn.qrcode_idle")


async def test_link_by_phone_number(sim: Simulator, profile: Path) -> None:
    phone = sim.phone(ALICE)
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await page.event("conn.main_ready")
            code = await page.wpp("conn.startLinkDeviceCodeForPhoneNumber", ALICE.removeprefix("+"))
            assert len(code) == 8
            with pytest.raises(SimulatorError, match="no page shows"):
                await phone.enter_code("AAAAAAAA")
            await phone.enter_code(f"{code[:4]}-{code[4:]}")
            await page.main()


async def test_unlinked_by_the_phone(sim: Simulator, profile: Path) -> None:
    phone = sim.phone(ALICE)
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            first = await page.code()
            await phone.scan(first)
            await page.main()
            phone.receive(ADA, "for those who are linked")
            await page.event("chat.new_message")
            phone.unlink()
            assert await page.event("conn.logout_reason") == "unknown_companion"
            await page.event("conn.logout")
            await page.event("document")
            code = await page.code()
            assert code.split(",")[1] != first.split(",")[1]
            assert await page.evaluate("WPP.whatsapp.MsgStore.length") == 0
            assert phone.linked == []


async def test_unlinked_while_away(sim: Simulator, profile: Path) -> None:
    phone = sim.phone(ALICE)
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await phone.scan(await page.code())
            await page.main()
        phone.unlink()
        async with browser(sim, profile) as page:
            await page.code()


async def test_logged_out_by_the_page(sim: Simulator, profile: Path) -> None:
    phone = sim.phone(ALICE)
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await phone.scan(await page.code())
            await page.main()
            assert await page.wpp("conn.logout") is True
            assert phone.linked == []
            await page.event("document")
            await phone.scan(await page.code())
            await page.main()


async def test_two_accounts_write_to_one_another(sim: Simulator, tmp_path: Path) -> None:
    alice, bob = sim.phone(ALICE, "Alice"), sim.phone(BOB, "Bob")
    with trio.fail_after(60):
        async with browser(sim, tmp_path / "a") as first, browser(sim, tmp_path / "b") as second:
            await alice.scan(await first.code())
            await bob.scan(await second.code())
            await first.main()
            await second.main()
            await first.wpp("chat.sendTextMessage", bob.wid, "hello Bob", {"createChat": True})
            message = await second.event("chat.new_message")
            assert (message["body"], message["from"], message["fromMe"]) == ("hello Bob", alice.wid, False)
            await second.wpp("chat.markIsRead", alice.wid)
            await first.event("chat.msg_ack_change", ack=3)
            assert [m.text for m in bob.messages] == ["hello Bob"]


@KINDS
async def test_a_page_opened_twice_is_a_conflict(sim: Simulator, profile: Path, kind: str) -> None:
    phone = sim.phone(ALICE)
    with trio.fail_after(60):
        async with browser(sim, profile, kind) as page:
            await phone.scan(await page.code())
            await page.main()
            await page.call("Target.createTarget", url=sim.url)
            await page.event_equal("socket", "CONFLICT")
            assert await page.evaluate("WPP.conn.getStreamData().mode") == "CONFLICT"
            await page.evaluate("WPP.whatsapp.Socket.takeover()")
            await page.main()
