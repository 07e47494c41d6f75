// Messages out: chats, keys, files, and every kind of content under the id that the daemon chose.

const failure = (code, message) => Object.assign(new Error(message), { code });

const fullKey = async (chat, id) => {
  const template = await WPP.chat.generateMessageID(chat); // knows which chats want a participant
  return template.toString().split(template.id).join(id);
};

// Who has this number, or null where WhatsApp says that nobody has: wa-js says so too when it could not ask, and
// goes on to for a quarter of a minute.
const whoIs = async (chatId) => {
  const known = await WPP.contact.queryWidExists(chatId);
  if (known) return known;
  const wid = WPP.whatsapp.WidFactory.createWid(chatId);
  const asked = await WPP.whatsapp.functions.queryWidExists(wid).catch((error) => ({ error }));
  if (WPP.whatsapp.Socket.state !== 'CONNECTED') throw failure('NOT_READY', 'not connected');
  if (asked && asked.error) throw asked.error;
  return asked;
};

const resolveChat = async (to) => {
  const known = attempt(() => WPP.chat.get(to));
  if (known) return known;
  let target = to;
  if (to.endsWith('@c.us')) {
    const found = await whoIs(to);
    if (!found) throw failure('RECIPIENT_NOT_FOUND', `${to} is not on WhatsApp`);
    target = found.wid;
  }
  return WPP.chat.find(target);
};

// Whether a message of ours is known to the page: 'unknown', or how far it has come (-1 failed, 0 not yet
// acknowledged, 1 and more acknowledged).
const outcome = async (key) => {
  try {
    return (await WPP.chat.getMessageById(key)).ack ?? 0;
  } catch (error) {
    if (error && error.code === 'msg_not_found') return 'unknown';
    throw error;
  }
};

// Files cross in pieces: one long DevTools message would hold up all others.
const held = new Map();
offers.hold = ({ token, data }) => {
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  held.set(token, [...(held.get(token) ?? []), bytes]);
};
offers.release = ({ token }) => {
  held.delete(token);
};
const fileOf = (token, { mimetype, filename }) => {
  const pieces = held.get(token);
  held.delete(token);
  if (!pieces) throw failure('NOT_READY', 'the file is not here');
  return new File(pieces, filename ?? 'file', { type: mimetype });
};

const vcards = (contacts) => contacts.map(({ chatId, name }) => ({ id: chatId, name }));
const senders = {
  text: (chatId, { body }, options) => WPP.chat.sendTextMessage(chatId, body, options),
  media: (chatId, content, options) =>
    WPP.chat.sendFileMessage(chatId, fileOf(content.token, content), {
      ...options,
      type: content.kind,
      caption: content.caption ?? undefined,
      filename: content.filename,
      mimetype: content.mimetype,
      isPtt: content.ptt,
    }),
  location: (chatId, { latitude, longitude, name, address }, options) =>
    WPP.chat.sendLocationMessage(chatId, {
      ...options,
      lat: latitude,
      lng: longitude,
      name: name ?? undefined,
      address: address ?? undefined,
    }),
  contact: (chatId, { contacts }, options) => WPP.chat.sendVCardContactMessage(chatId, vcards(contacts), options),
  poll: (chatId, { question, options: choices, multiple }, options) =>
    WPP.chat.sendCreatePollMessage(chatId, question, choices, { ...options, selectableCount: multiple ? 0 : 1 }),
  reaction: (chatId, { messageId, emoji }) => WPP.chat.sendReactionToMessage(messageId, emoji),
};

// Sends a content under the id that the daemon chose. With `check`, asks the page about that id first.
// Resolves when WhatsApp's server has acknowledged it, or has refused it (`result`).
offers.deliver = async ({ to, id, kind, content, quotedId, mentions, check }) => {
  // A page that has just loaded again: nothing can be done with it, and nothing has been, before wa-js has begun.
  if (!WPP.isInjected) throw failure('NOT_READY', 'the page is still loading');
  const chat = await resolveChat(to);
  const key = await fullKey(chat, id);
  const chatId = chat.id.toString();
  tell('resolved', { id, key, chatId });
  if (check) {
    const ack = await outcome(key);
    if (ack !== 'unknown' && ack >= 0) return { ack, result: null };
    // wa-js waits for a file to be added to the chat: for ever, if a failed one is there under that id.
    if (ack !== 'unknown' && kind === 'media') await WPP.chat.deleteMessage(chatId, key, false, false);
  }
  const options = {
    messageId: key,
    waitForAck: true,
    markIsRead: false,
    detectMentioned: false,
    linkPreview: false,
  };
  if (quotedId) options.quotedMsg = quotedId;
  if (mentions && mentions.length) options.mentionedList = mentions;
  const sent = await senders[kind](chatId, content, options);
  const result = sent.sendMsgResult && (sent.sendMsgResult.messageSendResult ?? sent.sendMsgResult);
  return { ack: Number(sent.ack) || 0, result: text(result) };
};
