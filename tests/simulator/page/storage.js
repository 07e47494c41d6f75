// What outlives the page, in IndexedDB. Every write is on the disk when its promise resolves.

const STORES = { keys: undefined, contacts: "id", groups: "id", messages: "key" };
let database;

export async function open() {
  const request = indexedDB.open("model-storage", 1);
  request.onupgradeneeded = () => {
    for (const [name, keyPath] of Object.entries(STORES)) request.result.createObjectStore(name, { keyPath });
  };
  database = await finished(request);
}

function finished(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function write(names, change) {
  const transaction = database.transaction(names, "readwrite", { durability: "strict" });
  change(...names.map((name) => transaction.objectStore(name)));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

export function getKey(name) {
  return finished(database.transaction("keys").objectStore("keys").get(name));
}

export function putKey(name, value) {
  return write(["keys"], (keys) => keys.put(value, name));
}

export function all(store) {
  return finished(database.transaction(store).objectStore(store).getAll());
}

export function putAll(store, rows) {
  return rows.length ? write([store], (target) => rows.forEach((row) => target.put(row))) : Promise.resolve();
}

export function remove(store, keys) {
  return write([store], (target) => keys.forEach((key) => target.delete(key)));
}

/** Forget everything: the login, the keys, the messages. */
export function clear() {
  return write(Object.keys(STORES), (...stores) => stores.forEach((store) => store.clear()));
}
