// Linking by a code that is typed on the phone, and unlinking.

// main_ready ends a flow that was begun before it; under a QR it comes once a document.
const MAIN_READY_MS = 10000;
let readied;
const mainReady = new Promise((resolve) => (readied = resolve));
let pairingWith = null;
const startPairing = () => WPP.conn.startLinkDeviceCodeForPhoneNumber(pairingWith.replace('+', ''));
offers.pair = async (phoneNumber) => {
  const patience = new Promise((resolve) => setTimeout(resolve, MAIN_READY_MS));
  await Promise.race([libraryReady, patience]);  // a code to scan may be there before the library is
  if (!WPP.conn.isMainReady()) await Promise.race([mainReady, patience]);
  pairingWith = phoneNumber;
  return await startPairing();
};
const tellPairing = (code, error) => pairingWith && tell('pairing', { phoneNumber: pairingWith, code, error });
WPP.on('conn.link_code_change', (code) => tellPairing(text(code), null));
WPP.on('conn.link_code_expired', () => tellPairing(null, null));
WPP.on('conn.link_code_error', (error) => tellPairing(null, text(error && error.name) || 'Error'));
WPP.on('conn.main_ready', () => {
  readied();
  if (pairingWith && !attempt(() => WPP.conn.isAuthenticated())) startPairing().catch(() => {});
});

// Resolves when WhatsApp has confirmed it, which may be never.
offers.logout = () => WPP.conn.logout().then(() => null);
