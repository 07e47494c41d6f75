// The page's one set of models and collections, which the modules export and session.js changes.

import { MsgKey, Wid, createWid, learn } from "./ids.js";
import { mediaData, mediaObject } from "./media_models.js";
import { Collection, Emitter, Model } from "./model.js";

export const Conn = new (class ConnModel extends Model {})({ ref: undefined, connected: false, platform: undefined, isSMB: false });
export const Socket = new (class SocketModel extends Model {
  initConn() {}
})({ state: "OPENING", stream: "DISCONNECTED", hasSynced: false });
export const Stream = new (class StreamModel extends Model {
  markAvailable() {
    this.set("available", true);
  }
  markUnavailable() {
    this.set("available", false);
  }
})({ mode: "SYNCING", info: "OPENING", needsUpdate: false, available: false });

export class CmdImpl extends Emitter {
  isMainLoaded = false;
}
export const Cmd = new CmdImpl();

export class MsgModel extends Model {
  get chat() {
    return Chats.get(this.id?.remote);
  }
  get sender() {
    return this.author ?? this.from;
  }
  get senderObj() {
    return Contacts.get(this.sender) ?? { id: this.sender, isMe: Boolean(this.id?.fromMe) };
  }
  get isSentByMe() {
    return Boolean(this.id?.fromMe);
  }
  get mediaData() {
    return mediaData(this);
  }
  get mediaObject() {
    return mediaObject(this);
  }
  /** What a reply to this message carries. */
  msgContextInfo() {
    return {
      quotedMsg: { type: this.type, body: this.body },
      quotedStanzaID: this.id.id,
      quotedParticipant: this.sender,
      quotedRemoteJid: undefined,
    };
  }
  updateAck(ack) {
    this.set("ack", ack);
  }
}
MsgModel.prototype.proxyName = "msg";
export class MsgCollection extends Collection {
  static model = MsgModel;
  async getMessagesById(keys) {
    return { messages: keys.map((key) => this.get(key)).filter(Boolean) };
  }
  /** Revocations are messages too, but no new rows. */
  async processMultipleMessages(_chat, messages) {
    return this.add(messages.filter((msg) => msg.type !== "protocol"));
  }
}
export const Msgs = new MsgCollection();

export class ChatMsgsCollection extends Collection {
  static model = MsgModel;
}

export class ChatstateModel extends Model {}
ChatstateModel.prototype.proxyName = "chatstate";
export class ChatstateCollection extends Collection {
  static model = ChatstateModel;
}

export class PresenceModel extends Model {
  constructor(attributes) {
    super({ isOnline: false, hasData: false, ...attributes });
    this.chatstate = new ChatstateModel({ id: this.id });
    this.chatstates = new ChatstateCollection();
    this.chatstate.on("change:type", (...args) => this.trigger("change:chatstate.type", ...args));
  }
  get isUser() {
    return Boolean(this.id?.isUser());
  }
  get isGroup() {
    return Boolean(this.id?.isGroup());
  }
  /** What the server tells of somebody, in a group or in the direct chat. */
  tell(by, state) {
    if (this.isGroup) {
      const [member] = this.chatstates.add({ id: by });
      member.set({ type: state });
    }
    this.set({ hasData: true, isOnline: state !== "unavailable" });
    this.chatstate.set({ t: Math.floor(Date.now() / 1000), deny: false, type: state });
  }
  async subscribe() {
    Presences.subscribed(this.id);
  }
}
PresenceModel.prototype.proxyName = "presence";
export class PresenceCollection extends Collection {
  static model = PresenceModel;
  subscribed = () => {};
}
export const Presences = new PresenceCollection();

export class ContactModel extends Model {}
ContactModel.prototype.proxyName = "contact";
export class ContactCollection extends Collection {
  static model = ContactModel;
}
export const Contacts = new ContactCollection();

export class ParticipantModel extends Model {}
ParticipantModel.prototype.proxyName = "participant";
export class ParticipantCollection extends Collection {
  static model = ParticipantModel;
  iAmMember() {
    return Boolean(this.#me());
  }
  iAmAdmin() {
    return Boolean(this.#me()?.isAdmin);
  }
  #me() {
    return this.findFirst((each) => [me.login?.wid, me.login?.lid].includes(String(each.id)));
  }
}
export class GroupMetadataModel extends Model {}
GroupMetadataModel.prototype.proxyName = "groupMetadata";
export class GroupMetadataCollection extends Collection {
  static model = GroupMetadataModel;
  onParentGroupChange() {}
}
export const Groups = new GroupMetadataCollection();

export class ChatModel extends Model {
  constructor(attributes) {
    super(attributes);
    this.msgs = new ChatMsgsCollection();
  }
  get presence() {
    return this.id && Presences.gadd(this.id);
  }
  get contact() {
    return Contacts.get(this.id);
  }
  get groupMetadata() {
    return Groups.get(this.id);
  }
  get formattedTitle() {
    return this.name ?? this.id?.user;
  }
  set formattedTitle(_title) {
    // Page libraries write it beside the name, from which it comes.
  }
  get isNewsletter() {
    return false;
  }
  get isUser() {
    return Boolean(this.id?.isUser());
  }
  get isGroup() {
    return Boolean(this.id?.isGroup());
  }
  get hasUnread() {
    return this.unreadCount !== 0;
  }
  get isParentGroup() {
    return false;
  }
}
ChatModel.prototype.proxyName = "chat";
export class ChatCollection extends Collection {
  static model = ChatModel;
}
export const Chats = new ChatCollection();

/** Who this page is: its keys, its login once it has one, and what opens the media server. */
export const me = { identity: undefined, login: undefined, mediaAuth: undefined };

/** A person as stored or told: `chat` is the id of the chat with them, by number or hidden. */
export function addContact({ id, lid, name, pushname, chat }) {
  learn(id, lid);
  const wid = createWid(chat ?? id);
  const names = { name, shortName: name, pushname: pushname ?? name, isAddressBookContact: name ? 1 : 0 };
  const [contact] = Contacts.add({ id: wid, lid, phoneNumber: createWid(id), type: name ? "in" : "out", isBusiness: false, isEnterprise: false, ...names });
  contact.set(names);
  addChat(wid, name);
}

export function addGroup({ id, subject, creation, participants }) {
  const wid = createWid(id);
  const members = new ParticipantCollection();
  members.add(participants.map((each) => ({ id: createWid(each.id), isAdmin: each.isAdmin, isSuperAdmin: each.isSuperAdmin })));
  const [group] = Groups.add({ id: wid, creation, groupType: "DEFAULT" });
  group.set({ subject, participants: members });
  addChat(wid, subject).set("name", subject);
}

export function addChat(wid, name) {
  const existing = Chats.get(wid);
  if (existing) return existing;
  return Chats.add({ id: wid, name, t: 0, unreadCount: 0, archive: false, pin: 0, lastReceivedKey: undefined, active: false })[0];
}

/** A message's row in the storage and its model: the row is the same thing without objects. */
export function msgFromRow(row) {
  const key = MsgKey.fromString(row.key);
  const attributes = { ...row.attributes, id: key, t: row.t, ack: row.ack };
  for (const name of ["from", "to", "author", "quotedParticipant"]) {
    if (attributes[name]) attributes[name] = new Wid(attributes[name]);
  }
  if (attributes.mentionedJidList) attributes.mentionedJidList = attributes.mentionedJidList.map(createWid);
  return new MsgModel(attributes);
}

function plain(_name, value) {
  return value instanceof Uint8Array ? btoa(String.fromCharCode(...value)) : value;
}

let rows = 0;
export function rowFromMsg(msg) {
  const { id, t, ack, isNewMsg, local, ...rest } = msg.attributes;
  msg.rowOrder ??= Date.now() * 1000 + (rows++ % 1000);
  return { key: String(id), t, ack, order: msg.rowOrder, attributes: JSON.parse(JSON.stringify(rest, plain)) };
}
