"""What the page does beside messages: to chats, labels, groups, contacts, channels, and the profile."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from protocol.address import parse_recipient

from .base import Limit, Params, Record, SessionRef, Time, check
from .contents import MediaContent
from .messages import Recipient

GroupId = Annotated[str, Meta(pattern=r"^[\d-]+@g\.us$(?!\n)", max_length=64, description="A group's id")]
ChannelId = Annotated[
    str, Meta(pattern=r"^\w+@newsletter$(?!\n)", max_length=64, description="A channel's id")
]
LabelId = Annotated[str, Meta(min_length=1, max_length=64, description="A label's id")]
People = Annotated[
    tuple[Recipient, ...], Meta(min_length=1, max_length=1024, description="Phone numbers, or chat ids")
]
Title = Annotated[str, Meta(min_length=1, max_length=100)]
Invite = Annotated[
    str,
    Meta(
        pattern=r"^(https://chat\.whatsapp\.com/(invite/)?)?[A-Za-z0-9_-]{8,64}$(?!\n)",
        max_length=128,
        description="An invite link, or its code",
    ),
]


class DoneResult(Record, frozen=True, kw_only=True):
    """What is answered where there is nothing to tell: the page has done it, and WhatsApp took it."""

    done: Literal[True] = True


class ChatParams(Params, frozen=True, kw_only=True):
    """What is given that needs one chat."""

    session_id: SessionRef
    chat_id: Recipient

    def __post_init__(self) -> None:
        check("chatId", parse_recipient, self.chat_id)


class ChatTypingParams(ChatParams, frozen=True, kw_only=True):
    """A chat, and for how long; 0: until something is sent, `chat.stopTyping`, or WhatsApp tires of it."""

    duration: Annotated[float, Meta(ge=0, le=25, description="Seconds; the answer comes after them")] = 0


class ChatMuteParams(ChatParams, frozen=True, kw_only=True):
    """A chat, and for how long it is silent."""

    duration: Annotated[int, Meta(ge=1, le=315_360_000, description="Seconds")] = 28_800


class ChatClearParams(ChatParams, frozen=True, kw_only=True):
    """A chat whose messages go."""

    keep_starred: Annotated[bool, Meta(description="Keep those with a star")] = True


class ContactParams(Params, frozen=True, kw_only=True):
    """What is given that needs one contact."""

    session_id: SessionRef
    contact_id: Recipient

    def __post_init__(self) -> None:
        check("contactId", parse_recipient, self.contact_id)


class ContactPictureResult(Record, frozen=True, kw_only=True):
    """Where a picture can be had for a while; None where there is none to see."""

    url: str | None = None


class ContactAboutResult(Record, frozen=True, kw_only=True):
    """What somebody writes about themselves; None where there is nothing to see."""

    about: str | None = None


class BlockedResult(Record, frozen=True, kw_only=True):
    """Whom the account has blocked."""

    contacts: tuple[str, ...]


class LabelCreateParams(Params, frozen=True, kw_only=True):
    """What label.create is given; `color` is a number of WhatsApp's palette, the next one if left out."""

    session_id: SessionRef
    name: Title
    color: Annotated[int, Meta(ge=0, le=19)] | None = None


class LabelUpdateParams(Params, frozen=True, kw_only=True):
    """What label.update is given."""

    session_id: SessionRef
    label_id: LabelId
    name: Title | UnsetType = UNSET
    color: Annotated[int, Meta(ge=0, le=19)] | UnsetType = UNSET


class LabelParams(Params, frozen=True, kw_only=True):
    """What is given that needs one label."""

    session_id: SessionRef
    label_id: LabelId


class LabelChatsParams(Params, frozen=True, kw_only=True):
    """A label, and the chats that get or lose it."""

    session_id: SessionRef
    label_id: LabelId
    chats: People

    def __post_init__(self) -> None:
        for place, chat in enumerate(self.chats):
            check(f"chats[{place}]", parse_recipient, chat)


class Label(Record, frozen=True, kw_only=True):
    """A label of a business account; `color` as WhatsApp's palette has it."""

    id: str
    name: str | None = None
    color: str | None = None


class LabelListResult(Record, frozen=True, kw_only=True):
    """All labels."""

    labels: tuple[Label, ...]


class GroupParams(Params, frozen=True, kw_only=True):
    """What is given that needs one group."""

    session_id: SessionRef
    group_id: GroupId


class GroupCreateParams(Params, frozen=True, kw_only=True):
    """What group.create is given."""

    session_id: SessionRef
    subject: Title
    participants: People

    def __post_init__(self) -> None:
        for place, one in enumerate(self.participants):
            check(f"participants[{place}]", parse_recipient, one)


class GroupParticipantsParams(GroupParams, frozen=True, kw_only=True):
    """A group, and who it is about."""

    participants: People

    def __post_init__(self) -> None:
        for place, one in enumerate(self.participants):
            check(f"participants[{place}]", parse_recipient, one)


class GroupSubjectParams(GroupParams, frozen=True, kw_only=True):
    """A group's new name."""

    subject: Title


class GroupDescriptionParams(GroupParams, frozen=True, kw_only=True):
    """A group's new description; an empty one takes it away."""

    description: Annotated[str, Meta(max_length=2048)]


class GroupPictureParams(GroupParams, frozen=True, kw_only=True):
    """A group's new picture."""

    image: MediaContent


class GroupSwitchParams(GroupParams, frozen=True, kw_only=True):
    """A setting of a group, on or off."""

    enabled: bool = True


class GroupEphemeralParams(GroupParams, frozen=True, kw_only=True):
    """After how long a group's new messages disappear."""

    duration: Annotated[
        Literal[0, 86_400, 604_800, 7_776_000], Meta(description="Seconds; 0: they do not disappear")
    ]


class InviteParams(Params, frozen=True, kw_only=True):
    """An invitation to a group."""

    session_id: SessionRef
    invite: Invite

    @property
    def code(self) -> str:
        """The code, which ends the link."""
        return self.invite.rpartition("/")[2]


class AddedParticipant(Record, frozen=True, kw_only=True):
    """What became of somebody; `code` is WhatsApp's: 200 added, 403 their settings forbid it, 409 there."""

    id: str
    code: int | None = None


class GroupCreateResult(Record, frozen=True, kw_only=True):
    """A new group, and what became of each participant."""

    group_id: str
    participants: tuple[AddedParticipant, ...]


class ParticipantsResult(Record, frozen=True, kw_only=True):
    """What became of each participant."""

    participants: tuple[AddedParticipant, ...]


class InviteLinkResult(Record, frozen=True, kw_only=True):
    """How to join a group."""

    code: str
    link: str


class InviteInfoResult(Record, frozen=True, kw_only=True):
    """Where an invitation leads to."""

    group_id: str
    subject: str | None = None
    description: str | None = None
    size: int | None = None


class GroupJoinResult(Record, frozen=True, kw_only=True):
    """The group, and whether its admins have to agree first."""

    group_id: str
    pending_approval: bool = False


class MembershipRequest(Record, frozen=True, kw_only=True):
    """Somebody who asks to be let in."""

    id: str
    requested_at: Time | None = None


class MembershipRequestsResult(Record, frozen=True, kw_only=True):
    """Who asks to be let in."""

    requests: tuple[MembershipRequest, ...]


class StatusTextParams(Params, frozen=True, kw_only=True):
    """What status.text is given: `background_color` as `#rrggbb`, `font` a number of WhatsApp's."""

    session_id: SessionRef
    text: Annotated[str, Meta(min_length=1, max_length=700)]
    background_color: Annotated[str, Meta(pattern=r"^#[0-9A-Fa-f]{6}$(?!\n)")] | None = None
    font: Annotated[int, Meta(ge=0, le=10)] | None = None


class StatusImageParams(Params, frozen=True, kw_only=True):
    """What status.image is given."""

    session_id: SessionRef
    image: MediaContent


class StatusVideoParams(Params, frozen=True, kw_only=True):
    """What status.video is given."""

    session_id: SessionRef
    video: MediaContent


class StatusParams(Params, frozen=True, kw_only=True):
    """A status post of the account's own, by the key that posting it answered."""

    session_id: SessionRef
    post_key: Annotated[str, Meta(min_length=1, max_length=256, description="The post's key")]


class StatusPostResult(Record, frozen=True, kw_only=True):
    """A new status post; None where the page does not tell its key."""

    post_key: str | None = None


class ChannelParams(Params, frozen=True, kw_only=True):
    """What is given that needs one channel."""

    session_id: SessionRef
    channel_id: ChannelId


class ChannelCreateParams(Params, frozen=True, kw_only=True):
    """What channel.create is given."""

    session_id: SessionRef
    name: Title
    description: Annotated[str, Meta(max_length=2048)] | None = None


class ChannelUpdateParams(ChannelParams, frozen=True, kw_only=True):
    """What channel.update is given."""

    name: Title | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=2048)] | UnsetType = UNSET


class ChannelSearchParams(Params, frozen=True, kw_only=True):
    """What channel.search is given."""

    session_id: SessionRef
    query: Title
    limit: Limit = 50


class Channel(Record, frozen=True, kw_only=True):
    """A channel."""

    id: str
    name: str | None = None
    description: str | None = None
    subscribers: int | None = None
    invite_link: str | None = None


class ChannelSearchResult(Record, frozen=True, kw_only=True):
    """The channels that were found."""

    channels: tuple[Channel, ...]


class ProfileNameParams(Params, frozen=True, kw_only=True):
    """The account's new name."""

    session_id: SessionRef
    name: Annotated[str, Meta(min_length=1, max_length=25)]


class ProfileAboutParams(Params, frozen=True, kw_only=True):
    """What the account says about itself."""

    session_id: SessionRef
    about: Annotated[str, Meta(max_length=139)]


class ProfilePictureParams(Params, frozen=True, kw_only=True):
    """The account's new picture."""

    session_id: SessionRef
    image: MediaContent


class CallParams(Params, frozen=True, kw_only=True):
    """A call that comes in, by the id that its event has; without it the one that rings."""

    session_id: SessionRef
    call_id: Annotated[str, Meta(min_length=1, max_length=128, description="The call's id")] | None = None
