// The modules about chats, messages, contacts and groups, under WhatsApp's names.

import * as chats from "./chats.js";
import * as C from "./constants.js";
import { define, load } from "./graph.js";
import { MsgKey, Wid, createUserWidOrThrow, createWid, isWidlike, learn, lidOf, numberOf } from "./ids.js";
import { Collection, Emitter, Model } from "./model.js";
import { connection } from "./session.js";
import * as S from "./state.js";

/** Messages of the anchor's chat before or after it, oldest first; the anchor itself is not among them. */
function messagesAround({ anchor, count, direction }) {
  const messages = S.Chats.get(anchor.remote)?.msgs.getModelsArray() ?? [];
  const at = messages.findIndex((msg) => msg.id.equals(anchor));
  if (at < 0) return { messages: [] };
  const limit = Number.isFinite(count) ? Math.max(count, 0) : messages.length;
  return { messages: direction === "after" ? messages.slice(at + 1, at + 1 + limit) : messages.slice(Math.max(at - limit, 0), at) };
}

function installIds() {
  define("WAWebWid", { default: Wid });
  define("WAWebMsgKey", Object.assign(MsgKey, { default: MsgKey }));
  define("WAWebMsgKeyNewId", { default: { newId: MsgKey.newId } });
  define("WAWebWidFactory", {
    createWid,
    isWidlike,
    createWidFromWidLike: createWid,
    createUserWidOrThrow,
    createUserWid: createUserWidOrThrow,
    createUserLidOrThrow: (user) => createUserWidOrThrow(user, "lid"),
    asUserWidOrThrow: createWid,
    asUserLidOrThrow: createWid,
    toUserWid: createWid,
  });
  define("WAWebJid", { GROUP_JID: "g.us", CHAT_JID: "c.us", STATUS_JID: "status@broadcast" });
  define("WAWebAck", { ACK: C.ACK, ACK_STRING: C.ACK_STRING, EDIT_ATTR: C.EDIT_ATTR });
  define("WAWebMsgType", { MSG_TYPE: C.MSG_TYPE, SYSTEM_MESSAGE_TYPES: [] });
  define("WAWebSendMsgResultAction", { SendMsgResult: C.SendMsgResult });
  define("WAWebNonJidMentionType", { default: { MENTION_ALL: 1 } });
}

function installModels() {
  define("WAWebEventEmitter", { default: Emitter });
  define("WAWebBaseModel", { BaseModel: Model, defineModel: (model) => model });
  define("WAWebBaseCollection", { BaseCollection: Collection, default: Collection });
  define("WAWebMsgModel", { default: S.MsgModel, Msg: S.MsgModel });
  define("WAWebChatModel", { default: S.ChatModel, Chat: S.ChatModel });
  define("WAWebContactModel", { default: S.ContactModel, Contact: S.ContactModel });
  define("WAWebGroupMetadataModel", { default: S.GroupMetadataModel });
  define("WAWebParticipantModel", { default: S.ParticipantModel });
  define("WAWebParticipantCollection", { default: S.ParticipantCollection });
  define("WAWebMsgCollection", { MsgCollection: S.Msgs, MsgCollectionImpl: S.MsgCollection });
  define("WAWebChatCollection", { ChatCollection: S.Chats, ChatCollectionImpl: S.ChatCollection });
  define("WAWebContactCollection", { ContactCollection: S.Contacts, ContactCollectionImpl: S.ContactCollection });
  define("WAWebGroupMetadataCollection", { default: S.Groups });
  define("WAWebPresenceCollection", { PresenceCollection: S.Presences });
  define("WAWebChatMsgsCollection", { ChatMsgsCollection: S.ChatMsgsCollection });
  define("WAWebCollections", { Chat: S.Chats, Contact: S.Contacts, Msg: S.Msgs, GroupMetadata: S.Groups, WAWebGroupMetadataCollection: S.Groups });
}

function installSending() {
  define("WAWebSendMsgChatAction", { addAndSendMsgToChat: chats.addAndSendMsgToChat });
  define("WAWebSendTextMsgChatAction", {
    async sendTextMsgToChat(chat, body) {
      const me = load("WAWebUserPrefsMeUser");
      const from = chat.id.isGroup() ? me.getMeLidUserOrThrow() : me.getMePnUserOrThrow();
      const key = { from, to: chat.id, id: await MsgKey.newId(), participant: chat.id.isGroup() ? from : undefined, selfDir: "out" };
      const t = Math.floor(Date.now() / 1000);
      const data = { id: new MsgKey(key), body, type: "chat", t, from, to: chat.id, self: "out", isNewMsg: true, ack: C.ACK.CLOCK };
      return (await Promise.all(chats.addAndSendMsgToChat(chat, data)))[1];
    },
  });
  define("WAWebGetEphemeralFieldsMsgActionsUtils", { getEphemeralFields: () => ({}) });
  define("WAWebFindChatAction", {
    findOrCreateLatestChat: chats.findOrCreateLatestChat,
    findChat: async (wid) => (await chats.findOrCreateLatestChat(wid)).chat,
  });
  define("WAWebChatGetExistingBridge", { getExisting: async (wid) => S.Chats.get(wid) });
  define("WAWebUpdateUnreadChatAction", { sendSeen: chats.sendSeen, markUnread: async (chat) => chat.set("unreadCount", -1) });
  define("WAWebMsgReply", { canReplyMsg: () => true });
  define("WAWebQuotedMsgModelUtils", {
    getQuotedMsgObj: (msg) => S.Chats.get(msg.id.remote)?.msgs.findFirst((other) => other.id.id === msg.quotedStanzaID),
  });
  define("WAWebHandleChatReceipt", { handleChatSimpleReceipt: chats.handleSimpleReceipt });
  define("WAWebHandleGroupReceipt", { handleGroupSimpleReceipt: chats.handleSimpleReceipt });
  define("WAWebHandleStatusReceipt", { handleStatusSimpleReceipt: chats.handleSimpleReceipt });
  define("WAWebDBMessageFindLocal", {
    msgFindByDirection: async (query) => messagesAround(query),
    msgFindBefore: async (query) => messagesAround({ ...query, direction: "before" }),
    msgFindAfter: async (query) => messagesAround({ ...query, direction: "after" }),
    msgFindMedia: async () => ({ messages: [] }),
    msgFindSearch: async () => ({ messages: [] }),
    msgFindStarred: async () => ({ messages: [] }),
    msgFindEvents: async () => ({ messages: [] }),
    msgFindCallLog: async () => [],
  });
  define("WAWebChatMessageSearch", {
    getSearchContext: ({ chat }) => ({ collection: { loadAroundPromise: Promise.resolve(), get: (key) => chat.msgs.get(key) } }),
  });
}

function installContacts() {
  define("WAWebApiContact", {
    getCurrentLid: lidOf,
    getPhoneNumber: numberOf,
    getAlternateUserWid: (wid) => (wid.isLid() ? numberOf(wid) : lidOf(wid)),
    lidPnCache: { getCurrentLid: (wid) => lidOf(wid) ?? null, getPhoneNumber: (wid) => numberOf(wid) ?? null },
  });
  define("WAWebQueryExistsJob", {
    async queryWidExists(wid) {
      const found = await connection.query("exists", { wid: String(wid) });
      if (found) learn(found.wid, found.lid);
      return found && { wid: createWid(found.wid), lid: createWid(found.lid), biz: false };
    },
    queryPhoneExists: async (phone) => connection.query("exists", { wid: `${phone.replace(/\D/g, "")}@c.us` }),
  });
  define("WAWebQueryGroups", {
    queryAllGroups: async () => (await connection.query("groups")).map((id) => ({ id: createWid(id) })),
  });
  define("WAWebGroupQueryJob", { queryAndUpdateGroupMetadataById: async ({ id }) => connection.query("group", { wid: String(id) }) });
  define("WAWebGroupParticipantsGetters", {
    getCommunityParticipants: async (wid) => S.Groups.get(wid)?.participants.getModelsArray() ?? [],
  });
  const isMe = (contact) => load("WAWebUserPrefsMeUser").isMeAccount(contact.id);
  const name = (contact) => contact.name ?? contact.pushname ?? contact.id.user;
  define("WAWebContactGetters", {
    getNotifyName: (contact) => contact.pushname,
    getPremiumMessageName: () => undefined,
    getUserid: (contact) => contact.id.user,
    getIsMe: isMe,
    getIsUser: (contact) => contact.id.isUser(),
    getIsGroup: (contact) => contact.id.isGroup(),
    getIsBroadcast: () => false,
    getIsNewsletter: () => false,
    getIsPSA: () => false,
    getIsIAS: () => false,
    getIsSupportAccount: () => false,
    getIsWAContact: () => true,
    getCanRequestPhoneNumber: () => false,
    getShowBusinessCheckmarkAsPrimary: () => false,
    getShowBusinessCheckmarkAsSecondary: () => false,
    getShowBusinessCheckmarkInChatlist: () => false,
    getIsDisplayNameApproved: () => true,
    getShouldForceBusinessUpdate: () => false,
    getUserhash: () => null,
  });
  define("WAWebFrontendContactGetters", {
    getPhoneNumber: (contact) => numberOf(contact.id),
    getTextStatusString: () => "",
    getPnForLid: (contact) => numberOf(contact.id),
    getDisplayName: name,
    getDisplayNameOrPnForLid: name,
    getFormattedPhone: (contact) => `+${contact.id.user}`,
    getFormattedShortNameWithNonBreakingSpaces: name,
    getFormattedShortName: name,
    getFormattedName: name,
    getFormattedUser: (contact) => contact.id.user,
    getSearchName: name,
    getIsMyContact: (contact) => Boolean(contact.isAddressBookContact),
    getMentionName: name,
  });
  define("WAWebContactSearchGetters", { getSearchVerifiedName: () => "", getHeader: (contact) => name(contact)[0] });
}

export function install() {
  installIds();
  installModels();
  installSending();
  installContacts();
}
