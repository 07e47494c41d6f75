// Messages that are there: as they come, what happens to them, their files, and catching up.

const timeOf = (msg) => Number(msg.t) || null;
const location = (msg) =>
  msg.type === 'location' ? { latitude: Number(msg.lat), longitude: Number(msg.lng), name: text(msg.loc) } : null;
const spoken = (msg) => {
  if (msg.type === 'chat') return msg.body;
  if (msg.type === 'poll_creation') return msg.pollName;
  if (msg.type === 'vcard') return msg.vcardFormattedName;
  return msg.isCaptionByUser === false ? null : msg.caption;
};
const serialise = (msg) => ({
  key: text(msg.id),
  id: text(msg.id.id),
  fromMe: Boolean(msg.id.fromMe),
  chatId: text(msg.id.remote),
  author: text(msg.author ?? msg.id.participant ?? msg.from),
  to: text(msg.to),
  kind: text(msg.type),
  text: text(spoken(msg)),
  mimetype: text(msg.mimetype),
  filename: text(msg.filename),
  bytes: Number.isSafeInteger(msg.size) ? msg.size : null,
  quotedId: text(attempt(() => msg.quotedStanzaID)),
  mentions: (attempt(() => msg.mentionedJidList) ?? []).map(text),
  options: (attempt(() => msg.pollOptions) ?? []).map((option) => text(option.name)),
  location: location(msg),
  timestamp: timeOf(msg),
  ack: Number.isSafeInteger(msg.ack) ? msg.ack : null,
});

WPP.on('chat.new_message', (msg) => {
  if (msg.type !== 'ciphertext') tell('message', { message: serialise(msg), recovered: false });
});
const tellAck = (id, ack) => tell('ack', { key: text(id), id: text(id.id), ack: Number(ack) });
WPP.on('chat.msg_ack_change', ({ ack, ids }) => {
  // In a group this is one member's receipt; the message's own ack says when all have it.
  for (const id of ids) if (id.fromMe && !id.remote.isGroup()) tellAck(id, ack);
});
WPP.on('loader.injected', () => {
  WPP.whatsapp.MsgStore.on('change:ack', (msg) => {
    if (msg.id.fromMe && msg.ack > 0) tellAck(msg.id, msg.ack);
  });
});

// -- what happens to them

WPP.on('chat.msg_edited', ({ id, msg }) =>
  tell('edited', { key: text(id), text: text(msg.type === 'chat' ? msg.body : msg.caption) ?? '' }),
);
WPP.on('chat.msg_revoke', ({ refId }) => tell('revoked', { key: text(refId) }));
WPP.on('chat.new_reaction', ({ msgId, sender, reactionText }) =>
  tell('reaction', { key: text(msgId), sender: text(sender), emoji: text(reactionText) ?? '' }),
);
WPP.on('chat.poll_response', ({ msgId, sender, selectedOptions }) =>
  tell('vote', {
    key: text(msgId),
    sender: text(sender),
    options: Object.values(selectedOptions ?? {})
      .map((option) => text(option && option.name))
      .filter((name) => name !== null),
  }),
);

const chatOf = async (key) => (await WPP.chat.getMessageById(key)).id.remote;
offers.edit = async ({ key, text: body }) => {
  await WPP.chat.editMessage(key, body);
};
offers.remove = async ({ key, forEveryone }) => {
  const done = await WPP.chat.deleteMessage(await chatOf(key), key, false, forEveryone);
  if (text(done.sendMsgResult) !== 'OK') throw new Error(`WhatsApp answered ${text(done.sendMsgResult)}`);
  if (forEveryone && !done.isRevoked) throw new Error('WhatsApp did not delete it for everyone');
};
offers.react = async ({ key, emoji }) => {
  await WPP.chat.sendReactionToMessage(key, emoji);
};
offers.markRead = async ({ key }) => {
  await WPP.chat.markIsRead(await chatOf(key));
};
offers.forward = async ({ key, to }) => {
  const chat = await resolveChat(to);
  await WPP.chat.forwardMessages(chat.id, [key], { displayCaptionText: true });
};

// -- their files, read in pieces

const opened = new Map();
const base64 = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
offers.open = async ({ key, token }) => {
  const blob = await WPP.chat.downloadMedia(key);
  opened.set(token, blob);
  return { bytes: blob.size, mimetype: text(blob.type) };
};
offers.read = async ({ token, offset, bytes }) => base64(opened.get(token).slice(offset, offset + bytes));
offers.close = ({ token }) => {
  opened.delete(token);
};

// -- what the page has of messages since a time (seconds), oldest first: told one by one, as `recovered`. The answer
// is how many, and when that was by WhatsApp's clock, as messages are: this machine's may be wrong.

const PAGE = 50;
const MOST_A_CHAT = 2000;
const missedOf = async (chat, since) => {
  const missed = [];
  let oldest;
  for (let count = 0; count < MOST_A_CHAT; count += PAGE) {
    const batch = await WPP.chat.getMessages(chat.id, { count: PAGE, direction: 'before', id: oldest });
    const recent = batch.filter((msg) => timeOf(msg) >= since);
    missed.push(...recent);
    if (recent.length < batch.length || batch.length < PAGE - 1) break;
    oldest = text(batch.reduce((a, b) => (timeOf(a) <= timeOf(b) ? a : b)).id);
  }
  return missed;
};
offers.catchUp = async (since) => {
  const began = attempt(() => WPP.whatsapp.functions.unixTime());
  const missed = [];
  let failed = null;
  for (const chat of WPP.whatsapp.ChatStore.getModelsArray()) {
    if (!(timeOf(chat) >= since)) continue;
    try {
      missed.push(...(await missedOf(chat, since)));
    } catch (error) {
      failed ??= error; // of one that was deleted just now, say: what the others have is told all the same
    }
  }
  missed.sort((a, b) => timeOf(a) - timeOf(b));
  for (const [place, msg] of missed.entries()) {
    tell('message', { message: serialise(msg), recovered: true });
    if (place % 200 === 199) await new Promise((resume) => setTimeout(resume)); // the daemon takes it in meanwhile
  }
  if (failed) throw failed;
  return { told: missed.length, began };
};
