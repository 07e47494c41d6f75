// The modules about being connected, under WhatsApp's names.

import * as C from "./constants.js";
import { define } from "./graph.js";
import { Emitter, Model } from "./model.js";
import { createWid } from "./ids.js";
import { connection, logout, refreshQR, takeover } from "./session.js";
import { Cmd, CmdImpl, Conn, Socket, Stream, me } from "./state.js";

class NetworkStatus extends Model {
  async checkOnline() {
    return this.online;
  }
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function encodeB64(data) {
  return btoa(String.fromCharCode(...new Uint8Array(data)));
}

export function install() {
  Object.assign(Object.getPrototypeOf(Socket), { logout, takeover, poke: refreshQR, refreshQR });
  Object.assign(CmdImpl.prototype, { refreshQR });

  const [noise, identity, secret] = me.identity.keys;
  const network = new NetworkStatus({ online: navigator.onLine });
  window.addEventListener("online", () => network.set("online", true));
  window.addEventListener("offline", () => network.set("online", false));

  define("WAWebSocketModel", { Socket });
  define("WAWebConnModel", { Conn, ConnImpl: Conn.constructor });
  define("WAWebStreamModel", { Stream });
  define("WAWebCmd", { Cmd, CmdImpl });
  define("WAWebSocketConstants", C);
  define("WAWebNetworkStatus", { default: network });
  define("WAWebBackendEventBus", { BackendEventBus: new Emitter(), BackendEvent: { AccountTemporarilyBanned: "account_temporarily_banned" } });
  define("WAWebBuildConstants", {
    VERSION_STR: C.VERSION_STR,
    VERSION_BASE: C.VERSION_STR,
    VERSION_PRIMARY: C.VERSION.PRIMARY,
    VERSION_SECONDARY: C.VERSION.SECONDARY,
    VERSION_TERTIARY: C.VERSION.TERTIARY,
    SANITIZED_VERSION_STR: C.VERSION_STR,
    WINDOWS_BUILD: null,
  });
  define("WAWebUserPrefsLogin", { isLoggedIn: () => Boolean(me.login) });
  define("WAWebUserPrefsMultiDevice", { isRegistered: () => Boolean(me.login), getADVSecretKey: () => secret });
  define("WAWebUserPrefsMeUser", {
    getMaybeMePnUser: () => (me.login ? createWid(me.login.wid) : undefined),
    getMaybeMeLidUser: () => (me.login ? createWid(me.login.lid) : undefined),
    getMeLidUserOrThrow() {
      if (!me.login) throw new Error("me lid is not available");
      return createWid(me.login.lid);
    },
    getMePnUserOrThrow() {
      if (!me.login) throw new Error("me is not available");
      return createWid(me.login.wid);
    },
    isMeAccount: (wid) => Boolean(me.login) && [me.login.wid, me.login.lid].includes(String(wid)),
  });
  define("WAWebUserPrefsGeneral", {
    getPushname: () => me.login?.pushname,
    setBrowserId() {},
    getUserPrivacySettings: () => ({}),
    getAutoDownloadPhotos: () => false,
    setAutoDownloadPhotos() {},
    getAutoDownloadAudio: () => false,
    setAutoDownloadAudio() {},
    getAutoDownloadVideos: () => false,
    setAutoDownloadVideos() {},
    getAutoDownloadDocuments: () => false,
    setAutoDownloadDocuments() {},
    getTheme: () => "light",
    setTheme() {},
  });

  define("WAWebUserPrefsInfoStore", { waNoiseInfo: { get: async () => ({ staticKeyPair: { pubKey: bytes(noise).buffer } }) } });
  define("WAWebSignalStoreApi", {
    waSignalStore: { getRegistrationInfo: async () => ({ registrationId: 1, identityKeyPair: { pubKey: bytes(identity).buffer } }) },
  });
  define("WAWebAdvSignatureApi", { getADVSecretKey: () => secret, setADVSignedIdentity() {} });
  define("WABase64", { encodeB64, decodeB64: (text) => bytes(text).buffer });
  define("WAWebCompanionRegClientUtils", { DEVICE_PLATFORM: "CHROME" });

  const linking = new Emitter();
  linking.triggerRefreshAltLinkingCode = () => linking.trigger("link_device_events:refresh_alt_linking_code");
  define("WAWebLinkDeviceEvents", { WAWebLinkDeviceEvents: linking, default: linking });
  define("WAWebAltDeviceLinkingApi", {
    initializeAltDeviceLinking: async () => {},
    setPairingType() {},
    genLinkDeviceCodeForPhoneNumber: (phone) => connection.query("link_code", { phone }),
    startAltLinkingFlow: (phone) => connection.query("link_code", { phone }),
  });

  let previousReason;
  define("WAWebLogoutReasonConstants", { LogoutReason: C.LogoutReason, LOGOUT_REASON_CODE: C.LOGOUT_REASON_CODE });
  define("WAWebLogoutReason", {
    getErrorCodeFromLogoutReason: (reason) =>
      reason === C.LogoutReason.AccountLocked ? C.LOGOUT_REASON_CODE.ACCOUNT_LOCKED : C.LOGOUT_REASON_CODE.CLIENT_FATAL,
    setPrevLogoutReasonCode: (code) => (previousReason = code),
    getPrevLogoutReasonCode: () => previousReason,
    setPrevCustomLogoutMessage() {},
    getPrevCustomLogoutMessage() {},
  });
  const info = () => ({ os: "Linux", version: "1", name: "Chrome", ua: navigator.userAgent });
  define("WAWebLaunchSocketUtils", { refreshQR });
  define("WAWebOfflineHandler", { OfflineMessageHandler: { getOfflineDeliveryProgress: () => 100 } });
  define("WAWebMiscBrowserUtils", {
    default: { info, hardRefresh: () => location.reload() },
    info,
  });
  define("WAWebIsOfficialClient", { isOfficialClient: true, isLegitErrorStack: () => true });
  define("WAWebEnvironment", { default: { isWeb: true, isWindows: false, isGuest: false } });
  define("WAWebLaunchSocketUrl", { default: { id: "Chrome", startDownloading() {} } });
  define("WATimeUtils", { unixTime: () => Math.floor(Date.now() / 1000), unixTimeMs: () => Date.now() });
  window.Debug = { VERSION: C.VERSION_STR };
}
