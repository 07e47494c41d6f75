// Models and collections with change events, as far as page libraries use them.

export class Emitter {
  #handlers = new Map();

  on(names, handler) {
    for (const name of names.split(" ")) {
      if (!this.#handlers.has(name)) this.#handlers.set(name, []);
      this.#handlers.get(name).push(handler);
    }
    return this;
  }

  once(name, handler) {
    const once = (...args) => {
      this.off(name, once);
      handler(...args);
    };
    return this.on(name, once);
  }

  off(name, handler) {
    const rest = (this.#handlers.get(name) ?? []).filter((each) => handler && each !== handler);
    this.#handlers.set(name, rest);
    return this;
  }

  removeListener(name, handler) {
    return this.off(name, handler);
  }

  listenTo(other, name, handler) {
    other.on(name, handler);
    return this;
  }

  trigger(name, ...args) {
    for (const handler of [...(this.#handlers.get(name) ?? [])]) handler(...args);
    for (const handler of [...(this.#handlers.get("all") ?? [])]) handler(name, ...args);
    return this;
  }
}

export class Model extends Emitter {
  constructor(attributes = {}) {
    super();
    Object.defineProperty(this, "attributes", { value: {}, enumerable: false });
    this.set(attributes);
  }

  /** Set one attribute or several; each that changes is told as `change:<name>` (model, value, previous). */
  set(names, value) {
    const changes = typeof names === "string" ? { [names]: value } : names;
    let changed = false;
    for (const [name, next] of Object.entries(changes)) {
      if (!(name in this.attributes)) this.#expose(name);
      const previous = this.attributes[name];
      if (previous === next) continue;
      this.attributes[name] = next;
      this.trigger(`change:${name}`, this, next, previous);
      changed = true;
    }
    if (changed) this.trigger("change", this);
    return this;
  }

  get(name) {
    return this.attributes[name];
  }

  unset(name) {
    return this.set(name, undefined);
  }

  #expose(name) {
    Object.defineProperty(this, name, {
      configurable: true,
      enumerable: true,
      get: () => this.attributes[name],
      set: (value) => this.set(name, value),
    });
    this.attributes[name] = undefined;
  }

  toJSON() {
    return { ...this.attributes };
  }

  serialize() {
    return JSON.parse(JSON.stringify(this.attributes));
  }
}

export class Collection extends Emitter {
  static model;
  #models = new Map();

  constructor() {
    super();
    if (!this.constructor.model) throw new Error("Collection initialized without model");
  }

  /** Add models, or attributes of models; one whose id is there already is left as it is. */
  add(items) {
    const added = [];
    for (const item of Array.isArray(items) ? items : [items]) {
      const model = item instanceof this.constructor.model ? item : new this.constructor.model(item);
      const id = String(model.id);
      if (!this.#models.has(id)) {
        this.#models.set(id, model);
        model.on("all", (name, ...args) => this.trigger(name, ...args));
        this.trigger("add", model);
      }
      added.push(this.#models.get(id));
    }
    return added;
  }

  get(id) {
    if (id === undefined || id === null) return undefined;
    return this.#models.get(String(typeof id === "object" && id.id !== undefined && !id._serialized ? id.id : id));
  }

  async find(id) {
    return this.get(id) ?? this.add({ id })[0];
  }

  gadd(id) {
    return this.get(id) ?? this.add({ id })[0];
  }

  remove(id) {
    const model = this.get(id);
    if (model) {
      this.#models.delete(String(model.id));
      this.trigger("remove", model);
    }
  }

  reset() {
    this.#models.clear();
  }

  get length() {
    return this.#models.size;
  }

  getModelsArray() {
    return [...this.#models.values()];
  }

  get _models() {
    return this.getModelsArray();
  }

  toArray() {
    return this.getModelsArray();
  }

  map(each) {
    return this.getModelsArray().map(each);
  }

  filter(test) {
    return this.getModelsArray().filter(test);
  }

  forEach(each) {
    this.getModelsArray().forEach(each);
  }

  some(test) {
    return this.getModelsArray().some(test);
  }

  findFirst(test) {
    return this.getModelsArray().find(test);
  }

  last() {
    return this.getModelsArray().at(-1);
  }
}
