  // -- the code to scan

  // wa-js begins when WhatsApp has loaded no module for 750 ms. The code is there long before, in modules that have
  // names: it is put together here just as wa-js 4.6.0 does it (`conn.getAuthCode`), so that wa-js tells the same one
  // again, which goes no further; and who scans it at once reads the device's name, as with wa-js. Where anything is
  // missing or fails, wa-js' code is the first.
  let shown = null;
  const tellCode = (code) => {
    if (code !== shown) tell('qr', { code });
    shown = code;
  };
  let injected = false;
  const libraryReady = new Promise((resolve) => WPP.on('loader.injected', () => resolve((injected = true))));
  const named = (module) => window.importNamespace(module);
  const nameDevice = () => {
    const browser = named('WAWebMiscBrowserUtils').default;
    const info = { ...browser.info(), os: WPPConfig.deviceName, version: undefined, name: undefined, ua: undefined };
    browser.info = () => info;
  };
  const readCode = async (ref) => {
    const registration = await named('WAWebSignalStoreApi').waSignalStore.getRegistrationInfo();
    const noise = await named('WAWebUserPrefsInfoStore').waNoiseInfo.get();
    const keys = [noise.staticKeyPair.pubKey, registration.identityKeyPair.pubKey];
    const secret = await named('WAWebUserPrefsMultiDevice').getADVSecretKey();
    const code = [ref, ...keys.map((key) => named('WABase64').encodeB64(key)), secret].join(',');
    if (!injected && named('WAWebConnModel').Conn.ref === ref) tellCode(code);
  };
  const looking = setInterval(() => attempt(() => {
    if (injected) clearInterval(looking);
    if (injected || !window.Debug.VERSION || named('WAWebSocketModel').Socket.state !== 'UNPAIRED') return;
    const { ref } = named('WAWebConnModel').Conn;
    if (!ref) return;
    clearInterval(looking);
    nameDevice();
    readCode(ref).catch(() => {});
  }), 20);
  WPP.on('conn.auth_code_change', (code) => tellCode(text(code && code.fullCode)));
