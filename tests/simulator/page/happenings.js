// What the server tells that is no message of anybody's: calls, and what happens to groups.

import * as chats from "./chats.js";
import { load } from "./graph.js";
import { MsgKey, createWid, newId } from "./ids.js";
import { Collection, Model } from "./model.js";
import { MsgModel, addGroup } from "./state.js";
import * as storage from "./storage.js";

export const CallState = { None: 0, Calling: 1, PreacceptReceived: 2, ReceivedCall: 3, AcceptSent: 4, CallActive: 6, ReceivedCallWithoutOffer: 8 };

class CallModel extends Model {
  getState() {
    return this.state;
  }
}
CallModel.prototype.proxyName = "call";

export class CallCollectionImpl extends Collection {
  static model = CallModel;
  processIncomingCall(call) {
    return this.add(call)[0];
  }
  setActiveCall(call) {
    this.activeCall = call;
  }
}
export const Calls = new CallCollectionImpl();

export function call({ id, from, video, ts }) {
  const peerJid = createWid(from);
  Calls.processIncomingCall({ id, peerJid, isVideo: video, isGroup: false, outgoing: false, offerTime: ts, state: CallState.ReceivedCall });
}

/** Somebody came, went, was promoted …: the group as it is now, the library's hook, and a notice in the chat. */
export async function groupChange({ group, action, participants, author, authorName, reason, ts, seq }) {
  await storage.putAll("groups", [group]);
  addGroup(group);
  const chatId = createWid(group.id);
  const by = author ? createWid(author) : undefined;
  const members = participants.map(createWid);
  if (action !== "subject") {
    const about = { chatId, author: by, pushname: authorName, ts };
    await load("WAWebDBGroupsGroupMetadata").updateDBForGroupAction(about, { actionType: action, participants: members.map((id) => ({ id })), reason });
  }
  const key = new MsgKey({ fromMe: false, remote: chatId, id: `${seq}${newId()}`, participant: by });
  const body = action === "subject" ? group.subject : undefined;
  await chats.notice(new MsgModel({ id: key, type: "gp2", subtype: action, author: by, from: chatId, recipients: members, body, t: ts, isNewMsg: true }));
}

export function updateDBForGroupAction() {
  return Promise.resolve();
}
