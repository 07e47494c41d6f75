// The modules about files, under WhatsApp's names.

import { define } from "./graph.js";
import * as media from "./media.js";
import { MEDIA_TYPES, MediaObject, OpaqueData, getOrCreateMediaObject } from "./media_models.js";
import { MsgModel } from "./state.js";

const MIB = 2 ** 20;
const LIMITS = { image: 16 * MIB, sticker: MIB, video: 64 * MIB, audio: 16 * MIB, ptt: 16 * MIB, document: 2048 * MIB };

export function install() {
  MsgModel.prototype.downloadMedia = function () {
    return media.downloadMedia(this);
  };
  define("WAWebMediaOpaqueData", OpaqueData);
  define("WAWebPrepRawMedia", { prepRawMedia: media.prepRawMedia });
  define("WAWebMediaPrep", { MediaPrep: media.MediaPrep, prepRawMedia: media.prepRawMedia, uploadProductImage: async () => {} });
  define("WAWebMediaGatingUtils", { getUploadLimit: (type) => LIMITS[type] ?? LIMITS.document });
  define("WAWebMediaMmsV4Upload", { uploadMedia: media.uploadMedia });
  define("WAWebMediaStorage", { getOrCreateMediaObject });
  define("WAWebMediaObject", { MediaObject, webMediaTypeToWamMediaType: (type) => type });
  define("WAWebMediaDataUtils", { shouldUseMediaCache: () => true });
  define("WAWebMmsMediaTypes", { msgToMediaType: ({ type }) => type, castToV4: (type) => type });
  define("WAWebDownloadManager", { downloadManager: media.downloadManager });
  define("WAWebMediaInMemoryBlobCache", {
    InMemoryMediaBlobCache: media.InMemoryMediaBlobCache,
    InMemoryMediaBlobCacheImpl: media.InMemoryMediaBlobCache.constructor,
  });
  define("WAWebMediaProcessing", { generateVideoThumbsAndDuration: async () => ({ duration: 0, thumbs: [] }) });
  define("WAWebProcessRawSticker", { processRawSticker: async (blob) => ({ mediaBlob: blob }), isAnimatedWebp: () => false });
  define("WAWebBackendMsgTypes", { MEDIA_TYPES });
}
