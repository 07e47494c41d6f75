// The bridge: the few lines that run inside WhatsApp Web, between wa-js (window.WPP) and the daemon.
//
// It reports through one DevTools binding (`tell`), as JSON with a `type`, and offers `window.__wasup` for the
// daemon to call. It decides nothing: which status a state means, or what follows a failure, is the daemon's
// business. Everything it sends is treated by the daemon as the word of a stranger.
//
// It is evaluated once per document, right after the page library; WPP_BINDING is replaced by the binding's name.
(() => {
  'use strict';
  const WPP = window.WPP;
  const send = window.WPP_BINDING;
  if (!WPP || window.__wasup || typeof send !== 'function') return;

  const tell = (type, data) => send(JSON.stringify({ type, ...data }));
  const text = (value) => (value === undefined || value === null ? null : String(value));
  const attempt = (read) => {
    try {
      return read() ?? null;
    } catch {
      return null;
    }
  };

  // -- what the page is doing

  const state = () => {
    const authenticated = Boolean(attempt(() => WPP.conn.isAuthenticated()));
    return {
      socket: text(attempt(() => WPP.whatsapp.Socket.state)),
      mode: text(attempt(() => WPP.conn.getStreamData().mode)),
      authenticated,
      ready: listening,
      wid: authenticated ? text(attempt(() => WPP.conn.getMyUserWid())) : null,
      platform: authenticated ? text(attempt(() => WPP.conn.getPlatform())) : null,
      deviceModel: authenticated ? text(attempt(() => WPP.whatsapp.Conn.phone.device_model)) : null,
      version: text(attempt(() => WPP.conn.getBuildConstants().VERSION_STR)),
      library: text(WPP.version),
    };
  };

  // Whether wa-js' own listeners are all in place: it adds some one tick after it says that it is ready.
  let listening = false;
  let last = '';
  const observe = () => {
    const now = state();
    const key = JSON.stringify(now);
    if (key === last) return;
    last = key;
    tell('state', now);
  };

  // -- messages

  const timeOf = (msg) => Number(msg.t) || null;
  const serialise = (msg) => ({
    key: text(msg.id),
    id: text(msg.id.id),
    fromMe: Boolean(msg.id.fromMe),
    chatId: text(msg.id.remote),
    author: text(msg.author ?? msg.id.participant ?? msg.from),
    to: text(msg.to),
    kind: text(msg.type),
    text: text(msg.caption ?? (msg.type === 'chat' ? msg.body : null)),
    mimetype: text(msg.mimetype),
    filename: text(msg.filename),
    bytes: Number.isSafeInteger(msg.size) ? msg.size : null,
    quotedId: text(attempt(() => msg.quotedStanzaID)),
    timestamp: timeOf(msg),
    ack: Number.isSafeInteger(msg.ack) ? msg.ack : null,
  });

  const fullKey = async (chat, id) => {
    const template = await WPP.chat.generateMessageID(chat); // knows which chats want a participant
    return template.toString().split(template.id).join(id);
  };

  const failure = (code, message) => Object.assign(new Error(message), { code });
  const resolveChat = async (to) => {
    const known = attempt(() => WPP.chat.get(to));
    if (known) return known;
    let target = to;
    if (to.endsWith('@c.us')) {
      const found = await WPP.contact.queryWidExists(to);
      // A query that failed gives null as well.
      if (!found && WPP.whatsapp.Socket.state !== 'CONNECTED') throw failure('NOT_READY', 'not connected');
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

  // Sends a text under the id that the daemon chose. With `check`, asks the page about that id first.
  // Resolves when WhatsApp's server has acknowledged it, or has refused it (`result`).
  const deliver = async ({ to, id, body, quotedId, mentions, check }) => {
    const chat = await resolveChat(to);
    const key = await fullKey(chat, id);
    const chatId = chat.id.toString();
    tell('resolved', { id, key, chatId });
    if (check) {
      const ack = await outcome(key);
      if (ack !== 'unknown' && ack >= 0) return { ack, result: null };
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
    const sent = await WPP.chat.sendTextMessage(chatId, body, options);
    const result = sent.sendMsgResult && (sent.sendMsgResult.messageSendResult ?? sent.sendMsgResult);
    return { ack: Number(sent.ack) || 0, result: text(result) };
  };

  // What the page has of messages since a time (seconds), oldest first: told one by one as `message`, `recovered`.
  const PAGE = 50;
  const MOST_A_CHAT = 2000;
  const catchUp = async (since) => {
    const missed = [];
    for (const chat of WPP.whatsapp.ChatStore.getModelsArray()) {
      if (!(timeOf(chat) >= since)) continue;
      let oldest;
      for (let count = 0; count < MOST_A_CHAT; count += PAGE) {
        const batch = await WPP.chat.getMessages(chat.id, { count: PAGE, direction: 'before', id: oldest });
        const recent = batch.filter((msg) => timeOf(msg) >= since);
        missed.push(...recent);
        if (recent.length < batch.length || batch.length < PAGE - 1) break;
        oldest = text(batch.reduce((a, b) => (timeOf(a) <= timeOf(b) ? a : b)).id);
      }
    }
    missed.sort((a, b) => timeOf(a) - timeOf(b));
    for (const msg of missed) tell('message', { message: serialise(msg), recovered: true });
    return missed.length;
  };

  // -- what is offered to the daemon, and what is told without being asked

  const describe = (error) => ({
    name: text(error && error.name) || 'Error',
    message: text(error && error.message) || text(error),
    code: text(error && error.code),
  });
  const answered = (call) => async (argument) => {
    try {
      return { value: (await call(argument)) ?? null };
    } catch (error) {
      return { error: describe(error) };
    }
  };
  window.__wasup = Object.freeze({
    deliver: answered(deliver),
    catchUp: answered(catchUp),
    refreshQr: answered(() => WPP.conn.refreshQR().then(() => null)),
    probe: () => true,
  });

  WPP.on('conn.auth_code_change', (code) => tell('qr', { code: text(code && code.fullCode) }));
  WPP.on('conn.qrcode_idle', () => tell('idle', {}));
  WPP.on('conn.logout', () => tell('logout', {}));
  WPP.on('chat.new_message', (msg) => {
    if (msg.type !== 'ciphertext') tell('message', { message: serialise(msg), recovered: false });
  });
  const tellAck = (id, ack) => tell('ack', { key: text(id), id: text(id.id), ack: Number(ack) });
  WPP.on('chat.msg_ack_change', ({ ack, ids }) => {
    // In a group this is one member's receipt; the message's own ack says when all have it.
    for (const id of ids) if (id.fromMe && !id.remote.isGroup()) tellAck(id, ack);
  });
  for (const event of ['conn.stream_mode_changed', 'conn.main_ready', 'conn.authenticated']) WPP.on(event, observe);
  WPP.on('loader.full_ready', () => setTimeout(() => {
    listening = true;
    observe();
  }, 0));
  WPP.on('loader.injected', () => {
    WPP.whatsapp.Socket.on('change:state', observe);
    WPP.whatsapp.MsgStore.on('change:ack', (msg) => {
      if (msg.id.fromMe && msg.ack > 0) tellAck(msg.id, msg.ack);
    });
    observe();
  });
})();
