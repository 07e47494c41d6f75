// The modules about what is done to messages, under WhatsApp's names.

import * as actions from "./actions.js";
import { define } from "./graph.js";
import { numberOf } from "./ids.js";
import { CmdImpl } from "./state.js";

function vcardFromContactModel(contact) {
  const name = contact.displayName ?? contact.name ?? contact.pushname ?? contact.id.user;
  const number = (numberOf(contact.id) ?? contact.id).user;
  const lines = ["BEGIN:VCARD", "VERSION:3.0", `N:;${name};;;`, `FN:${name}`, `TEL;type=CELL;type=VOICE;waid=${number}:+${number}`, "END:VCARD"];
  return { displayName: name, vcard: lines.join("\n"), isMultiVcard: false };
}

export function install() {
  Object.assign(CmdImpl.prototype, { sendRevokeMsgs: actions.sendRevokeMsgs, sendDeleteMsgs: actions.sendDeleteMsgs });
  define("WAWebReactionsMsgAction", { addOrUpdateReactionsModelCollection: actions.addOrUpdateReactions });
  define("WAWebSendReactionMsgAction", { sendReactionToMsg: actions.sendReactionToMsg });
  define("WAWebAddonReactionTableMode", { reactionTableMode: { bulkUpsert: async () => {} } });
  define("WAWebAddonPollVoteTableMode", { pollVoteTableMode: { bulkUpsert: async () => {} } });
  define("WAWebGetReactions", { getReactions: actions.getReactions });
  define("WAWebSendMessageEditAction", { addAndSendMessageEdit: actions.addAndSendMessageEdit });
  define("WAWebMsgActionCapability", { canEditText: actions.canEditText, canEditCaption: actions.canEditCaption });
  define("WAWebPollsUpsertVotes", { upsertVotesDb: actions.upsertVotes });
  define("WAWebPollsVotesApi", { getVotes: actions.getVotes, getVote: async (key) => (await actions.getVotes([key]))[0] });
  define("WAWebChatForwardMessage", { forwardMessages: actions.forwardMessages });
  define("WAWebForwardMessagesToChat", {
    forwardMessagesToChats: (msgs, chats, includeCaption) =>
      Promise.all(chats.map((chat) => actions.forwardMessages({ chat, msgs, includeCaption }))),
  });
  define("WAWebFrontendVcardUtils", { vcardFromContactModel });
}
