// Chats, contacts, groups and numbers; what others do; and every other function of the page library by its name.

const paged = (models, { offset, limit }, describe) => ({
  total: models.length,
  items: models.slice(offset, offset + limit).map(describe),
});
const byName = (name) => (a, b) => String(name(a) ?? '').localeCompare(String(name(b) ?? ''));
// WhatsApp's times are seconds; "for ever" is a year far beyond what a date can be.
const timeText = (seconds) =>
  Number.isSafeInteger(seconds) && seconds > 0 && seconds < 253402300800 ? new Date(seconds * 1000).toISOString() : null;
const phoneOf = (wid) => {
  if (!wid) return null;
  if (wid.server === 'c.us') return `+${wid.user}`;
  const entry = attempt(() => WPP.whatsapp.lidPnCache.getPhoneNumber(wid));
  return entry ? `+${entry.user}` : null;
};

offers.chats = async (page) => {
  const chats = [...WPP.whatsapp.ChatStore.getModelsArray()].sort((a, b) => (Number(b.t) || 0) - (Number(a.t) || 0));
  return paged(chats, page, (chat) => ({
    id: text(chat.id),
    name: text(attempt(() => chat.formattedTitle) ?? chat.name),
    isGroup: Boolean(chat.id.isGroup()),
    unreadCount: Math.max(0, Number(chat.unreadCount) || 0),
    archived: Boolean(chat.archive),
    pinned: Boolean(chat.pin),
    mutedUntil: timeText(attempt(() => chat.mute.expiration)),
    lastMessageAt: timeText(chat.t),
  }));
};

offers.contacts = async (page) => {
  const name = (contact) => contact.name ?? contact.pushname;
  const contacts = [...WPP.whatsapp.ContactStore.getModelsArray()].filter((one) => !one.id.isGroup()).sort(byName(name));
  return paged(contacts, page, (contact) => ({
    id: text(contact.id),
    name: text(contact.name),
    pushName: text(contact.pushname),
    phoneNumber: phoneOf(contact.id),
    isBusiness: Boolean(contact.isBusiness),
    isMyContact: Boolean(attempt(() => contact.isMyContact)),
    isBlocked: Boolean(attempt(() => contact.isContactBlocked)),
  }));
};

offers.groups = async (page) => {
  // wa-js asks WhatsApp for them, and gives undefined for a group whose chat the page does not have yet.
  const groups = (await WPP.group.getAllGroups()).filter(Boolean).sort(byName((chat) => chat.name));
  return paged(groups, page, (chat) => ({
    id: text(chat.id),
    subject: text(chat.name ?? attempt(() => chat.groupMetadata.subject)),
    description: text(attempt(() => chat.groupMetadata.desc)),
    owner: text(attempt(() => chat.groupMetadata.owner)),
    createdAt: timeText(attempt(() => chat.groupMetadata.creation)),
    participants: (attempt(() => chat.groupMetadata.participants.getModelsArray()) ?? []).map((member) => ({
      id: text(member.id),
      isAdmin: Boolean(member.isAdmin || member.isSuperAdmin),
    })),
  }));
};

offers.checkNumber = async ({ chatId }) => {
  const found = await whoIs(chatId);
  if (!found) return null;
  const lid = found.lid ?? (found.wid.server === 'lid' ? found.wid : null);
  return { exists: true, chatId: text(found.wid), lid: text(lid), phoneNumber: phoneOf(found.wid) };
};

// -- what others do

WPP.on('chat.presence_change', ({ id, state: doing, participants }) => {
  if (!participants) tell('presence', { chatId: text(id), sender: text(id), state: text(doing) });
  for (const one of participants ?? []) {
    tell('presence', { chatId: text(id), sender: text(one.id), state: text(one.state) });
  }
});
WPP.on('call.incoming_call', (call) =>
  tell('call', {
    callId: text(call.id),
    sender: text(call.sender ?? call.peerJid),
    video: Boolean(call.isVideo),
    group: Boolean(call.isGroup),
  }),
);
WPP.on('group.participant_changed', ({ groupId, action, participants, author }) =>
  tell('group', {
    groupId: text(groupId),
    action: text(action),
    participants: (participants ?? []).map(text),
    by: text(author),
  }),
);

// -- every other function

const NAME_SPACES = Object.entries(WPP).filter(([, value]) => value && typeof value === 'object');
offers.functions = () =>
  NAME_SPACES.filter(([space]) => !['whatsapp', 'ev', 'loader', 'config'].includes(space))
    .flatMap(([space, members]) =>
      Object.keys(members)
        .filter((name) => typeof attempt(() => members[name]) === 'function' && /^[a-z]/.test(name))
        .map((name) => `${space}.${name}`),
    )
    .sort();

// As JSON, models by their attributes, ids by their text; deep or endless structures are cut.
const MOST_DEEP = 12;
const plain = (value, depth = 0) => {
  if (value === null || value === undefined || typeof value === 'function') return null;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object') return typeof value === 'number' && !Number.isFinite(value) ? null : value;
  if (depth >= MOST_DEEP) return null;
  if (typeof value._serialized === 'string') return value._serialized;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Error) return describe(value);
  if (value instanceof Map || value instanceof Set) return plain([...value], depth);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  if (ArrayBuffer.isView(value)) return plain(Array.from(value), depth);
  if (typeof value.getModelsArray === 'function') return plain(value.getModelsArray(), depth + 1);
  const source = value.attributes && typeof value.attributes === 'object' ? value.attributes : value;
  return Object.fromEntries(
    Object.entries(source)
      .filter(([name, item]) => !name.startsWith('_') && typeof item !== 'function')
      .map(([name, item]) => [name, plain(item, depth + 1)]),
  );
};
const memberOf = (name) => {
  const path = name.split('.');
  let owner = WPP;
  for (const part of path.slice(0, -1)) owner = Object.hasOwn(owner ?? {}, part) ? owner[part] : null;
  const member = path.at(-1);
  if (!owner || !Object.hasOwn(owner, member) || typeof owner[member] !== 'function') {
    throw failure('NO_SUCH_FUNCTION', `the page library has no function ${name}`);
  }
  return (...args) => owner[member](...args);
};
offers.call = async ({ name, args, mostBytes }) => {
  const answer = JSON.stringify(plain(await memberOf(name)(...args)));
  if (answer.length > mostBytes) throw failure('TOO_LARGE', `the answer has ${answer.length} characters`);
  return answer;
};

// One of them as a method of the daemon's own. An argument {chat} is a chat that the page may not know yet;
// `already` is the error that says that things are as they should be.
offers.act = async ({ name, args, already }) => {
  const given = [];
  for (const arg of args) given.push(arg && arg.chat ? (await resolveChat(arg.chat)).id.toString() : arg);
  try {
    return plain(await memberOf(name)(...given));
  } catch (error) {
    if (already && error && error.code === already) return null;
    throw error;
  }
};
