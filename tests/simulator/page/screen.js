// Something to look at: the code while there is one, the chats when there are some.

import { Chats, Conn, Socket, Stream } from "./state.js";
import { load } from "./graph.js";

const status = document.getElementById("status");
const screen = document.getElementById("screen");

function element(name, text, attributes = {}) {
  const made = Object.assign(document.createElement(name), { textContent: text });
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

async function drawCode(ref) {
  const keys = load("WAWebUserPrefsInfoStore") && (await codeKeys());
  const code = [ref, ...keys].join(",");
  const rows = await (await fetch("/qr", { method: "POST", body: code })).json();
  if (Conn.ref !== ref) return;
  const canvas = element("canvas", "", { role: "img", "aria-label": "Scan this QR code to link a device!" });
  canvas.width = canvas.height = rows.length;
  const brush = canvas.getContext("2d");
  rows.forEach((row, y) => row.forEach((dark, x) => dark && brush.fillRect(x, y, 1, 1)));
  const frame = element("div", "", { "data-ref": code });
  frame.append(canvas);
  screen.replaceChildren(element("h2", "Scan to log in"), frame);
}

async function codeKeys() {
  const { encodeB64 } = load("WABase64");
  const noise = await load("WAWebUserPrefsInfoStore").waNoiseInfo.get();
  const registration = await load("WAWebSignalStoreApi").waSignalStore.getRegistrationInfo();
  return [encodeB64(noise.staticKeyPair.pubKey), encodeB64(registration.identityKeyPair.pubKey), load("WAWebAdvSignatureApi").getADVSecretKey()];
}

function draw() {
  status.textContent = `${Socket.state} · ${Stream.mode} · ${Stream.info}`;
  if (Conn.ref) {
    drawCode(Conn.ref).catch((error) => console.error("cannot draw the code", error));
  } else if (Socket.state === "UNPAIRED_IDLE") {
    screen.replaceChildren(element("button", "Click to reload QR code"));
  } else if (Stream.mode === "MAIN") {
    const list = element("ul", "", { id: "pane-side", "aria-label": "Chat list" });
    list.append(...Chats.map((chat) => element("li", `${chat.formattedTitle}: ${chat.msgs.last()?.body ?? ""}`)));
    screen.replaceChildren(element("h2", "Chats"), list);
  } else {
    screen.replaceChildren(element("h2", "Loading your chats"));
  }
}

let asked = false;
function soon() {
  if (asked) return;
  asked = true;
  setTimeout(() => {
    asked = false;
    draw();
  });
}

export function install() {
  for (const model of [Conn, Socket, Stream, Chats]) model.on("all", soon);
  soon();
}
