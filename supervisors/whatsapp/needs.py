"""What is used of the page library and, through it, of WhatsApp Web: names, by the feature that needs them.

The page is asked whether they exist; none is called for that. What is missing costs its feature, never the
session: WhatsApp Web changes under our feet, and one that sends texts is better than one that does nothing.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

# Paths below `window.WPP` (wa-js 4.6.0); below `whatsapp` are WhatsApp's own objects, as the library found
# them.
NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "connection": (
            "conn.getStreamData",
            "conn.isAuthenticated",
            "conn.getMyUserWid",
            "conn.getPlatform",
            "conn.getBuildConstants",
            "whatsapp.Socket",
            "whatsapp.Conn",
            "whatsapp.Stream",
            "whatsapp.Cmd",
        ),
        "qr": ("conn.getAuthCode", "conn.refreshQR"),
        "pairing": ("conn.startLinkDeviceCodeForPhoneNumber", "conn.isMainReady"),
        "logout": ("conn.logout",),
        "text": (
            "chat.find",
            "chat.get",
            "chat.generateMessageID",
            "chat.getMessageById",
            "chat.getMessages",
            "chat.sendTextMessage",
            "contact.queryWidExists",
            "whatsapp.ChatStore",
            "whatsapp.MsgKey",
            "whatsapp.MsgStore",
            "whatsapp.WidFactory",
            "whatsapp.functions.addAndSendMsgToChat",
            "whatsapp.functions.findOrCreateLatestChat",
            "whatsapp.functions.queryWidExists",
        ),
        "media": (
            "chat.sendFileMessage",
            "chat.downloadMedia",
            "whatsapp.OpaqueData",
            "whatsapp.MediaPrep",
        ),
        "location": ("chat.sendLocationMessage",),
        "contact": ("chat.sendVCardContactMessage",),
        "poll": ("chat.sendCreatePollMessage",),
        "reaction": ("chat.sendReactionToMessage", "whatsapp.functions.sendReactionToMsg"),
        "edit": ("chat.editMessage",),
        "delete": ("chat.deleteMessage",),
        "markRead": ("chat.markIsRead", "whatsapp.functions.sendSeen"),
        "forward": ("chat.forwardMessages",),
        "lists": ("group.getAllGroups", "whatsapp.ContactStore", "whatsapp.GroupMetadataStore"),
    }
)

NAMES: tuple[str, ...] = tuple(dict.fromkeys(name for names in NEEDS.values() for name in names))

# What wa-js 4.6.0 listens to or replaces, once, when it begins (`onInjected`, `onFullReady`). Not among them
# is what it has a makeshift of its own for, and would take that for good if asked too early:
# getShouldAppearInList, getHasUnread.
REPLACED: tuple[str, ...] = (
    *(
        f"whatsapp.{name}"
        for name in (
            "BackendEventBus",
            "BlocklistStore",
            "CallStore",
            "ChatModel",
            "ContactModel",
            "IsOfficialClient",
            "MsgModel",
            "NetworkStatus",
            "StatusV3Store",
            "UserPrefs",
            "lidPnCache",
        )
    ),
    *(
        f"whatsapp.functions.{name}"
        for name in (
            "addToLabelCollection",
            "createChatRecord",
            "createFanoutMsgStanza",
            "createMsgProtobuf",
            "createOrUpdateReactions",
            "encodeMaybeMediaType",
            "encryptAndSendMsg",
            "genMinimalLinkPreview",
            "generateVideoThumbsAndDuration",
            "getABPropConfigValue",
            "getErrorCodeFromLogoutReason",
            "getNumChatsPinned",
            "getUnsupportedBrowserReason",
            "handleChatSimpleReceipt",
            "handleGroupSimpleReceipt",
            "handleSingleMsg",
            "handleStatusSimpleReceipt",
            "isCallingEnabled",
            "isFilterExcludedFromSearchTreatmentInInboxFlow",
            "isLidMigrated",
            "isUnreadTypeMsg",
            "isUnsupportedBrowserForWebCalling",
            "isVoipDownloadEnabled",
            "mediaTypeFromProtobuf",
            "primaryFeatureEnabled",
            "processRawSticker",
            "removeLabelFromCollection",
            "typeAttributeFromProtobuf",
            "updateDBForGroupAction",
            "uploadMedia",
            "upsertVotes",
        )
    ),
)


def features_without(missing: Iterable[str]) -> tuple[str, ...]:
    """Return the features that some of the missing names take away."""
    gone = set(missing)
    return tuple(feature for feature, names in NEEDS.items() if not gone.isdisjoint(names))
