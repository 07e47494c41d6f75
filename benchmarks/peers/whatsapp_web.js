// whatsapp-web.js does the same start: prints, as JSON, the seconds from the spawn of its Chrome to the event waited
// for. Asked to hold, it says `ready` on standard error instead, and holds until it is killed.

const path = require("node:path");
const { createRequire } = require("node:module");
const processes = require("node:child_process");

const { executablePath, headless, args, profiles, until, hold } = JSON.parse(process.argv[2]);
const folder = path.join(__dirname, "../../tests/simulator/whatsapp-web.js/");
const { Client, NoAuth } = createRequire(folder)("whatsapp-web.js");

let spawned;
const spawn = processes.spawn;
processes.spawn = (...given) => {
  spawned = performance.now();
  return spawn(...given);
};

const start = async (userDataDir) => {
  const client = new Client({
    authStrategy: new NoAuth(),
    webVersionCache: { type: "none" },
    puppeteer: { executablePath, headless, args, userDataDir },
  });
  const come = new Promise((resolve) => client.on(until, () => resolve((performance.now() - spawned) / 1000)));
  const ready = client.initialize();
  const seconds = await come;
  await ready;
  return { client, seconds };
};

(async () => {
  const started = await Promise.all(profiles.map(start));
  if (hold) {
    process.stderr.write("ready\n");
    await new Promise((resolve) => process.once("SIGTERM", resolve));
  }
  await Promise.all(started.map(({ client }) => client.destroy()));
  process.stdout.write(JSON.stringify({ seconds: started[0].seconds }));
  process.exit(0);
})();
