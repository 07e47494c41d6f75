// Files: encrypted, to the media server, and back. The scheme is described in media.py.

import { addAndSendMsgToChat } from "./chats.js";
import { MediaDataModel, OpaqueData, attach, getOrCreateMediaObject, mediaData } from "./media_models.js";
import { connection } from "./session.js";
import { me } from "./state.js";

const RETRY_MS = 300;
const LABELS = {
  image: "WhatsApp Image Keys", sticker: "WhatsApp Image Keys", video: "WhatsApp Video Keys",
  audio: "WhatsApp Audio Keys", ptt: "WhatsApp Audio Keys", document: "WhatsApp Document Keys",
};
export const InMemoryMediaBlobCache = new (class InMemoryMediaBlobCacheImpl extends Map {
  put(filehash, blob) {
    this.set(filehash, blob);
  }
})();

function base64(buffer) {
  return btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""));
}

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export async function hashOf(buffer) {
  return base64(await crypto.subtle.digest("SHA-256", buffer));
}

async function keysOf(kind, key) {
  const material = await crypto.subtle.importKey("raw", key, "HKDF", false, ["deriveBits"]);
  const info = new TextEncoder().encode(LABELS[kind]);
  const bits = await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(32), info }, material, 112 * 8);
  const [iv, cipherKey, macKey] = [bits.slice(0, 16), bits.slice(16, 48), bits.slice(48, 80)];
  return {
    iv,
    cipher: await crypto.subtle.importKey("raw", cipherKey, "AES-CBC", false, ["encrypt", "decrypt"]),
    mac: await crypto.subtle.importKey("raw", macKey, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]),
  };
}

async function macOf(keys, encrypted) {
  return (await crypto.subtle.sign("HMAC", keys.mac, await new Blob([keys.iv, encrypted]).arrayBuffer())).slice(0, 10);
}

async function encrypt(kind, key, data) {
  const keys = await keysOf(kind, key);
  const encrypted = await crypto.subtle.encrypt({ name: "AES-CBC", iv: keys.iv }, keys.cipher, data);
  return new Blob([encrypted, await macOf(keys, encrypted)]).arrayBuffer();
}

async function decrypt(kind, key, file) {
  const keys = await keysOf(kind, key);
  const encrypted = file.slice(0, -10);
  if (base64(await macOf(keys, encrypted)) !== base64(file.slice(-10))) throw new Error("media: MAC mismatch");
  return crypto.subtle.decrypt({ name: "AES-CBC", iv: keys.iv }, keys.cipher, encrypted);
}

/** Upload until it is there; what nobody can repair (4xx) is thrown. */
async function post(kind, file, token) {
  for (;;) {
    await connection.whenReady();
    const answer = await fetch(`/mms/${kind}/${encodeURIComponent(token)}?auth=${me.mediaAuth}`, { method: "POST", body: file }).catch(() => null);
    if (answer?.ok) return answer.json();
    if (answer && answer.status < 500) throw Object.assign(new Error("MEDIA upload failed"), { status: answer.status });
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** WAWebMediaMmsV4Upload's: encrypts and uploads a media object; where it is now. */
export async function uploadMedia({ mediaObject, mediaType }) {
  const kind = mediaType ?? mediaObject.type.toLowerCase();
  const key = crypto.getRandomValues(new Uint8Array(32));
  const file = await encrypt(kind, key, await mediaObject.mediaBlob.forceToBlob().arrayBuffer());
  const encFilehash = await hashOf(file);
  const { direct_path: directPath, url } = await post(kind, file, encFilehash);
  const mediaKeyTimestamp = Math.floor(Date.now() / 1000);
  return { kind: "success", mediaEntry: { directPath, mmsUrl: url, deprecatedMms3Url: url, mediaKey: base64(key), mediaKeyTimestamp, encFilehash } };
}

export const downloadManager = {
  async downloadAndMaybeDecrypt({ directPath, mediaKey, filehash, type }) {
    const answer = await fetch(directPath);
    if (!answer.ok) throw Object.assign(new Error("media: gone"), { status: answer.status });
    const data = await decrypt(type, bytes(mediaKey), await answer.arrayBuffer());
    if ((await hashOf(data)) !== filehash) throw new Error("media: hash mismatch");
    return data;
  },
};

/** MsgModel's: has the file at hand afterwards, or says in `mediaStage` why not. */
export async function downloadMedia(msg) {
  const data = mediaData(msg);
  if (data.mediaStage === "RESOLVED") return;
  data.set("mediaStage", "FETCHING");
  try {
    const file = await downloadManager.downloadAndMaybeDecrypt(msg);
    data.set({ mediaBlob: await OpaqueData.createFromData(new Blob([file], { type: msg.mimetype }), msg.mimetype), mediaStage: "RESOLVED" });
    getOrCreateMediaObject(msg.filehash).consolidate(data.toJSON());
  } catch (error) {
    data.set("mediaStage", error.status ? "ERROR_MISSING" : "ERROR_UNKNOWN");
  }
}

function kindOf(mimetype, { asDocument, asSticker, isPtt }) {
  const family = mimetype.split("/")[0];
  if (asDocument) return "document";
  if (asSticker) return "sticker";
  if (family === "audio") return isPtt ? "ptt" : "audio";
  return family === "image" || family === "video" ? family : "document";
}

/** A file on its way into a chat. */
export class MediaPrep {
  constructor(blob, options) {
    this._mediaData = new MediaDataModel({ mediaStage: "INIT", mediaBlob: blob, mimetype: blob.type(), size: blob.size() });
    this._prepared = this.#prepare(options);
  }

  async #prepare(options) {
    const data = this._mediaData;
    const filehash = await hashOf(await data.mediaBlob.forceToBlob().arrayBuffer());
    const { duration, waveform } = options.precomputedFields ?? {};
    data.set({ type: kindOf(data.mimetype, options), filehash, isGif: options.asGif, duration, waveform, mediaStage: "PREPARED" });
    return data;
  }

  async waitForPrep() {
    return this._prepared;
  }

  async sendToChat({ chat, options }) {
    const data = await this._prepared;
    const { productMsgOptions, caption, isViewOnce } = options;
    const { type, mimetype, filehash, size, isGif, duration } = data;
    const document = type === "document";
    const message = {
      ...productMsgOptions,
      type, mimetype, filehash, size, isGif, duration, isViewOnce,
      body: "",
      caption: caption ?? (document ? productMsgOptions.filename : undefined),
      isCaptionByUser: caption !== undefined && caption !== null,
    };
    const [, sent] = addAndSendMsgToChat(chat, message, async (msg) => {
      attach(msg, data);
      const object = getOrCreateMediaObject(filehash);
      object.consolidate(data.toJSON());
      data.set("mediaStage", "UPLOADING");
      const { mediaEntry } = await uploadMedia({ mediaObject: object, mediaType: type });
      const { directPath, mediaKey, mediaKeyTimestamp, encFilehash, deprecatedMms3Url } = mediaEntry;
      msg.set({ directPath, mediaKey, mediaKeyTimestamp, encFilehash, deprecatedMms3Url });
      data.set({ directPath, mediaKey, mediaKeyTimestamp, encFilehash, mediaStage: "RESOLVED" });
    });
    return sent;
  }
}

export function prepRawMedia(blob, options = {}) {
  return new MediaPrep(blob, options);
}
