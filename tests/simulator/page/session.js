// The life of this page: codes, linking, being connected, being logged out.

import * as actions from "./actions.js";
import * as chats from "./chats.js";
import { Connection } from "./connection.js";
import * as faults from "./faults.js";
import { SOCKET_STATE, STREAM_MODES, VERSION_STR } from "./constants.js";
import { load } from "./graph.js";
import { createWid, learn } from "./ids.js";
import * as happenings from "./happenings.js";
import { Chats, Cmd, Conn, Presences, Socket, Stream, addContact, addGroup, me } from "./state.js";
import * as storage from "./storage.js";

const GOODBYE_MS = 300; // between telling that we are logged out and loading the page anew

let work = Promise.resolve();
let leaving = false;

export const connection = new Connection({
  opening() {
    if (Socket.state !== SOCKET_STATE.UNPAIRED) Socket.state = SOCKET_STATE.OPENING;
    if (me.login) Stream.info = Stream.mode === "MAIN" ? "CONNECTING" : "OPENING";
  },
  opened() {
    const { device, keys } = me.identity;
    const login = me.login ? { wid: me.login.wid, synced: me.login.synced } : {};
    connection.send({ t: "hello", device, keys, name: deviceName(), version: VERSION_STR, ...login });
  },
  lost() {
    Socket.set({ state: SOCKET_STATE.TIMEOUT, stream: "DISCONNECTED" });
    Stream.info = "OFFLINE";
    Conn.set({ ref: undefined, connected: false });
  },
  frame(frame) {
    // One after the other: what is told later must not overtake what is being stored.
    work = work.then(() => (leaving ? undefined : handle(frame))).catch((error) => console.error("frame failed", frame.t, error));
  },
});

function deviceName() {
  return load("WAWebMiscBrowserUtils").default.info().os;
}

export async function start() {
  chats.attach(connection);
  Presences.subscribed = (id) => connection.send({ t: "presence", chat: String(id) });
  if (me.login) {
    Conn.platform = me.login.platform;
    learn(me.login.wid, me.login.lid);
    await chats.restore();
  }
  connection.open();
}

async function handle(frame) {
  switch (frame.t) {
    case "ref":
      Socket.state = SOCKET_STATE.UNPAIRED;
      Stream.set({ mode: "QR", info: "NORMAL" });
      connection.becomeReady();
      Conn.ref = frame.ref;
      break;
    case "idle":
      Socket.state = SOCKET_STATE.UNPAIRED_IDLE;
      Conn.ref = undefined;
      break;
    case "pair_success":
      Conn.ref = undefined;
      Socket.state = SOCKET_STATE.PAIRING;
      Stream.info = "PAIRING";
      await storeLogin({ ...frame.account, synced: false });
      connection.send({ t: "paired", name: deviceName() });
      break;
    case "welcome":
      me.mediaAuth = frame.mediaAuth;
      await storeLogin({ ...frame.account, synced: me.login.synced });
      Socket.set({ state: SOCKET_STATE.CONNECTED, stream: "SYNCING" });
      Stream.set(Stream.mode === "MAIN" ? { info: "RESUMING" } : { mode: "SYNCING", info: "SYNCING" });
      Conn.connected = true;
      break;
    case "sync":
      await synchronise(frame);
      chats.resend();
      connection.becomeReady();
      break;
    case "up_to_date":
      Socket.set({ stream: "CONNECTED", hasSynced: true });
      Stream.set({ mode: "MAIN", info: "NORMAL" });
      if (!Cmd.isMainLoaded) {
        Cmd.isMainLoaded = true;
        Cmd.trigger("main_loaded");
      }
      break;
    case "ack":
      return chats.acknowledged(frame);
    case "nack":
      return chats.refused(frame);
    case "msg":
      await chats.receive([frame.msg], true);
      break;
    case "receipt":
      await chats.receipt(frame);
      break;
    case "action":
      await actions.receive(frame);
      break;
    case "decrypted":
      await chats.decrypted(frame.msg);
      break;
    case "chat":
      chats.arrange(frame.chat);
      break;
    case "presence":
      Presences.gadd(createWid(frame.chat)).tell(createWid(frame.by), frame.state);
      break;
    case "call":
      happenings.call(frame);
      break;
    case "group_change":
      await happenings.groupChange(frame);
      break;
    case "link_code":
      load("WAWebLinkDeviceEvents").WAWebLinkDeviceEvents.trigger(`link_device_events:${frame.event}`);
      break;
    case "contact":
      await storage.putAll("contacts", [frame.contact]);
      addContact(frame.contact);
      break;
    case "group":
      await storage.putAll("groups", [frame.group]);
      addGroup(frame.group);
      break;
    case "state":
      pushed(frame);
      break;
    case "fault":
      faults.happen(frame);
      break;
    case "backend_event":
      load("WAWebBackendEventBus").BackendEventBus.trigger(frame.name);
      break;
    case "logout":
      await leave(frame.reason);
      break;
    default:
      console.error("unknown frame", frame.t);
  }
  if (frame.seq) connection.send({ t: "received", seqs: [frame.seq] });
}

async function storeLogin(login) {
  await storage.putKey("login", login);
  me.login = login;
  learn(login.wid, login.lid);
  Conn.platform = login.platform;
}

async function synchronise({ chats: told, contacts, groups, history }) {
  await storage.putAll("contacts", contacts);
  await storage.putAll("groups", groups);
  contacts.forEach(addContact);
  groups.forEach(addGroup);
  await chats.receive(history, false);
  for (const chat of Chats.getModelsArray()) chats.arrange(told.find((each) => each.id === String(chat.id)) ?? { id: chat.id, unreadCount: 0 });
  if (!me.login.synced) await storeLogin({ ...me.login, synced: true });
}

/** The server (a test, that is) puts us in a state of its choice. */
function pushed({ state, mode, info, needsUpdate }) {
  if (state === SOCKET_STATE.CONFLICT) connection.stop();
  const streamMode = mode ?? (STREAM_MODES.includes(state) ? state : state === SOCKET_STATE.CONNECTED ? "MAIN" : Stream.mode);
  Socket.state = state;
  Stream.set({ mode: streamMode, info: info ?? Stream.info, needsUpdate: needsUpdate ?? Stream.needsUpdate });
}

/** We are not linked any more: say so, forget everything, begin anew. */
async function leave(reason) {
  leaving = true;
  connection.stop();
  const reasons = load("WAWebLogoutReason");
  reasons.setPrevLogoutReasonCode(reasons.getErrorCodeFromLogoutReason(reason));
  Socket.set({ state: SOCKET_STATE.UNPAIRED, stream: "DISCONNECTED" });
  Cmd.isMainLoaded = false;
  Cmd.trigger("logout", reason);
  await storage.clear();
  me.login = undefined;
  setTimeout(() => location.reload(), GOODBYE_MS);
}

export function logout() {
  if (connection.ready) connection.send({ t: "logout" });
  else work = work.then(() => leave("user_initiated"));
}

/** Here, and nowhere else: what a click on "use here" does after a CONFLICT. */
export function takeover() {
  connection.open();
}

export function refreshQR() {
  connection.send({ t: "refresh_qr" });
}
