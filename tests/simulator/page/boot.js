// Starts the page: what is stored first, then the modules, then the connection.

import { holdBack } from "./graph.js";
import * as faults from "./faults.js";
import * as conn from "./modules_conn.js";
import * as action from "./modules_actions.js";
import * as chat from "./modules_chat.js";
import * as media from "./modules_media.js";
import * as stubs from "./modules_stubs.js";
import * as arrange from "./modules_arrange.js";
import * as screen from "./screen.js";
import { start } from "./session.js";
import { Stream, me } from "./state.js";
import * as storage from "./storage.js";

function random(size) {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(size))));
}

const fault = faults.ofThisDocument();
if (fault === "no_library") delete window.WPP;
const late = faults.LATE[fault];
if (late) holdBack(late);
else if (fault) throw new Error(`this document is to fail: ${fault}`);
await storage.open();
me.identity = await storage.getKey("identity");
if (!me.identity) {
  me.identity = { device: crypto.randomUUID(), keys: [random(32), random(32), random(32)] };
  await storage.putKey("identity", me.identity);
}
me.login = await storage.getKey("login");
conn.install();
chat.install();
action.install();
media.install();
stubs.install();
arrange.install();
screen.install();
if (late && !fault.startsWith("without")) Stream.on("change:mode", () => Stream.mode === "MAIN" && setTimeout(faults.bringLate, faults.LATE_MS));
await start();
if ("serviceWorker" in document.documentElement.dataset) await navigator.serviceWorker.register("/sw.js");
