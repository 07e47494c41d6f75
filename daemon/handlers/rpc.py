"""rpc.*: the channel about itself."""

from functools import cache

import msgspec

from daemon.dispatch import Call
from daemon.service import Service
from protocol import openrpc
from protocol.models import NoParams


def discover(service: Service, _call: Call, _params: NoParams) -> msgspec.Raw:
    return _document(service.version)


@cache
def _document(version: str) -> msgspec.Raw:
    """Return the document as JSON: while it is being made nobody else has a turn, so it is made once."""
    return msgspec.Raw(msgspec.json.encode(openrpc.document(version)))
