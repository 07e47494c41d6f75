"""The control API over its socket, and what a person sees at the command line; no browser."""

import io
import json
import ssl
from functools import partial
from pathlib import Path

import pytest
import segno
import trio

from tests.simulator import Config, Simulator, SimulatorError, serve
from tests.simulator.__main__ import main
from tests.simulator.client import Client
from tests.simulator.phone import read_code
from tests.simulator.sink import Call, identify
from tests.simulator_tests.conftest import ADA, ALICE


async def test_the_client_does_what_a_person_asks(sim: Simulator) -> None:
    def talk() -> None:
        with Client(sim.control_path) as client:
            assert client.receive(ALICE, ADA, "hello")["chat"] == "4915110000001@c.us"
            assert client.write(ALICE, ADA, "hi")["fromMe"]
            assert client.read(ALICE, ADA) == 1
            assert [m["text"] for m in client.messages(ALICE)] == ["hello", "hi"]
            assert [d["text"] for d in client.ledger(ALICE)["deliveries"]] == ["hi"]
            client.offline(ALICE)
            assert client.accounts()[0]["offline"]
            client.online(ALICE)
            assert client.unlink(ALICE) == []

    await trio.to_thread.run_sync(talk)


async def test_mistakes_are_answered_in_words(sim: Simulator) -> None:
    def talk() -> None:
        with Client(sim.control_path) as client:
            with pytest.raises(SimulatorError, match="one of: info, accounts"):
                client.call("recieve")
            with pytest.raises(SimulatorError, match="receive needs 'text'"):
                client.call("receive", phone=ALICE, **{"from": ADA})
            with pytest.raises(SimulatorError, match="not a phone number"):
                client.receive("Alice", ADA, "hi")
            with pytest.raises(SimulatorError, match="no group"):
                client.receive(ALICE, ADA, "hi", group="1@g.us")
            with pytest.raises(SimulatorError, match="not a WhatsApp code"):
                client.scan(ALICE, "hello")
            with pytest.raises(SimulatorError, match="not issued by this simulator"):
                client.scan(ALICE, "2@x,a,b,c")
            with pytest.raises(SimulatorError, match="not a picture"):
                client.scan_image(ALICE, b"GIF?")
            with pytest.raises(SimulatorError, match="no page of"):
                client.call("state", phone=ALICE, state="CONFLICT")

    await trio.to_thread.run_sync(talk)


async def test_the_command_line(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    control = ["--control", str(sim.control_path)]
    run = partial(trio.to_thread.run_sync, main)
    assert await run([*control, "receive", "--phone", ALICE, "--from", ADA, "--text", "hello"]) == 0
    assert await run([*control, "messages", "--phone", ALICE]) == 0
    assert await run([*control, "write", "--phone", ALICE, "--to", "+4915100000000", "--text", "x"]) == 1
    out, err = capsys.readouterr()
    assert "← 4915110000001@c.us  hello" in out
    assert err == "simulator: +4915100000000 is not on WhatsApp\n"


async def test_what_people_do_at_the_command_line(
    sim: Simulator, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    control = ["--control", str(sim.control_path)]
    phone = sim.phone(ALICE)
    group = phone.add_group("Lab", [ADA])
    (picture := tmp_path / "a.png").write_bytes(b"PNG")

    async def run(verb: str, *arguments: str, status: int = 0) -> str:
        line = [*control, verb, "--phone", ALICE, *arguments]
        assert await trio.to_thread.run_sync(main, line) == status
        return capsys.readouterr().out

    assert "received in 4915110000001@c.us" in await run("file", "--from", ADA, "--file", str(picture))
    received = phone.messages[-1]
    assert (received.kind, received.message.content["filename"]) == ("image", "a.png")
    await run("media", "--id", received.id, "--to", str(tmp_path / "b.png"))
    assert (tmp_path / "b.png").read_bytes() == b"PNG"
    await run("location", "--from", ADA, "--lat", "52.5", "--lng", "13.4")
    await run("card", "--from", ADA, "--name", "Bob", "--number", "+4915110000003", "--group", group)
    await run("react", "--from", ADA, "--id", received.id, "--emoji", "👍")
    assert received.reactions == {ADA: "👍"}
    await run("poll", "--from", ADA, "--question", "Tea?", "--options", "yes", "no")
    poll = phone.messages[-1]
    await run("vote", "--from", ADA, "--id", poll.id, "--options", "yes")
    assert poll.votes == {ADA: ("yes",)}
    phone.receive(ADA, "helo")
    await run("edit", "--from", ADA, "--id", phone.messages[-1].id, "--text", "hello")
    assert phone.messages[-1].text == "hello"
    await run("revoke", "--from", ADA, "--id", phone.messages[-1].id)
    assert phone.messages[-1].revoked
    await run("change-group", "--group", group, "--action", "add", "--participants", "+4915110000002")
    assert len(sim.world.groups[group].participants) == 3
    await run("change-group", "--group", group, "--action", "subject", "--subject", "Laboratory")
    assert sim.world.groups[group].subject == "Laboratory"
    await run("arrange", "--chat", ADA, "--pinned")
    await run("fail-sends", "--times", "2")
    assert list(phone.account.send_errors) == ["No sessions", "No sessions"]
    assert await trio.to_thread.run_sync(main, [*control, "link-codes", "--what", "refresh"]) == 0
    await run("presence", "--from", ADA, "--state", "composing", status=1)
    await run("call", "--from", ADA, "--video", status=1)
    assert "location" in await run("messages")


async def test_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--control", str(tmp_path / "none"), "accounts"]) == 1
    assert "no simulator answers" in capsys.readouterr().err


async def test_a_socket_left_by_a_killed_simulator_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with trio.socket.socket(trio.socket.AF_UNIX) as left:
        await left.bind(str(path))
    async with serve(Config(control_path=path)):
        with pytest.RaisesGroup(
            pytest.RaisesExc(SimulatorError, match="is a simulator running"), flatten_subgroups=True
        ):
            async with serve(Config(control_path=path)):
                pass
    assert not path.exists()


def test_a_code_is_read_from_a_picture() -> None:
    picture = io.BytesIO()
    segno.make("2@abc,d,e,f").save(picture, kind="png", scale=4)
    assert read_code(picture.getvalue()) == "2@abc,d,e,f"
    assert read_code(segno.make("2@abc,d,e,f").png_data_uri(scale=4)) == "2@abc,d,e,f"
    blank = io.BytesIO()
    segno.make("x").save(blank, kind="png", scale=1, border=0, dark="white")
    with pytest.raises(SimulatorError, match="no code"):
        read_code(blank.getvalue())


async def test_the_sink_sees_who_was_called(sim: Simulator) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tcp = await trio.open_tcp_stream("127.0.0.1", sim.sink.port)
    stream = trio.SSLStream(tcp, tls, server_hostname="stranger.example")
    with pytest.raises(trio.BrokenResourceError):
        await stream.do_handshake()
    await tcp.aclose()
    plain = await trio.open_tcp_stream("127.0.0.1", sim.sink.port)
    await plain.send_all(b"GET /x HTTP/1.1\r\nHost: other.example\r\n\r\n")
    assert await plain.receive_some(1) == b""
    await plain.aclose()
    assert sim.strays == [Call("stranger.example", "TLS"), Call("other.example", "GET /x HTTP/1.1")]
    assert identify(b"\x16\x03") == Call("", "TLS")


async def test_the_server_serves_its_files_and_no_others(sim: Simulator) -> None:
    async def get(path: str) -> bytes:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        tcp = await trio.open_tcp_stream("127.0.0.1", sim.port)
        stream = trio.SSLStream(tcp, context, server_hostname="web.whatsapp.com", https_compatible=True)
        await stream.send_all(
            f"GET {path} HTTP/1.1\r\nHost: web.whatsapp.com\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b""
        async for data in stream:
            answer += data
        await tcp.aclose()
        return answer

    index = await get("/")
    assert index.startswith(b"HTTP/1.1 200")
    assert b"content-security-policy: default-src 'none'; script-src 'self'" in index
    assert (await get("/../server.py")).startswith(b"HTTP/1.1 404")
    assert (await get("/static/2.3000.1/boot.js")).startswith(b"HTTP/1.1 200")
    assert (await get("/static/2.3000.1/../../server.py")).startswith(b"HTTP/1.1 404")
    assert {(seen.server_name, seen.host) for seen in sim.requests} == {
        ("web.whatsapp.com", "web.whatsapp.com")
    }


async def test_a_line_that_is_not_json(sim: Simulator) -> None:
    stream = await trio.open_unix_socket(str(sim.control_path))
    async with stream:
        await stream.send_all(b"what?\n")
        assert "not JSON" in json.loads(await stream.receive_some(65536))["error"]
