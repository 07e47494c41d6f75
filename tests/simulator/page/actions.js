// What is done to a message that is there already: reactions, edits, revocations, votes; and forwarding.
// What page libraries wrap is called through the registry, as WhatsApp does.

import * as chats from "./chats.js";
import { load } from "./graph.js";
import { MsgKey, createWid, newId } from "./ids.js";
import { MEDIA_TYPES } from "./media_models.js";
import { Chats, MsgModel, Msgs, me, rowFromMsg } from "./state.js";
import * as storage from "./storage.js";

const EDITABLE_S = 15 * 60;
const FORWARDED = [
  "type", "body", "caption", "isCaptionByUser", "mimetype", "filename", "size", "filehash", "encFilehash", "directPath", "mediaKey",
  "mediaKeyTimestamp", "lat", "lng", "loc", "vcardFormattedName", "vcardList", "isGif", "duration",
];

function store(msg) {
  return Chats.get(msg.id.remote)?.msgs.get(msg.id) ? storage.putAll("messages", [rowFromMsg(msg)]) : Promise.resolve();
}

/** The row of a reaction, as WhatsApp's own collection takes it. */
function reactionRow(key, msg, sender, text, t) {
  return {
    msgKey: String(key), parentMsgKey: String(msg.id), senderUserJid: String(sender), reactionText: text,
    orphan: 0, read: false, timestamp: t, t,
  };
}

export async function addOrUpdateReactions(row) {
  const msg = Msgs.get(row.parentMsgKey);
  const { [row.senderUserJid]: _previous, ...others } = msg.reactions ?? {};
  msg.set("reactions", row.reactionText ? { ...others, [row.senderUserJid]: row } : others);
  msg.set("hasReaction", Object.keys(msg.reactions).length > 0);
  await store(msg);
}

/** A reaction goes into a table and into the models; libraries watch the one or the other. */
async function react(key, msg, sender, text, t) {
  const row = { id: key, reactionParentKey: msg.id, reactionText: text, reactionTimestamp: t * 1000, from: sender, orphan: 0, read: false };
  await load("WAWebAddonReactionTableMode").reactionTableMode.bulkUpsert([row]);
  await load("WAWebReactionsMsgAction").addOrUpdateReactionsModelCollection(reactionRow(key, msg, sender, text, t), true);
}

export async function sendReactionToMsg(msg, text) {
  const { key, messageSendResult, t } = await chats.sendAction(msg.id.remote, { type: "reaction", target: msg.id.id, text });
  if (messageSendResult === "OK") await react(key, msg, key.participant ?? createWid(me.login.wid), text, t);
  return messageSendResult;
}

/** What was said about a message, one entry for each emoji. */
export async function getReactions(key) {
  const rows = Object.values(Msgs.get(key)?.reactions ?? {});
  const mine = (row) => [me.login.wid, me.login.lid].includes(row.senderUserJid);
  const emojis = [...new Set(rows.map((row) => row.reactionText))];
  const reactions = emojis.map((aggregateEmoji) => {
    const senders = rows.filter((row) => row.reactionText === aggregateEmoji);
    return { aggregateEmoji, hasReactionByMe: senders.some(mine), senders };
  });
  return { reactions, reactionByMe: rows.find(mine) };
}

// Edits

function young(msg) {
  return msg.id.fromMe && msg.ack > 0 && Date.now() / 1000 - msg.t < EDITABLE_S;
}

export function canEditText(msg) {
  return msg.type === "chat" && young(msg);
}

export function canEditCaption(msg) {
  return ["image", "video", "document"].includes(msg.type) && Boolean(msg.caption) && young(msg);
}

async function edit(msg, text, key, t) {
  msg.set(msg.type === "chat" ? { body: text } : { caption: text, isCaptionByUser: true });
  msg.set({ latestEditSenderTimestampMs: t * 1000, latestEditMsgKey: key });
  await store(msg);
}

export async function addAndSendMessageEdit(msg, { body }) {
  const { key, t, messageSendResult } = await chats.sendAction(msg.id.remote, { type: "protocol", subtype: "message_edit", target: msg.id.id, body });
  if (messageSendResult === "OK") await edit(msg, body, key, t);
}

// Revocations and deletions

async function revoke(msg, subtype) {
  msg.set({ body: undefined, caption: undefined, subtype: subtype === "admin_revoke" ? "admin" : "sender" });
  msg.set("type", "revoked");
  await store(msg);
}

export async function sendRevokeMsgs(chat, { list }) {
  for (const msg of list) {
    const subtype = msg.id.fromMe ? "sender_revoke" : "admin_revoke";
    const { messageSendResult } = await chats.sendAction(chat.id, { type: "protocol", subtype, target: msg.id.id });
    if (messageSendResult === "OK") await revoke(msg, subtype);
  }
}

/** Delete here alone. */
export async function sendDeleteMsgs(chat, { list }) {
  await storage.remove("messages", list.map((msg) => String(msg.id)));
  for (const msg of list) {
    chat.msgs.remove(msg.id);
    Msgs.remove(msg.id);
  }
}

// Votes

export async function upsertVotes(rows) {
  for (const row of rows) {
    const msg = Msgs.get(row.parentMsgKey);
    const { selectedOptionLocalIds, senderTimestampMs } = row;
    msg.set("votes", { ...msg.votes, [row.sender]: { selectedOptionLocalIds, senderTimestampMs } });
    await store(msg);
  }
}

export async function getVotes(keys) {
  return keys.flatMap((key) =>
    Object.entries(Msgs.get(key)?.votes ?? {}).map(([sender, vote]) => ({ ...vote, parentMsgKey: key, sender: createWid(sender) })),
  );
}

// What others did

export async function receive({ id, chat, fromMe, by, target, ts, content }) {
  const remote = createWid(chat);
  const msg = Msgs.get(new MsgKey({ ...target, remote }));
  if (!msg) return;
  const author = createWid(by);
  const key = new MsgKey({ fromMe, remote, id, participant: remote.isGroup() ? author : undefined });
  if (content.type === "reaction") await react(key, msg, author, content.text, ts);
  else if (content.type === "poll_update") {
    const chosen = msg.pollOptions.filter((option) => content.options.includes(option.name)).map((option) => option.localId);
    const vote = { selectedOptionLocalIds: chosen, sender: author };
    const row = { ...vote, id: key, pollUpdateParentKey: msg.id, t: Date.now(), from: author };
    await load("WAWebAddonPollVoteTableMode").pollVoteTableMode.bulkUpsert([row]);
    await load("WAWebPollsUpsertVotes").upsertVotesDb([{ ...vote, parentMsgKey: msg.id, msgKey: key, senderTimestampMs: Date.now() }]);
  } else if (content.subtype === "message_edit") await edit(msg, content.body, key, ts);
  else {
    const mine = createWid(me.login.wid);
    const told = { id: key, from: fromMe ? mine : remote, to: fromMe ? remote : mine, author, t: ts, isNewMsg: true };
    await Msgs.processMultipleMessages(remote, [new MsgModel({ ...told, type: "protocol", subtype: content.subtype, protocolMessageKey: msg.id })]);
    await revoke(msg, content.subtype);
  }
}

/** WhatsApp's own: the same content again, as a message of ours in another chat. */
export async function forwardMessages({ chat, msgs, includeCaption = true }) {
  const from = createWid(chat.id.isGroup() || chat.id.isLid() ? me.login.lid : me.login.wid);
  const results = [];
  for (const msg of msgs) {
    const content = Object.fromEntries(FORWARDED.filter((name) => msg[name] !== undefined).map((name) => [name, msg[name]]));
    if (MEDIA_TYPES.includes(msg.type) && !includeCaption) delete content.caption;
    const id = new MsgKey({ fromMe: true, remote: chat.id, id: newId(), participant: chat.id.isGroup() ? from : undefined });
    const score = { isForwarded: true, forwardingScore: (msg.forwardingScore ?? 0) + 1 };
    const data = { ...content, ...score, id, from, to: chat.id, self: "out", isNewMsg: true, ack: 0, t: Math.floor(Date.now() / 1000) };
    results.push(...chats.addAndSendMsgToChat(chat, data).slice(1));
  }
  return Promise.all(results);
}
