// The bridge: the few lines that run inside WhatsApp Web, between wa-js (window.WPP) and the daemon.
//
// It reports through one DevTools binding (`tell`), as JSON with a `type`, and offers `window.__wasup` for the
// daemon to call. It decides nothing: which status a state means, or what follows a failure, is the daemon's
// business. Everything it sends is treated by the daemon as the word of a stranger.
//
// It is evaluated once per document, right after the page library; WPP_BINDING is replaced by the binding's name,
// the mark below by the files of bridge/, which share this function's scope.
(() => {
  'use strict';
  const WPP = window.WPP;
  const send = window.WPP_BINDING;
  if (!WPP || window.__wasup || typeof send !== 'function') return;

  const tell = (type, data) => send(JSON.stringify({ type, ...data }));
  const text = (value) => (value === undefined || value === null ? null : String(value).toWellFormed());
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

  // What the daemon may call: each part adds its own.
  const offers = {};

  // Scripts that the network did not bring: without one of them the page may never come to life.
  let lostScripts = 0;
  window.addEventListener('error', (event) => (lostScripts += event.target?.tagName === 'SCRIPT'), true);
  // BRIDGE_PARTS

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
  offers.takeOver = async () => {
    await WPP.whatsapp.Socket.takeover();
  };
  offers.refreshQr = () => WPP.conn.refreshQR().then(() => null);
  window.__wasup = Object.freeze({
    ...Object.fromEntries(Object.entries(offers).map(([name, call]) => [name, answered(call)])),
    lostScripts: () => lostScripts,
  });

  WPP.on('conn.qrcode_idle', () => tell('idle', {}));
  WPP.on('conn.backend_event', (name) => {
    if (name === 'account_temporarily_banned') tell('banned', { event: name });
  });
  WPP.on('conn.logout', () => tell('logout', {}));
  for (const event of ['conn.stream_mode_changed', 'conn.main_ready', 'conn.authenticated']) WPP.on(event, observe);
  WPP.on('loader.full_ready', () => setTimeout(() => {
    listening = true;
    verify();
    observe();
  }, 0));
  WPP.on('loader.injected', () => {
    WPP.whatsapp.Socket.on('change:state', observe);
    observe();
  });
})();
