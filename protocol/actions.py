"""ACTIONS: the methods that are one function of the page each, as rows of the one table of methods.

Must not know: which function of the page library that is.
"""

from typing import Any, Final

from . import models as m

ACTIONS: Final[tuple[tuple[str, type[m.Params], Any, str], ...]] = (
    ("chat.typing", m.ChatTypingParams, m.DoneResult, "Show the other side that something is being typed"),
    ("chat.recording", m.ChatTypingParams, m.DoneResult, "Show the other side that somebody records"),
    ("chat.stopTyping", m.ChatParams, m.DoneResult, "Take that back: nothing is typed or recorded"),
    ("chat.markRead", m.ChatParams, m.DoneResult, "Mark a chat as read; the other side sees it"),
    ("chat.markUnread", m.ChatParams, m.DoneResult, "Mark a chat as unread, for this account alone"),
    ("chat.archive", m.ChatParams, m.DoneResult, "Put a chat into the archive"),
    ("chat.unarchive", m.ChatParams, m.DoneResult, "Take a chat out of the archive"),
    ("chat.pin", m.ChatParams, m.DoneResult, "Keep a chat at the top of the list"),
    ("chat.unpin", m.ChatParams, m.DoneResult, "Keep a chat at the top no longer"),
    ("chat.mute", m.ChatMuteParams, m.DoneResult, "Silence a chat"),
    ("chat.unmute", m.ChatParams, m.DoneResult, "Silence a chat no longer"),
    ("chat.clear", m.ChatClearParams, m.DoneResult, "Delete a chat's messages from this account's devices"),
    ("chat.delete", m.ChatParams, m.DoneResult, "Delete a chat from this account's devices"),
    (
        "chat.subscribePresence",
        m.ChatParams,
        m.DoneResult,
        "Be told of somebody's presence, by events",
    ),
    ("message.star", m.MessageParams, m.DoneResult, "Put a star at a message"),
    ("message.unstar", m.MessageParams, m.DoneResult, "Take a message's star away"),
    ("label.list", m.SessionParams, m.LabelListResult, "The labels of a business account"),
    ("label.create", m.LabelCreateParams, m.Label, "Make a label"),
    ("label.update", m.LabelUpdateParams, m.DoneResult, "Change a label's name or colour"),
    ("label.delete", m.LabelParams, m.DoneResult, "Delete a label"),
    ("label.add", m.LabelChatsParams, m.DoneResult, "Put a label on chats"),
    ("label.remove", m.LabelChatsParams, m.DoneResult, "Take a label off chats"),
    ("group.create", m.GroupCreateParams, m.GroupCreateResult, "Make a group"),
    ("group.addParticipants", m.GroupParticipantsParams, m.ParticipantsResult, "Add people to a group"),
    ("group.removeParticipants", m.GroupParticipantsParams, m.DoneResult, "Remove people from a group"),
    ("group.promote", m.GroupParticipantsParams, m.DoneResult, "Make participants admins"),
    ("group.demote", m.GroupParticipantsParams, m.DoneResult, "Make admins participants"),
    ("group.inviteLink", m.GroupParams, m.InviteLinkResult, "A group's invite link"),
    (
        "group.revokeInviteLink",
        m.GroupParams,
        m.InviteLinkResult,
        "End a group's invite link, and get a new one",
    ),
    ("group.inviteInfo", m.InviteParams, m.InviteInfoResult, "Where an invite link leads to"),
    ("group.join", m.InviteParams, m.GroupJoinResult, "Join a group by its invite link"),
    ("group.leave", m.GroupParams, m.DoneResult, "Leave a group"),
    ("group.setSubject", m.GroupSubjectParams, m.DoneResult, "Change a group's name"),
    ("group.setDescription", m.GroupDescriptionParams, m.DoneResult, "Change a group's description"),
    ("group.setPicture", m.GroupPictureParams, m.DoneResult, "Change a group's picture"),
    ("group.removePicture", m.GroupParams, m.DoneResult, "Take a group's picture away"),
    ("group.setAnnouncement", m.GroupSwitchParams, m.DoneResult, "Let only admins write, or all"),
    ("group.setRestrict", m.GroupSwitchParams, m.DoneResult, "Let only admins change the group, or all"),
    ("group.setEphemeral", m.GroupEphemeralParams, m.DoneResult, "Have new messages disappear after a time"),
    ("group.requests", m.GroupParams, m.MembershipRequestsResult, "Who asks to be let into a group"),
    ("group.approve", m.GroupParticipantsParams, m.DoneResult, "Let people in who ask for it"),
    ("group.reject", m.GroupParticipantsParams, m.DoneResult, "Turn people away who ask to be let in"),
    ("contact.picture", m.ContactParams, m.ContactPictureResult, "Where somebody's picture can be had"),
    ("contact.about", m.ContactParams, m.ContactAboutResult, "What somebody says about themselves"),
    ("contact.block", m.ContactParams, m.DoneResult, "Block somebody"),
    ("contact.unblock", m.ContactParams, m.DoneResult, "Block somebody no longer"),
    ("contact.blocked", m.SessionParams, m.BlockedResult, "Whom the account has blocked"),
    ("status.text", m.StatusTextParams, m.StatusPostResult, "Post a text as the account's status"),
    ("status.image", m.StatusImageParams, m.StatusPostResult, "Post a picture as the account's status"),
    ("status.video", m.StatusVideoParams, m.StatusPostResult, "Post a video as the account's status"),
    ("status.delete", m.StatusParams, m.DoneResult, "Delete a status post"),
    ("channel.create", m.ChannelCreateParams, m.Channel, "Make a channel"),
    ("channel.update", m.ChannelUpdateParams, m.DoneResult, "Change a channel's name or description"),
    ("channel.delete", m.ChannelParams, m.DoneResult, "Delete a channel of the account's own"),
    ("channel.search", m.ChannelSearchParams, m.ChannelSearchResult, "Find channels"),
    ("channel.follow", m.ChannelParams, m.DoneResult, "Follow a channel"),
    ("channel.unfollow", m.ChannelParams, m.DoneResult, "Follow a channel no longer"),
    ("channel.mute", m.ChannelParams, m.DoneResult, "Silence a channel"),
    ("channel.unmute", m.ChannelParams, m.DoneResult, "Silence a channel no longer"),
    ("profile.setName", m.ProfileNameParams, m.DoneResult, "Change the account's name"),
    ("profile.about", m.SessionParams, m.ContactAboutResult, "What the account says about itself"),
    ("profile.setAbout", m.ProfileAboutParams, m.DoneResult, "Change what the account says about itself"),
    ("profile.setPicture", m.ProfilePictureParams, m.DoneResult, "Change the account's picture"),
    ("profile.removePicture", m.SessionParams, m.DoneResult, "Take the account's picture away"),
    ("call.reject", m.CallParams, m.DoneResult, "Reject a call"),
)
"""(method, params, result, summary); each has the errors of `ACTION_ERRORS`, and is an operator's."""

ONCE: Final = frozenset(
    {
        "label.create",
        "group.create",
        "group.revokeInviteLink",
        "status.text",
        "status.image",
        "status.video",
        "channel.create",
    }
)
"""Those that do something anew each time: where the answer is lost, they fail with OUTCOME_UNKNOWN."""
