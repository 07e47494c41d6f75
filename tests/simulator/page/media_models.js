// What a page knows of a message's file: its blob, its media data (one a message), its media object (one a file).

import { Model } from "./model.js";

export const MEDIA_TYPES = ["image", "video", "audio", "ptt", "document", "sticker"];
const KEPT = ["type", "mimetype", "filehash", "encFilehash", "size", "directPath", "mediaKey", "mediaKeyTimestamp", "filename", "isGif"];

export class OpaqueData {
  #blob;
  #url;

  constructor(blob) {
    this.#blob = blob;
  }

  static async createFromData(data, type) {
    return new OpaqueData(data instanceof Blob && data.type === type ? data : new Blob([data], { type }));
  }

  static async createFromBase64Jpeg(base64) {
    return new OpaqueData(await (await fetch(`data:image/jpeg;base64,${base64}`)).blob());
  }

  throwIfReleased() {
    if (!this.#blob) throw new Error("OpaqueData: already released");
  }

  forceToBlob() {
    this.throwIfReleased();
    return this.#blob;
  }

  formData() {
    return this.forceToBlob();
  }

  type() {
    return this.forceToBlob().type;
  }

  size() {
    return this.forceToBlob().size;
  }

  url() {
    return (this.#url ??= URL.createObjectURL(this.forceToBlob()));
  }

  retain() {}
  release() {}
  autorelease() {}
}
OpaqueData.default = OpaqueData;

export class MediaDataModel extends Model {}
MediaDataModel.prototype.proxyName = "mediaData";

export class MediaObject {
  contentInfo = {};

  constructor(filehash) {
    this.filehash = filehash;
  }

  consolidate({ type, size, mediaBlob, waveform }) {
    this.type = type?.toUpperCase();
    this.size = size;
    this.mediaBlob = mediaBlob ?? this.mediaBlob;
    if (waveform) this.contentInfo.waveform = waveform;
  }
}

const objects = new Map();
export function getOrCreateMediaObject(filehash) {
  if (!objects.has(filehash)) objects.set(filehash, new MediaObject(filehash));
  return objects.get(filehash);
}

const mediaDataOf = new WeakMap();

/** A message's media data; undefined for a message without a file. */
export function mediaData(msg) {
  if (!MEDIA_TYPES.includes(msg.type)) return undefined;
  if (!mediaDataOf.has(msg)) {
    const known = Object.fromEntries(KEPT.filter((name) => msg[name] !== undefined).map((name) => [name, msg[name]]));
    attach(msg, new MediaDataModel({ ...known, mediaStage: "NEED_POKE" }));
  }
  return mediaDataOf.get(msg);
}

export function attach(msg, data) {
  mediaDataOf.set(msg, data);
  data.on("change:mediaStage", () => msg.trigger("change:mediaData.mediaStage", msg, data.mediaStage));
}

export function mediaObject(msg) {
  if (!mediaData(msg)) return undefined;
  const object = getOrCreateMediaObject(msg.filehash);
  object.type ??= msg.type.toUpperCase();
  object.size ??= msg.size;
  return object;
}
