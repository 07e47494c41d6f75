// WhatsApp's constants.

export const SOCKET_STATE = Object.fromEntries(
  [
    "OPENING", "PAIRING", "UNPAIRED", "UNPAIRED_IDLE", "CONNECTED", "TIMEOUT", "CONFLICT", "UNLAUNCHED",
    "PROXYBLOCK", "TOS_BLOCK", "SMB_TOS_BLOCK", "DEPRECATED_VERSION",
  ].map((name) => [name, name]),
);
export const SOCKET_STREAM = { DISCONNECTED: "DISCONNECTED", SYNCING: "SYNCING", RESUMING: "RESUMING", CONNECTED: "CONNECTED" };
export const WATCHED_SOCKET_STATE = { OPEN: "OPEN", CLOSED: "CLOSED" };
export const STREAM_MODES = [
  "QR", "MAIN", "SYNCING", "OFFLINE", "CONFLICT", "PROXYBLOCK", "TOS_BLOCK", "SMB_TOS_BLOCK", "DEPRECATED_VERSION",
];
export const ACK = {
  MD_DOWNGRADE: -7, INACTIVE: -6, CONTENT_UNUPLOADABLE: -5, CONTENT_TOO_BIG: -4, CONTENT_GONE: -3, EXPIRED: -2,
  FAILED: -1, CLOCK: 0, SENT: 1, RECEIVED: 2, READ: 3, PLAYED: 4, PEER: 5,
};
export const ACK_STRING = {
  SENDER: "sender", DELIVERY: "delivery", READ: "read", PLAYED: "played", INACTIVE: "inactive",
  READ_SELF: "read-self", PLAYED_SELF: "played-self",
};
export const EDIT_ATTR = { SENDER_REVOKE: 7, ADMIN_REVOKE: 8 };
export const LogoutReason = {
  UserInitiated: "user_initiated", UnknownCompanion: "unknown_companion", SyncdFailure: "syncd_failure",
  InvalidAdvStatus: "invalid_adv_status", AccountLocked: "account_locked",
  PrimaryIdentityKeyChange: "primary_identity_key_change", StorageQuotaExceeded: "storage_quota_exceeded",
  ClientVersionOutdated: "client_version_outdated",
};
export const LOGOUT_REASON_CODE = { CLIENT_FATAL: "0", SYNC_FAIL: "1", INITIAL_HISTORY_SYNC_TIMEOUT: "2", ACCOUNT_LOCKED: "3" };
export const SendMsgResult = Object.fromEntries(
  ["OK", "ERROR_NETWORK", "ERROR_EXPIRED", "ERROR_CANCELLED", "ERROR_UPLOAD", "ERROR_UNKNOWN"].map((name) => [name, name]),
);
export const MSG_TYPE = Object.fromEntries(
  [
    "notification", "chat", "image", "video", "audio", "ptt", "document", "sticker", "location", "vcard",
    "multi_vcard", "revoked", "ciphertext", "protocol", "poll_creation", "reaction", "call_log", "e2e_notification",
  ].map((name) => [name.toUpperCase(), name]),
);
// The version of the page is in the address of its scripts; a document that is kept goes on asking for its own.
export const VERSION_STR = new URL(import.meta.url).pathname.split("/")[2];
const [PRIMARY, SECONDARY, TERTIARY] = VERSION_STR.split(".");
export const VERSION = { PRIMARY, SECONDARY, TERTIARY };
