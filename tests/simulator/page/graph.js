// The module registry, as WhatsApp's loader shows itself to page libraries.

const modulesMap = Object.create(null);

const late = new Map();
let isLate = () => false;

/** Register a module under WhatsApp's own name; everybody is given this same object. */
export function define(id, exports) {
  if (isLate(id)) late.set(id, exports);
  else modulesMap[id] = { id, exports, factory: () => exports };
}

/** Have the modules whose names match arrive with a later script. */
export function holdBack(names) {
  isLate = (id) => names.test(id);
}

/** That script is here. */
export function deliver() {
  isLate = () => false;
  late.forEach((exports, id) => define(id, exports));
  late.clear();
}

/** A module's exports as they are now: libraries replace functions in place, so always call through this. */
export function load(id) {
  const module = modulesMap[id];
  if (!module) throw new Error(`Requiring unknown module "${id}"`);
  return module.exports;
}

define("__debug", { modulesMap });

window.ErrorGuard = { skipGuardGlobal() {}, applyWithGuard: (call, self, args) => call.apply(self, args) };
window.importNamespace = load;
window.__d = (id, _dependencies, factory) => {
  const module = { exports: {} };
  factory(window, load, load, load, module, module.exports);
  define(id, module.exports);
};
window.require = load;
