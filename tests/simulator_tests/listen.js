// What a page adapter does: subscribe as soon as the library is there, and hand every event out.
// Runs right after the bundle, in the same script; `tell` is a DevTools binding.

function report(name, data) {
  tell(JSON.stringify([name, data ?? null, Math.round(performance.now())]));
}

const EVENTS = {
  "chat.new_message": (msg) => ({
    id: String(msg.id),
    body: msg.body,
    type: msg.type,
    from: String(msg.from),
    author: msg.author && String(msg.author),
    fromMe: msg.id.fromMe,
    t: msg.t,
    ack: msg.ack,
  }),
  "chat.msg_ack_change": ({ ack, chat, ids, sender }) => ({
    ack,
    chat: String(chat),
    ids: ids.map(String),
    sender: sender && String(sender),
  }),
  "chat.new_chat": (chat) => String(chat.id),
  "chat.new_reaction": ({ id, msgId, reactionText, sender, timestamp, orphan, read }) => ({
    id: String(id), msgId: String(msgId), reactionText, sender: String(sender), timestamp, orphan, read,
  }),
  "chat.poll_response": ({ msgId, chatId, selectedOptions, sender, timestamp }) => ({
    msgId: String(msgId), chatId: String(chatId), selectedOptions, sender: String(sender), timestamp,
  }),
  "chat.msg_edited": ({ chat, id, msg }) => ({ chat: String(chat), id, body: msg.body, caption: msg.caption }),
  "chat.msg_revoke": ({ author, from, id, refId, to, type }) => ({
    author: author && String(author), from: String(from), id: String(id), refId: String(refId), to: String(to), type,
  }),
  "chat.unread_count_changed": ({ chat, unreadCount, previousUnreadCount }) => ({
    chat: String(chat.id), unreadCount, previousUnreadCount,
  }),
  "chat.presence_change": (presence) => ({ ...presence, id: String(presence.id) }),
  "call.incoming_call": (call) => ({ ...call, sender: String(call.sender), peerJid: String(call.peerJid) }),
  "group.participant_changed": (change) => change,
};
for (const name of [
  "auth_code_change", "authenticated", "logout", "logout_reason", "main_init", "main_ready", "main_loaded",
  "require_auth", "qrcode_idle", "stream_mode_changed", "stream_info_changed", "needs_update", "backend_event",
  "link_code_change", "link_code_expired",
]) {
  EVENTS[`conn.${name}`] = (data) => data;
}
EVENTS["conn.link_code_error"] = (error) => error.message;
for (const [name, plain] of Object.entries(EVENTS)) WPP.on(name, (data) => report(name, plain(data)));

let main = false;
function check() {
  const { Socket, Stream } = WPP.whatsapp;
  const now =
    WPP.isFullReady && WPP.conn.isAuthenticated() && Stream.mode === "MAIN" && Socket.state === "CONNECTED";
  if (now && !main) report("main");
  main = now;
}

report("document");
WPP.loader.onInjected(() => {
  report("loader.Injected");
  WPP.whatsapp.Socket.on("change:state", (_model, state) => report("socket", state));
  WPP.whatsapp.Socket.on("all", check);
  WPP.whatsapp.Stream.on("all", check);
});
WPP.loader.onReady(() => report("loader.Ready"));
WPP.loader.onFullReady(() => {
  report("loader.FullReady");
  setTimeout(check);
});
