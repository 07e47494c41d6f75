"""The error table is PROTOCOL's, and an error survives the way over the channel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ERRORS, RpcError

TABLE = {
    "PARSE_ERROR": (-32700, 400),
    "INVALID_REQUEST": (-32600, 400),
    "METHOD_NOT_FOUND": (-32601, 404),
    "INVALID_PARAMS": (-32602, 400),
    "INTERNAL_ERROR": (-32603, 500),
    "SESSION_NOT_FOUND": (-32001, 404),
    "SESSION_EXISTS": (-32002, 409),
    "SESSION_BUSY": (-32003, 409),
    "SESSION_ALREADY_STARTED": (-32004, 409),
    "SESSION_NOT_STARTED": (-32005, 400),
    "SESSION_NOT_CONNECTED": (-32006, 400),
    "SESSION_LIMIT": (-32007, 403),
    "QR_NOT_AVAILABLE": (-32010, 400),
    "QR_CODE_EXPIRED": (-32011, 400),
    "AUTH_EXPIRED": (-32012, 401),
    "PHONE_NUMBER_IN_USE": (-32013, 409),
    "RESTART_LIMIT_EXCEEDED": (-32014, 503),
    "BROWSER_UNAVAILABLE": (-32015, 503),
    "PAGE_TIMEOUT": (-32016, 504),
    "PAGE_ERROR": (-32017, 502),
    "MESSAGE_NOT_FOUND": (-32020, 404),
    "RECIPIENT_NOT_FOUND": (-32021, 404),
    "NO_ENCRYPTION_SESSION": (-32022, 502),
    "MEDIA_TOO_LARGE": (-32023, 413),
    "RATE_LIMITED": (-32024, 429),
    "QUEUE_FULL": (-32025, 429),
    "IDEMPOTENCY_CONFLICT": (-32026, 409),
    "TOO_MANY_CONNECTIONS": (-32027, 429),
    "OUTCOME_UNKNOWN": (-32028, 502),
    "FORBIDDEN": (-32030, 403),
    "CURSOR_EXPIRED": (-32031, 410),
    "WEBHOOK_NOT_FOUND": (-32032, 404),
    "PAGE_NOT_STORED": (-32033, 404),
    "STORE_FULL": (-32040, 507),
    "SHUTTING_DOWN": (-32050, 503),
}


def test_the_table_is_the_protocols() -> None:
    assert {spec.code: (spec.number, spec.status) for spec in ERRORS.values()} == TABLE
    assert all(code == spec.code and spec.message for code, spec in ERRORS.items())
    assert len({spec.number for spec in ERRORS.values()}) == len(ERRORS)


def test_the_busy_session_says_what_clients_look_for() -> None:
    assert RpcError("SESSION_BUSY").message == "Session creation already in progress"


def test_the_wire_has_number_message_word_status_and_details() -> None:
    assert RpcError("SESSION_NOT_CONNECTED", currentStatus="connecting").to_wire() == {
        "code": -32006,
        "message": "The session is not connected to WhatsApp",
        "data": {
            "code": "SESSION_NOT_CONNECTED",
            "status": 400,
            "details": {
                "action": "Wait until it is connected (session.wait), or link it: session.qr.",
                "currentStatus": "connecting",
            },
        },
    }


def test_what_the_caller_gives_goes_before_the_table() -> None:
    error = RpcError("STORE_FULL", "No space", action="Delete something", message="m", code=1)
    assert error.message == "No space"
    assert error.details == {"action": "Delete something", "message": "m", "code": 1}
    assert str(error) == "No space (STORE_FULL)"


def test_an_unknown_code_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        RpcError("NO_SUCH_CODE")


@given(
    code=st.sampled_from(sorted(ERRORS)), message=st.text(), details=st.dictionaries(st.text(), st.integers())
)
def test_an_error_survives_the_wire(code: str, message: str, details: dict[str, int]) -> None:
    wire = RpcError(code, message, **details).to_wire()
    assert RpcError.from_wire(wire).to_wire() == wire


def test_a_code_of_a_later_version_is_kept() -> None:
    wire = {"code": -32099, "message": "New", "data": {"code": "NEW", "status": 418, "details": {"a": 1}}}
    assert RpcError.from_wire(wire).to_wire() == wire


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.dictionaries(
            st.sampled_from(["code", "message", "data", "status", "details"]), inner
        ),
    )
)
def test_no_answer_is_too_odd_to_be_an_error(wire: object) -> None:
    assert isinstance(str(RpcError.from_wire(wire)), str)
