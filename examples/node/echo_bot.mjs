// Answers every text that a person writes with the same text: node echo_bot.mjs SOCKET SESSION
// No packages are needed. When the daemon goes it connects again, and goes on behind the last event.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const [path, session] = process.argv.slice(2);
let latest; // the seq of the last event that came
const open = new Map(); // of those whose answer is not accepted yet: the request's id, the seq

function follow() {
  const socket = connect(path);
  let last = 0;
  const ask = (method, params) => {
    socket.write(JSON.stringify({ jsonrpc: '2.0', id: ++last, method, params }) + '\n');
    return last;
  };

  socket.on('connect', () => {
    // What was not accepted comes again; under the same key it is the same message.
    for (const seq of open.values()) latest = Math.min(latest, seq - 1);
    open.clear();
    ask('events.subscribe', { sessions: [session], types: ['message.received'], after: latest });
  });
  createInterface({ input: socket }).on('line', (line) => {
    const told = JSON.parse(line);
    if (told.error) {
      if (told.error.data.code === 'SHUTTING_DOWN') return;
      console.error(told.error.data.code, told.error.message);
    } else if (told.id === 1) {
      latest ??= told.result.cursor;
      console.log('following');
    }
    open.delete(told.id);
    if (told.method !== 'event') return;
    const { seq, data: { message } } = told.params.event;
    if (message.type === 'text' && !message.chatId.endsWith('@g.us')) {
      const id = ask('message.send', {
        sessionId: session, to: message.chatId, text: message.text, idempotencyKey: `echo-${seq}`,
      });
      open.set(id, seq);
    }
    latest = seq;
  });
  socket.on('error', () => {}); // 'close' follows
  socket.on('close', () => setTimeout(follow, 1000));
}

follow();
