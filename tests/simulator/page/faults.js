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

/** What is wrong with this document: "no_modules", "no_library" or nothing. */
export function ofThisDocument() {
  const { kind, loads } = JSON.parse(localStorage.getItem(NEXT) ?? "{}");
  if (!kind) return undefined;
  if (loads > 1) localStorage.setItem(NEXT, JSON.stringify({ kind, loads: loads - 1 }));
  else localStorage.removeItem(NEXT);
  return kind;
}
