// Messages out and in: stored first, then shown, then told to the server.

import { ACK, SendMsgResult } from "./constants.js";
import { load } from "./graph.js";
import { MsgKey, createWid, learn, lidOf, newId, numberOf } from "./ids.js";
import { Chats, Msgs, MsgModel, addChat, addContact, addGroup, me, msgFromRow, rowFromMsg } from "./state.js";
import * as storage from "./storage.js";

// Attributes that only mean something to this page; everything else of a message goes to the server.
const LOCAL = new Set([
  "id", "t", "ack", "from", "to", "author", "self", "isNewMsg", "local", "notifyName", "ephemeralDuration",
  "reactions", "votes", "latestEditMsgKey", "latestEditSenderTimestampMs",
]);

let connection;
const unacknowledged = new Map(); // message id -> { msg, settle: [functions] }

export function attach(theConnection) {
  connection = theConnection;
}

/** Show a message: in its chat, and to whoever listens. */
async function show(messages) {
  const byChat = new Map();
  for (const msg of messages) {
    const chat = Chats.get(msg.id.remote) ?? addChat(msg.id.remote, undefined);
    if (!byChat.has(chat)) byChat.set(chat, []);
    byChat.get(chat).push(msg);
  }
  for (const [chat, msgs] of byChat) {
    chat.msgs.add(msgs);
    const newest = chat.msgs.last();
    chat.set({ lastReceivedKey: newest.id, t: newest.t });
    const unread = msgs.filter((msg) => msg.isNewMsg && !msg.id.fromMe && msg.type !== "gp2").length;
    if (unread) chat.set("unreadCount", chat.unreadCount + unread);
    await Msgs.processMultipleMessages(chat.id, msgs);
  }
}

/** At the start: bring back what is stored, without calling it new. */
export async function restore() {
  const rows = (await storage.all("messages")).sort((a, b) => a.t - b.t || a.order - b.order);
  (await storage.all("contacts")).forEach(addContact);
  (await storage.all("groups")).forEach(addGroup);
  const messages = rows.map((row) => Object.assign(msgFromRow(row), { rowOrder: row.order }));
  await show(messages);
  for (const msg of messages) if (msg.id.fromMe && msg.ack === ACK.CLOCK) unacknowledged.set(msg.id.id, { msg, settle: [] });
}

/** The server has let this page in: whatever it has not acknowledged is sent again, oldest first. */
export function resend() {
  for (const { msg } of unacknowledged.values()) submit(msg);
}

function submit(msg) {
  const content = Object.fromEntries(Object.entries(rowFromMsg(msg).attributes).filter(([name]) => !LOCAL.has(name)));
  if (content.isCaptionByUser === false) delete content.caption;
  connection.send({ t: "send", id: msg.id.id, to: String(msg.id.remote), ts: msg.t, content });
}

/**
 * WhatsApp's own: two promises, of the message being in the chat and of the server having it. A message with a file
 * (`upload`) is shown first, and on the disk only when the file has been uploaded.
 */
export function addAndSendMsgToChat(chat, data, upload) {
  const known = Msgs.get(data.id);
  const msg = known ?? new MsgModel({ ...data, author: data.id.participant ?? data.from });
  if (known) known.set("ack", Math.max(known.ack, ACK.CLOCK));
  const stored = () => storage.putAll("messages", [rowFromMsg(msg)]);
  const shown = async () => {
    if (!known) await show([msg]);
    return msg;
  };
  const added = upload && !known ? Promise.resolve().then(shown) : stored().then(shown);
  const sent = added.then(async () => {
    if (upload && !known) {
      try {
        await upload(msg);
      } catch (error) {
        console.error("upload failed", error);
        msg.set("ack", ACK.FAILED);
        return { messageSendResult: SendMsgResult.ERROR_UPLOAD, t: msg.t, count: null };
      }
      await stored();
    }
    return submitted(msg);
  });
  return [added, sent];
}

function submitted(msg) {
  return new Promise((resolve, reject) => {
    const waiting = unacknowledged.get(msg.id.id) ?? { msg, settle: [] };
    waiting.settle.push({ resolve, reject });
    unacknowledged.set(msg.id.id, waiting);
    if (connection.ready) submit(msg);
  });
}

/** Send what is not shown as a message: a reaction, an edit, … It is not stored; the result once the server has it. */
export function sendAction(remote, content) {
  const from = createWid(remote.isGroup() || remote.isLid() ? me.login.lid : me.login.wid);
  const id = new MsgKey({ fromMe: true, remote, id: newId(), participant: remote.isGroup() ? from : undefined });
  const msg = new MsgModel({ ...content, id, from, to: remote, t: Math.floor(Date.now() / 1000), ack: ACK.CLOCK });
  msg.transient = true;
  return submitted(msg).then((result) => ({ ...result, key: id }));
}

export async function acknowledged({ id, ack, ts }) {
  const waiting = unacknowledged.get(id);
  if (!waiting) return;
  unacknowledged.delete(id);
  const { msg, settle } = waiting;
  if (!msg.transient) await storage.putAll("messages", [{ ...rowFromMsg(msg), ack: Math.max(msg.ack, ACK.SENT) }]);
  msg.set("ack", Math.max(msg.ack, ACK.SENT));
  settle.forEach(({ resolve }) => resolve({ messageSendResult: SendMsgResult.OK, t: ts, count: null }));
}

/** The server refuses a message; `thrown` is an error that WhatsApp throws instead of giving a result. */
export async function refused({ id, thrown }) {
  const waiting = unacknowledged.get(id);
  if (!waiting) return;
  unacknowledged.delete(id);
  const { msg, settle } = waiting;
  if (!msg.transient) await storage.putAll("messages", [{ ...rowFromMsg(msg), ack: ACK.FAILED }]);
  msg.set("ack", ACK.FAILED);
  for (const { resolve, reject } of settle) {
    if (thrown) reject(new Error(thrown));
    else resolve({ messageSendResult: SendMsgResult.ERROR_UNKNOWN, t: msg.t, count: null });
  }
}

/** A message as the server tells it -> a model. */
function msgFromServer(told, isNewMsg) {
  const remote = createWid(told.chat);
  const author = told.author ? createWid(told.author) : undefined;
  const mine = createWid(remote.isGroup() || remote.isLid() ? me.login.lid : me.login.wid);
  const key = { fromMe: told.fromMe, remote, id: told.id, participant: remote.isGroup() ? author : undefined };
  const { caption, filename, mimetype, type } = told.content;
  const captions = { caption: caption ?? (type === "document" ? filename : undefined), isCaptionByUser: caption !== undefined };
  return new MsgModel({
    ...told.content,
    ...(mimetype ? captions : {}),
    id: new MsgKey(key),
    from: told.fromMe ? mine : remote,
    to: told.fromMe ? remote : mine,
    author,
    self: told.fromMe ? "out" : "in",
    t: told.ts,
    ack: told.ack,
    notifyName: told.notifyName,
    isNewMsg,
  });
}

/** Messages that came in: on the disk before anybody sees them, and before the server may forget them. */
export async function receive(told, isNewMsg) {
  const messages = told.map((each) => msgFromServer(each, isNewMsg)).filter((msg) => !Msgs.get(msg.id));
  for (const { chat, peer, fromMe, notifyName } of told) {
    if (!peer) continue;
    learn(peer.id, peer.lid);
    if (Chats.get(chat)) continue;
    const contact = { ...peer, chat, pushname: fromMe ? undefined : notifyName };
    await storage.putAll("contacts", [contact]);
    addContact(contact);
  }
  await storage.putAll("messages", messages.map(rowFromMsg));
  await show(messages);
}

/** The keys of a message have come that was a ciphertext so far. */
export async function decrypted(told) {
  const { id } = msgFromServer(told, false);
  const msg = Msgs.get(id);
  if (!msg) return;
  const { type, ...rest } = msgFromServer(told, false).attributes;
  await storage.putAll("messages", [{ ...rowFromMsg(msg), attributes: { ...rowFromMsg(msg).attributes, ...told.content } }]);
  for (const name of ["id", "t", "ack", "isNewMsg"]) delete rest[name];
  msg.set(rest);
  msg.set("type", type);
}

/** An entry of a chat that nobody wrote. */
export async function notice(msg) {
  await storage.putAll("messages", [rowFromMsg(msg)]);
  await show([msg]);
}

/** How a chat stands on the phone. */
export function arrange({ id, unreadCount, archive, pin }) {
  const chat = Chats.get(id);
  if (!chat) return;
  if (unreadCount !== undefined) chat.set({ unreadCount });
  if (archive !== undefined) chat.set({ archive, pin: pin ? 1 : 0 });
}

/** Somebody has got, or read, messages of ours. */
export async function receipt({ chat, ids, ack, total, by, ts }) {
  const remote = createWid(chat);
  const told = ids.flatMap((id) => Msgs.filter((msg) => msg.id.fromMe && msg.id.id === id && msg.id.remote.equals(remote)));
  await storage.putAll("messages", told.map((msg) => ({ ...rowFromMsg(msg), ack: Math.max(msg.ack, total) })));
  const module = load(remote.isGroup() ? "WAWebHandleGroupReceipt" : "WAWebHandleChatReceipt");
  const handle = module.handleGroupSimpleReceipt ?? module.handleChatSimpleReceipt;
  await handle({
    from: remote,
    participant: by ? createWid(by) : undefined,
    recipient: undefined,
    externalIds: ids,
    ack,
    ackString: ack >= ACK.READ ? "read" : "delivery",
    ts,
    messages: told,
    total,
  });
}

/** What WhatsApp's own receipt handlers do; they are exported, and page libraries wrap them. */
export async function handleSimpleReceipt({ messages = [], total = 0 }) {
  for (const msg of messages) msg.set("ack", Math.max(msg.ack, total));
}

/** The chat of an id, made if there is none; WhatsApp's own error for a number that does not exist. */
export async function findOrCreateLatestChat(wid) {
  const existing = Chats.get(wid) ?? Chats.get(lidOf(wid)) ?? Chats.get(numberOf(wid));
  if (existing) return { chat: existing, created: false };
  if (wid.isGroup()) {
    const group = await connection.query("group", { wid: String(wid) });
    if (!group) throw new Error("Group metadata not found");
    await storage.putAll("groups", [group]);
    addGroup(group);
    return { chat: Chats.get(wid), created: true };
  }
  const found = await connection.query("exists", { wid: String(wid) });
  if (!found) throw new Error("No LID for user");
  const contact = { id: found.wid, lid: found.lid, chat: found.chat };
  await storage.putAll("contacts", [contact]);
  addContact(contact);
  return { chat: Chats.get(found.chat), created: true };
}

export async function sendSeen(options) {
  const chat = options.chat ?? options;
  if (!chat.unreadCount) return;
  chat.set("unreadCount", 0);
  connection.send({ t: "seen", chat: String(chat.id) });
}
