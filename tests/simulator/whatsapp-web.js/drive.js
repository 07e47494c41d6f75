// Drives whatsapp-web.js for a test: events go out as JSON lines; a line of JSON in sends a message; the end of input ends it.

const readline = require("node:readline");
const { Client, NoAuth } = require("whatsapp-web.js");

const { executablePath, args, userDataDir } = JSON.parse(process.argv[2]);
const tell = (event, data = {}) => process.stdout.write(`${JSON.stringify({ event, ...data })}\n`);
const plain = (message) => ({ id: message.id._serialized, body: message.body, from: message.from, fromMe: message.fromMe });

const client = new Client({
  authStrategy: new NoAuth(),
  webVersionCache: { type: "none" },
  deviceName: "whatsapp-web.js",
  puppeteer: { executablePath, args, userDataDir, headless: "shell", pipe: true, handleSIGTERM: false, handleSIGINT: false },
});
client.on("qr", (text) => tell("qr", { text }));
client.on("authenticated", () => tell("authenticated"));
client.on("ready", () => tell("ready", { number: client.info.wid.user ?? client.info.wid }));
client.on("message", (message) => tell("message", plain(message)));
client.on("message_ack", (message, ack) => tell("ack", { ...plain(message), ack }));
client.on("message_reaction", ({ reaction, senderId }) => tell("reaction", { reaction, senderId }));

readline
  .createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { to, text } = JSON.parse(line);
    tell("sent", plain(await client.sendMessage(to, text, { sendSeen: false, linkPreview: false })));
  })
  .on("close", async () => {
    await client.destroy();
    process.exit(0);
  });
process.on("unhandledRejection", (error) => tell("error", { error: String(error.stack ?? error) }));
// Only then does it listen: a code that is scanned before would go unnoticed.
client.initialize().then(() => tell("listening"));
