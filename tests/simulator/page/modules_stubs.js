// Modules that page libraries wrap or listen to when they load, for features that are not simulated yet.
// When one is, its lines move to a file of its own.

import { define, load } from "./graph.js";
import { CallCollectionImpl, CallState, Calls, updateDBForGroupAction } from "./happenings.js";
import { Collection, Model } from "./model.js";

class StubModel extends Model {}

function stubCollection(extra = {}) {
  class StubCollection extends Collection {
    static model = StubModel;
  }
  Object.assign(StubCollection.prototype, extra);
  return new StubCollection();
}

function collections() {
  define("WAWebBlocklistCollection", { BlocklistCollection: stubCollection() });
  const status = stubCollection({ sync() {} });
  define("WAWebStatusCollection", { StatusCollection: status, StatusCollectionImpl: status.constructor });
  define("WAWebTextStatusCollection", { TextStatusCollection: stubCollection() });
  define("WAWebCallCollection", { default: Calls, CallCollectionImpl });
  define("WAWebVoipWaCallEnums", { CallState });
  define("WAWebLabelCollection", { LabelCollection: stubCollection() });
  define("WAWebProfilePicThumbCollection", { ProfilePicThumbCollection: stubCollection() });
  define("WAWebBotProfileCollection", { BotProfileCollection: stubCollection() });
  define("WAWebNewsletterCollection", { default: stubCollection() });
}

function wrapped() {
  define("WAWebABProps", { getABPropConfigValue: () => false });
  define("WAWebMiscGatingUtils", { primaryFeatureEnabled: () => false });
  define("WAWebVoipGatingUtils", {
    isCallingEnabled: () => false,
    isUnsupportedBrowserForWebCalling: () => true,
    getUnsupportedBrowserReason: () => null,
    isVoipDownloadEnabled: () => false,
  });
  define("WAWebCreateChat", { createChat: async () => {}, createChatRecord: async () => {}, checkChatExistedOrCreate: async () => true });
  define("WAWebLid1X1MigrationGating", {
    Lid1X1MigrationUtils: {
      isLidMigrated: () => false,
      isSyncdSessionMigrated: () => false,
      shouldApplyNonMigratedMessagingRules: () => false,
    },
  });
  define("WAWebHandleSingleMsg", { handleSingleMsg: async () => {} });
  define("WAWebDBGroupsGroupMetadata", { updateDBForGroupAction });
  define("WAWebChatSearchQuery", { SearchQuery: class { updateLabelQuery() {} } });
  define("WAWebGetters", {
    getShouldAppearInList: () => true,
    getPreviewMessage: () => undefined,
    getShowChangeNumberNotification: () => false,
    getShouldShowUnreadDivider: () => false,
    getHasUnread: (chat) => chat.unreadCount !== 0,
  });
  define("WAWebChatGetters", { getIsNewsletter: () => false, getIsBroadcast: () => false, getIsGroup: (chat) => chat.isGroup });
  define("WAWebSyncGatingUtils", { isPlaceholderMessageResendEnabled: () => false });
  define("WAWebNonMessageDataRequestPlaceholderMessageResendUtils", { handlePlaceholderMsgsSeen() {} });
  define("WAWebInboxFiltersUtils", { isFilterExcludedFromSearchTreatmentInInboxFlow: () => false });
  define("WAWebPinnedChats", { getNumChatsPinned: () => 0 });
  define("WAWebUnreadTypeMsg", { isUnreadTypeMsg: () => true });
  define("WAWebLabelCollectionUtils", { addToLabelCollection: async () => {}, removeLabelFromCollection: async () => {} });
  define("WAWebE2EProtoGenerator", { createMsgProtobuf: () => ({}), mediaTypeFromProtobuf: () => null, typeAttributeFromProtobuf: () => "text" });
  define("WAWebSendMsgCommon", { createFanoutMsgStanza: async () => {}, encodeMaybeMediaType: () => null, encryptAndSendMsg: async () => null });
  define("WAWebChatPresence", { markComposing: async () => {}, markRecording: async () => {}, markPaused: async () => {} });
  define("WAWebContactPresenceBridge", { subscribePresence: async () => {} });
}

function linkPreviews() {
  const links = (text) => [...(text ?? "").matchAll(/https?:\/\/\S+/g)].map(([href]) => ({ href, suspiciousCharacters: new Set() }));
  define("WALinkify", { findLinks: links, findLink: (text) => links(text)[0] });
  define("WAWebLinkify", { findFirstWebLink: (text) => /https?:\/\/\S+/.exec(text)?.[0] });
  // Page libraries replace this one by a call to their own servers.
  define("WAWebGenMinimalLinkPreviewChatAction", { genMinimalLinkPreview: async () => null });
  define("WAWebLinkPreviewChatAction", {
    getLinkPreview: (url) => load("WAWebGenMinimalLinkPreviewChatAction").genMinimalLinkPreview({ url }),
  });
}

export function install() {
  collections();
  wrapped();
  linkPreviews();
}
