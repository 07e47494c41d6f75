// When the page library begins.

// wa-js 4.6.0 looks for WhatsApp's modules, listens to them and replaces some, once: when for 750 ms, asked every
// 100 ms, their number has not grown (https://github.com/wppconnect-team/wa-js/pull/3499: what was not there then
// was never listened to). That is a guess for want of evidence. With a stored login there is evidence: the account is
// connected and in its main view, the document is complete, no script is on its way, and every single thing that wa-js
// replaces or listens to, and that the daemon uses, is there. Modules that come after that are none of those, so that
// beginning then does what beginning later would. If anything is missing the 750 ms stay, and after a new module
// all is looked at anew. Nothing is looked for before WhatsApp is connected, lest a module run too early.
//
// The library is not changed: the one clock that its wait reads, `Date.now` as its own scope has it, is put ahead, until
// it has begun.
const STILL_MS = 200;
const WAIT_MS = 750;
const LOOK_MS = 40;
const REPLACED = BRIDGE_REPLACED;
const underway = new Set();
const arrived = new WeakSet();
const expect = (node) => {
  if (node.tagName === 'SCRIPT' && node.src && !arrived.has(node)) underway.add(node);
};
const scripts = new MutationObserver((changes) => {
  for (const { target, addedNodes } of changes) {
    expect(target);
    for (const node of addedNodes) {
      expect(node);
      node.querySelectorAll?.('script[src]').forEach(expect);
    }
  }
});
scripts.observe(document, { attributes: true, attributeFilter: ['src'], childList: true, subtree: true });
const arrive = ({ target }) => {
  if (target?.tagName !== 'SCRIPT') return;
  arrived.add(target);
  underway.delete(target);
};
// Of the document: a load is not told to its window.
document.addEventListener('load', arrive, true);
document.addEventListener('error', arrive, true);

const isAtItsGoal = () =>
  named('WAWebSocketModel').Socket.state === 'CONNECTED' &&
  named('WAWebStreamModel').Stream.mode === 'MAIN' &&
  named('WAWebCmd').Cmd.isMainLoaded === true;
let modules = 0;
let stillSince = 0;
let judged = 0;
const settling = setInterval(() => {
  const count = attempt(() => Object.keys(window.require('__debug').modulesMap).length) ?? 0;
  if (count !== modules || underway.size || document.readyState !== 'complete') {
    modules = count;
    stillSince = performance.now();
    libraryClock.aheadMs = 0;
  } else if (count !== judged && performance.now() - stillSince >= STILL_MS && attempt(isAtItsGoal)) {
    judged = count;
    if ([...NEEDED, ...REPLACED].every(there)) libraryClock.aheadMs = WAIT_MS;
  }
}, LOOK_MS);
WPP.on('loader.injected', () => {
  beganEarly = libraryClock.aheadMs > 0;
  libraryClock.aheadMs = 0;
  clearInterval(settling);
  scripts.disconnect();
  document.removeEventListener('load', arrive, true);
  document.removeEventListener('error', arrive, true);
});
