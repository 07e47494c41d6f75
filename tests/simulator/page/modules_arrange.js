// How the account arranges its chats, whom it blocks, and what its groups are called, under WhatsApp's names.
// All of it changes this page alone: the phone is not told.

import { define, load } from "./graph.js";
import { createWid } from "./ids.js";
import { ChatModel, CmdImpl, Chats, GroupMetadataModel, Groups, Msgs, PresenceModel } from "./state.js";

const mutes = new WeakMap();
const mute = (chat) => {
  if (!mutes.has(chat)) {
    mutes.set(chat, {
      expiration: 0,
      async mute({ expiration }) {
        this.expiration = expiration;
      },
      async unmute() {
        this.expiration = 0;
      },
    });
  }
  return mutes.get(chat);
};

/** Page libraries know this function by a module that it uses: WAWebStateUtils. */
function sendClear(chat, keepStarred) {
  // WAWebStateUtils
  const gone = chat.msgs.getModelsArray().filter((msg) => !(keepStarred && msg.star));
  for (const msg of gone) {
    chat.msgs.remove(msg.id);
    Msgs.remove(msg.id);
  }
  chat.set("lastReceivedKey", chat.msgs.last()?.id);
  chat.promises.sendClear = Promise.resolve({ status: 200 });
}

function sendDelete(chat) {
  Chats.remove(chat);
  chat.promises.sendDelete = Promise.resolve({ status: 200 });
}

const group = (id) => Groups.get(id);

export function install() {
  Object.defineProperty(ChatModel.prototype, "mute", { get() { return mute(this); } });
  Object.defineProperty(ChatModel.prototype, "promises", { get() { return (this.pending ??= {}); } });
  PresenceModel.prototype.subscribe ??= async () => {};
  const star = (value) => async (_chat, msgs) => {
    for (const msg of msgs) msg.set("star", value);
  };
  Object.assign(CmdImpl.prototype, {
    archiveChat: (chat, archive) => chat.set("archive", archive),
    sendStarMsgs: star(true),
    sendUnstarMsgs: star(false),
  });
  define("WAWebSetPinChatAction", { setPin: async (chat, pin) => chat.set("pin", pin) });
  define("WAWebSendClearChatAction", { sendClear });
  define("WAWebSendDeleteChatAction", { sendDelete });
  const blocked = () => load("WAWebBlocklistCollection").BlocklistCollection;
  define("WAWebBlockContactAction", {
    blockContact: async ({ contact }) => blocked().add({ id: createWid(String(contact.id)) }),
    unblockContact: async (contact) => blocked().remove(blocked().get(contact.id)),
  });
  const may = ["canSetSubject", "canSetDescription", "canSetGroupProperty", "canSetEphemeralSetting"];
  for (const name of may) GroupMetadataModel.prototype[name] = () => true;
  define("WAWebGroupModifyInfoJob", {
    setGroupSubject: async (id, subject) => group(id).set("subject", subject),
    setGroupDescription: async (id, desc) => group(id).set("desc", desc),
    setGroupProperty: async (id, name, value) => group(id).set(name, value),
  });
}
