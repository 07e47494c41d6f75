// Ids of users, groups and messages.

const SERVERS = ["c.us", "g.us", "lid", "broadcast", "newsletter", "call", "bot"];

export class Wid {
  constructor(text) {
    const [user, server] = String(text).replace("@s.whatsapp.net", "@c.us").split("@");
    if (!user || !SERVERS.includes(server)) throw new Error("wid error: invalid wid");
    this.user = user.split(":")[0];
    this.server = server;
    this._serialized = `${this.user}@${server}`;
  }

  static isXWid(server, wid) {
    return String(wid).endsWith(`@${server}`);
  }

  static isWid(value) {
    return value instanceof Wid || /^[^@]+@(c\.us|g\.us|lid|broadcast|newsletter)$/.test(String(value));
  }

  static isUser(value) {
    return /@(c\.us|lid)$/.test(String(value));
  }

  static isGroup(value) {
    return /@g\.us$/.test(String(value));
  }

  toString() {
    return this._serialized;
  }

  toJSON() {
    return this._serialized;
  }

  toJid() {
    return this._serialized.replace("@c.us", "@s.whatsapp.net");
  }

  toLogString() {
    return this._serialized;
  }

  equals(other) {
    return String(other) === this._serialized;
  }

  isUser() {
    return this.server === "c.us" || this.server === "lid";
  }

  isRegularUser() {
    return this.isUser();
  }

  isRegularUserPn() {
    return this.server === "c.us";
  }

  isLid() {
    return this.server === "lid";
  }

  isGroup() {
    return this.server === "g.us";
  }

  isBroadcast() {
    return this.server === "broadcast";
  }

  isStatus() {
    return this._serialized === "status@broadcast";
  }

  isStatusV3() {
    return this.isStatus();
  }

  isNewsletter() {
    return this.server === "newsletter";
  }

  isBot() {
    return this.server === "bot";
  }

  isPSA() {
    return this._serialized === "0@c.us";
  }

  isIAS() {
    return false;
  }

  isServer() {
    return false;
  }
}

export function isWidlike(value) {
  return value instanceof Wid || (typeof value === "object" && typeof value?.server === "string" && !!value.user);
}

export function createWid(value) {
  return new Wid(isWidlike(value) ? `${value.user}@${value.server}` : String(value));
}

export function createUserWidOrThrow(user, server = "c.us") {
  return new Wid(String(user).includes("@") ? user : `${user}@${server}`);
}

const lids = new Map();
const numbers = new Map();

/** A number and a hidden id are the same person's. */
export function learn(id, lid) {
  if (!id || !lid) return;
  lids.set(String(id), createWid(lid));
  numbers.set(String(lid), createWid(id));
}

export function lidOf(wid) {
  return wid.isLid() ? wid : lids.get(String(wid));
}

export function numberOf(wid) {
  return wid.isLid() ? numbers.get(String(wid)) : wid;
}

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return "3EB0" + [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase();
}

export class MsgKey {
  constructor(from) {
    if (!from) throw new Error("MsgKey error: obj is null/undefined");
    const key = from instanceof MsgKey ? { ...from } : from;
    this.fromMe = key.fromMe ?? key.selfDir === "out";
    this.remote = createWid(key.remote ?? (this.fromMe ? key.to : key.from));
    this.id = String(key.id);
    this.participant = key.participant ? createWid(key.participant) : undefined;
    this.selfDir = key.selfDir;
    const parts = [this.fromMe, this.remote, this.id];
    if (this.participant) parts.push(this.participant);
    this._serialized = parts.join("_");
  }

  static fromString(text) {
    const [fromMe, remote, id, participant] = String(text).split("_");
    if ((fromMe !== "true" && fromMe !== "false") || !remote || !id) {
      throw new Error(`MsgKey error: invalid key ${text}`);
    }
    return new MsgKey({ fromMe: fromMe === "true", remote, id, participant: participant?.includes("@") ? participant : null });
  }

  static async newId() {
    return newId();
  }

  static from(value) {
    return new MsgKey(value);
  }

  toString() {
    return this._serialized;
  }

  equals(other) {
    return String(other) === this._serialized;
  }

  clone() {
    return new MsgKey(this);
  }
}
