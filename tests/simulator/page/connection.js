// The WebSocket to the server: keeps trying, and waits for nobody. What frames mean is session.js's business.

const BACKOFF_MS = [200, 500, 1000, 2000];

export class Connection {
  #socket;
  #attempt = 0;
  #queries = new Map();
  #queryNumber = 0;
  #waiting = [];
  #stopped = false;

  /** `events`: opening(), opened(), lost(), frame(object). */
  constructor(events) {
    this.events = events;
    this.ready = false;
  }

  open() {
    this.#stopped = false;
    this.events.opening();
    const socket = (this.#socket = new WebSocket(`wss://${location.host}/ws/chat`));
    socket.onopen = () => this.events.opened();
    socket.onmessage = (event) => {
      this.#attempt = 0;
      const frame = JSON.parse(event.data);
      if (frame.t === "result") this.#answer(frame);
      else this.events.frame(frame);
    };
    socket.onclose = () => {
      if (socket !== this.#socket) return;
      this.ready = false;
      this.#socket = undefined;
      if (this.#stopped) return;
      this.events.lost();
      setTimeout(() => this.#stopped || this.open(), BACKOFF_MS[Math.min(this.#attempt++, BACKOFF_MS.length - 1)]);
    };
  }

  /** Close, and do not come back until `open` is called. */
  stop() {
    this.#stopped = true;
    this.#socket?.close();
  }

  send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** Ask the server; while there is no connection the answer has to wait, as WhatsApp's does. */
  query(what, params = {}) {
    const frame = { t: "query", n: ++this.#queryNumber, what, ...params };
    return new Promise((resolve, reject) => {
      this.#queries.set(frame.n, { frame, resolve, reject });
      if (this.ready) this.send(frame);
    });
  }

  /** Resolves at once if the server knows who this page is, else when it does. */
  whenReady() {
    return this.ready ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The server knows who this page is: queries may go. */
  becomeReady() {
    this.ready = true;
    for (const { frame } of this.#queries.values()) this.send(frame);
    this.#waiting.splice(0).forEach((resolve) => resolve());
  }

  #answer(frame) {
    const query = this.#queries.get(frame.n);
    this.#queries.delete(frame.n);
    if (frame.ok) query?.resolve(frame.value);
    else query?.reject(new Error(frame.error));
  }
}
