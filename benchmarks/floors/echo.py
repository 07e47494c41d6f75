"""A bare trio server of lines: decodes each with msgspec, encodes an answer, sends what has gathered.

`python -m benchmarks.floors.echo SOCKET ANSWER`: ANSWER is the result of all, as JSON.
"""

import contextlib
import os
import sys

import msgspec
import trio


class _Request(msgspec.Struct):
    id: int
    method: str
    params: dict[str, str]


class _Answer(msgspec.Struct):
    jsonrpc: str
    id: int
    result: dict[str, object]


_decode = msgspec.json.Decoder(_Request).decode
_encode = msgspec.json.Encoder().encode


async def main(path: str, result: dict[str, object]) -> None:
    """Serve until killed."""

    async def serve(stream: trio.SocketStream) -> None:
        rest = b""
        with contextlib.suppress(trio.BrokenResourceError):
            while data := await stream.receive_some():
                *lines, rest = (rest + data).split(b"\n")
                answers = [_encode(_Answer("2.0", _decode(line).id, result)) for line in lines]
                if answers:
                    await stream.send_all(b"\n".join(answers) + b"\n")

    with trio.socket.socket(trio.socket.AF_UNIX) as sock:
        await sock.bind(path)
        sock.listen(100)
        os.write(2, b"ready\n")
        await trio.serve_listeners(serve, [trio.SocketListener(sock)])


if __name__ == "__main__":
    trio.run(main, sys.argv[1], msgspec.json.decode(sys.argv[2]))
