"""rpc.*: the channel about itself."""

from typing import Any

from daemon.dispatch import Call
from daemon.service import Service
from protocol import openrpc
from protocol.models import NoParams


def discover(service: Service, _call: Call, _params: NoParams) -> dict[str, Any]:
    return openrpc.document(service.version)
