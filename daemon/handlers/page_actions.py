"""The methods that are one function of the page library each: which one, with what, and what it answers."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
import msgspec

from daemon.dispatch import Call
from daemon.handlers.actions import target
from daemon.media import take
from daemon.service import Service
from protocol import models as m
from protocol.actions import ONCE
from protocol.address import parse_recipient
from protocol.errors import RpcError

_CALL_S: Final = 60.0
_MOST_FILE_BYTES: Final = 16 * 2**20
"""A picture or a video crosses in one piece."""

_UNUSABLE: Final = (
    msgspec.ValidationError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError,
)  # fmt: skip
"""What it raises to look into an answer that is none."""

_INVITE: Final = "https://chat.whatsapp.com/"


@attrs.frozen
class Action:
    """A function of wa-js 4.6.0, below `WPP`.

    `args` makes its arguments of the params and of what they refer to: a message's key, a file as a data URL,
    else nothing. An argument `{"chat": id}` is the id of a chat that is made known to the page first.
    `answer` says what its answer means; `already` is the error that says that there is nothing to do.
    """

    function: str
    args: Callable[[Any, str], list[Any]] = lambda _params, _extra: []
    answer: Callable[[Any], Any] = lambda _answer: m.DoneResult()
    already: str | None = None


def handlers() -> Mapping[str, Callable[..., Any]]:
    """Return the handler of each method of the table."""
    return {name: partial(_act, name) for name in TABLE}


async def _act(name: str, service: Service, _call: Call, params: Any) -> Any:
    """Carry an action out.

    Raises OUTCOME_UNKNOWN where its answer was lost, and doing it again would do it twice.
    """
    action = TABLE[name]
    extra = ""
    if isinstance(params, m.MessageParams):
        page, row = await target(service, params.session_id, params.message_id)
        extra = row.key or ""
    else:
        page = service.session(params.session_id).connected_page()
        extra = await _file(service, params)
    argument = {"name": action.function, "args": action.args(params, extra), "already": action.already}
    answer = await page.ask("act", argument, timeout_s=_CALL_S, once=name in ONCE)
    try:
        return action.answer(answer)
    except _UNUSABLE:
        code = "OUTCOME_UNKNOWN" if name in ONCE else "PAGE_ERROR"
        raise RpcError(code, "The page gave no usable answer") from None


async def _file(service: Service, params: Any) -> str:
    """Return the params' picture or video as a data URL, an empty text where they have none."""
    for kind in ("image", "video"):
        content = getattr(params, kind, None)
        if isinstance(content, m.MediaContent):
            settings = service.config.messages
            most = min(settings.max_media_bytes, _MOST_FILE_BYTES)
            dirs = [Path(directory) for directory in settings.media_dirs]
            file = await take(kind, content, most_bytes=most, dirs=dirs)
            return f"data:{file.mimetype};base64,{base64.b64encode(file.data).decode()}"
    return ""


# -- arguments


def _chat(params: Any, _extra: str) -> list[Any]:
    return [{"chat": parse_recipient(params.chat_id)}]


def _typing(params: m.ChatTypingParams, extra: str) -> list[Any]:
    return [*_chat(params, extra), *([int(params.duration * 1000)] if params.duration else [])]


def _contact(params: m.ContactParams, _extra: str) -> list[Any]:
    return [parse_recipient(params.contact_id)]


def _group(params: Any, _extra: str) -> list[Any]:
    return [params.group_id]


def _people(params: m.GroupParticipantsParams, _extra: str) -> list[Any]:
    return [params.group_id, [parse_recipient(one) for one in params.participants]]


def _property(name: str, field: str) -> Callable[[Any, str], list[Any]]:
    return lambda params, _extra: [params.group_id, name, getattr(params, field)]


def _label(params: Any, _extra: str) -> list[Any]:
    return [params.label_id]


def _labelled(kind: str) -> Callable[[m.LabelChatsParams, str], list[Any]]:
    return lambda params, _extra: [
        [parse_recipient(one) for one in params.chats],
        {"labelId": params.label_id, "type": kind},
    ]


def _channel(params: Any, _extra: str) -> list[Any]:
    return [params.channel_id]


def _given(**values: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in values.items() if value is not None and value is not msgspec.UNSET}


# -- answers


def _added(answer: Mapping[str, Any]) -> tuple[m.AddedParticipant, ...]:
    return tuple(
        m.AddedParticipant(id=id_, code=int(one["code"]) if one.get("code") is not None else None)
        for id_, one in answer.items()
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _invite(code: Any) -> m.InviteLinkResult:
    code = str(code["code"] if isinstance(code, dict) else code).removeprefix(_INVITE)
    return m.InviteLinkResult(code=code, link=_INVITE + code)


def _invite_info(answer: Mapping[str, Any]) -> m.InviteInfoResult:
    return m.InviteInfoResult(
        group_id=str(answer["id"]),
        subject=_text(answer.get("subject")),
        description=_text(answer.get("desc")),
        size=answer.get("size"),
    )


def _requests(answer: list[Mapping[str, Any]]) -> m.MembershipRequestsResult:
    def time(seconds: Any) -> str | None:
        if not isinstance(seconds, int):
            return None
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    found = (m.MembershipRequest(id=str(one["id"]), requested_at=time(one.get("t"))) for one in answer)
    return m.MembershipRequestsResult(requests=tuple(found))


def _one_label(answer: Mapping[str, Any]) -> m.Label:
    color = answer.get("hexColor") or answer.get("color")
    return m.Label(
        id=str(answer["id"]), name=_text(answer.get("name")), color=None if color is None else str(color)
    )


def _one_channel(answer: Mapping[str, Any]) -> m.Channel:
    code = answer.get("inviteCode")
    link = answer.get("inviteLink") or (f"https://whatsapp.com/channel/{code}" if code else None)
    return m.Channel(
        id=str(answer["idJid"]),
        name=_text(answer.get("name")),
        description=_text(answer.get("description")),
        subscribers=answer.get("subscribersCount"),
        invite_link=_text(link),
    )


def _post(answer: Any) -> m.StatusPostResult:
    return m.StatusPostResult(post_key=_text(answer.get("id")) if isinstance(answer, dict) else None)


TABLE: Final[Mapping[str, Action]] = MappingProxyType(
    {
        "chat.typing": Action("chat.markIsComposing", _typing),
        "chat.recording": Action("chat.markIsRecording", _typing),
        "chat.stopTyping": Action("chat.markIsPaused", _chat),
        "chat.markRead": Action("chat.markIsRead", _chat),
        "chat.markUnread": Action("chat.markIsUnread", _chat),
        "chat.archive": Action("chat.archive", _chat, already="archive_error"),
        "chat.unarchive": Action("chat.unarchive", _chat, already="unarchive_error"),
        "chat.pin": Action("chat.pin", _chat, already="pin_error"),
        "chat.unpin": Action("chat.unpin", _chat, already="unpin_error"),
        "chat.mute": Action("chat.mute", lambda p, e: [*_chat(p, e), {"duration": p.duration}]),
        "chat.unmute": Action("chat.unmute", _chat),
        "chat.clear": Action("chat.clear", lambda p, e: [*_chat(p, e), p.keep_starred]),
        "chat.delete": Action("chat.delete", _chat),
        "chat.subscribePresence": Action("contact.subscribePresence", lambda p, e: [_chat(p, e)[0]]),
        "message.star": Action("chat.starMessage", lambda _p, key: [key, True]),
        "message.unstar": Action("chat.starMessage", lambda _p, key: [key, False]),
        "label.list": Action(
            "labels.getAllLabels", answer=lambda a: m.LabelListResult(labels=tuple(map(_one_label, a)))
        ),
        "label.create": Action(
            "labels.addNewLabel", lambda p, _: [p.name, _given(labelColor=p.color)], _one_label
        ),
        "label.update": Action(
            "labels.editLabel", lambda p, _: [p.label_id, _given(name=p.name, labelColor=p.color)]
        ),
        "label.delete": Action("labels.deleteLabel", _label),
        "label.add": Action("labels.addOrRemoveLabels", _labelled("add")),
        "label.remove": Action("labels.addOrRemoveLabels", _labelled("remove")),
        "group.create": Action(
            "group.create",
            lambda p, _: [p.subject, [parse_recipient(one) for one in p.participants]],
            lambda a: m.GroupCreateResult(group_id=str(a["gid"]), participants=_added(a["participants"])),
        ),
        "group.addParticipants": Action(
            "group.addParticipants", _people, lambda a: m.ParticipantsResult(participants=_added(a))
        ),
        "group.removeParticipants": Action("group.removeParticipants", _people),
        "group.promote": Action("group.promoteParticipants", _people),
        "group.demote": Action("group.demoteParticipants", _people),
        "group.inviteLink": Action("group.getInviteCode", _group, _invite),
        "group.revokeInviteLink": Action("group.revokeInviteCode", _group, _invite),
        "group.inviteInfo": Action("group.getGroupInfoFromInviteCode", lambda p, _: [p.code], _invite_info),
        "group.join": Action(
            "group.join",
            lambda p, _: [p.code],
            lambda a: m.GroupJoinResult(group_id=str(a["id"]), pending_approval=bool(a["pendingApproval"])),
        ),
        "group.leave": Action("group.leave", _group),
        "group.setSubject": Action("group.setSubject", lambda p, _: [p.group_id, p.subject]),
        "group.setDescription": Action("group.setDescription", lambda p, _: [p.group_id, p.description]),
        "group.setPicture": Action("group.setIcon", lambda p, file: [p.group_id, file]),
        "group.removePicture": Action("group.removeIcon", _group),
        "group.setAnnouncement": Action("group.setProperty", _property("announcement", "enabled")),
        "group.setRestrict": Action("group.setProperty", _property("restrict", "enabled")),
        "group.setEphemeral": Action("group.setProperty", _property("ephemeral", "duration")),
        "group.requests": Action("group.getMembershipRequests", _group, _requests),
        "group.approve": Action("group.approve", _people),
        "group.reject": Action("group.reject", _people),
        "contact.picture": Action(
            "contact.getProfilePictureUrl", _contact, lambda a: m.ContactPictureResult(url=_text(a))
        ),
        "contact.about": Action(
            "contact.getStatus", _contact, lambda a: m.ContactAboutResult(about=_text(a))
        ),
        "contact.block": Action("blocklist.blockContact", _contact),
        "contact.unblock": Action("blocklist.unblockContact", _contact),
        "contact.blocked": Action(
            "blocklist.all", answer=lambda a: m.BlockedResult(contacts=tuple(map(str, a)))
        ),
        "status.text": Action(
            "status.sendTextStatus",
            lambda p, _: [p.text, _given(backgroundColor=p.background_color, font=p.font)],
            _post,
        ),
        "status.image": Action(
            "status.sendImageStatus", lambda p, file: [file, _given(caption=p.image.caption)], _post
        ),
        "status.video": Action(
            "status.sendVideoStatus", lambda p, file: [file, _given(caption=p.video.caption)], _post
        ),
        "status.delete": Action("status.remove", lambda p, _: [p.post_key]),
        "channel.create": Action(
            "newsletter.create", lambda p, _: [p.name, _given(description=p.description)], _one_channel
        ),
        "channel.update": Action(
            "newsletter.edit",
            lambda p, _: [p.channel_id, _given(name=p.name, description=p.description)],
        ),
        "channel.delete": Action("newsletter.destroy", _channel),
        "channel.search": Action(
            "newsletter.search",
            lambda p, _: [p.query, {"limit": p.limit}],
            lambda a: m.ChannelSearchResult(channels=tuple(map(_one_channel, a["newsletters"]))),
        ),
        "channel.follow": Action("newsletter.follow", _channel),
        "channel.unfollow": Action("newsletter.unfollow", _channel),
        "channel.mute": Action("newsletter.mute", lambda p, _: [p.channel_id, True]),
        "channel.unmute": Action("newsletter.mute", lambda p, _: [p.channel_id, False]),
        "profile.setName": Action("profile.setMyProfileName", lambda p, _: [p.name]),
        "profile.about": Action("profile.getMyStatus", answer=lambda a: m.ContactAboutResult(about=_text(a))),
        "profile.setAbout": Action("profile.setMyStatus", lambda p, _: [p.about]),
        "profile.setPicture": Action("profile.setMyProfilePicture", lambda _p, file: [file]),
        "profile.removePicture": Action("profile.removeMyProfilePicture"),
        "call.reject": Action("call.reject", lambda p, _: [] if p.call_id is None else [p.call_id]),
    }
)
