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
};
for (const name of [
  "auth_code_change", "authenticated", "logout", "logout_reason", "main_init", "main_ready", "main_loaded",
  "require_auth", "qrcode_idle", "stream_mode_changed", "stream_info_changed", "needs_update", "backend_event",
  "link_code_change",
]) {
  EVENTS[`conn.${name}`] = (data) => data;
}
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
