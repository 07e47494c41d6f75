// What can go wrong with a page, on demand: now, or with the next documents (kept in localStorage, which a
// reload and a new browser find again).

const NEXT = "wasup-simulator-next-loads";

function starve() {
  Promise.resolve().then(starve);
}

function hoard() {
  const hoarded = [];
  for (;;) hoarded.push(new Array(1e6).fill(0.5));
}

const grown = [];

const NOW = {
  loop: () => {
    for (;;);
  },
  starve,
  request: () => {
    const request = new XMLHttpRequest();
    request.open("GET", "/never", false);
    request.send();
  },
  memory: hoard,
  grow: ({ bytes }) => grown.push(new Uint8Array(bytes).fill(1)),
  reload: () => location.reload(),
  leave: ({ url }) => {
    location.href = url;
  },
};

/** Let it go wrong: `loads` says for how many documents, where it is about documents. */
export function happen({ kind, loads = 1, ...more }) {
  if (kind in NOW) {
    setTimeout(() => NOW[kind](more));
    return;
  }
  localStorage.setItem(NEXT, JSON.stringify({ kind, loads }));
  location.reload();
}

/** Modules that come with a script of their own, so long after the account is connected; or never. */
export const LATE_MS = 600;
export const LATE = {
  late_modules: /Receipt|Reaction|Poll|DBGroups/, // a page library replaces some of their functions
  late_others: /ForwardMessage|VcardUtils/, // and none of these
  without_votes: /Poll/,
};

/** Have that script loaded, as WhatsApp's own loader does it: by an element. */
export function bringLate() {
  if (document.querySelector("#late")) return;
  const src = new URL("./late.js", import.meta.url).href; // beside this file, of the same version
  document.head.append(Object.assign(document.createElement("script"), { id: "late", type: "module", src }));
}

/** What is wrong with this document: "no_modules", "no_library", one of LATE, or nothing. */
export function ofThisDocument() {
  const { kind, loads } = JSON.parse(localStorage.getItem(NEXT) ?? "{}");
  if (!kind) return undefined;
  if (loads > 1) localStorage.setItem(NEXT, JSON.stringify({ kind, loads: loads - 1 }));
  else localStorage.removeItem(NEXT);
  return kind;
}
