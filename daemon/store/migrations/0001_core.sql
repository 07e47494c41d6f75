-- Sessions, messages, the event log. Times are integers: milliseconds since 1970, UTC. JSON is text.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- The lowest seq that the log still holds, or will hold: what came before has expired.
INSERT INTO meta (name, value) VALUES ('events_oldest', 1);

CREATE TABLE sessions (
  id              TEXT PRIMARY KEY,
  name            TEXT NOT NULL,
  description     TEXT,
  desired         TEXT NOT NULL CHECK (desired IN ('running', 'stopped')),
  status          TEXT NOT NULL
                  CHECK (status IN ('inactive', 'connecting', 'qr_generated', 'connected', 'disconnected')),
  reason          TEXT,
  phone_number    TEXT,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  last_activity   INTEGER,
  linked_at       INTEGER,
  connection_info TEXT,
  settings        TEXT NOT NULL DEFAULT '{}',
  owner_uid       INTEGER,
  restarts        TEXT NOT NULL DEFAULT '[]',
  sent            INTEGER NOT NULL DEFAULT 0,
  received        INTEGER NOT NULL DEFAULT 0,
  failed          INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One person has several chat ids (phone number, @lid): all of them lead to one chat.
CREATE TABLE chats (
  ref        INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX chats_by_session ON chats (session_id);

CREATE TABLE chat_aliases (
  session_id TEXT NOT NULL,
  alias      TEXT NOT NULL,
  chat       INTEGER NOT NULL REFERENCES chats (ref) ON DELETE CASCADE,
  PRIMARY KEY (session_id, alias)
) STRICT, WITHOUT ROWID;
CREATE INDEX chat_aliases_by_chat ON chat_aliases (chat);

-- `ref` is never used again (AUTOINCREMENT): events refer to it for ever. `at` is the place in lists and never
-- changes: WhatsApp's time of a message that came, the time of acceptance of one that is to be sent.
CREATE TABLE messages (
  ref             INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id      TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  id              TEXT NOT NULL,
  key             TEXT,
  chat            INTEGER NOT NULL REFERENCES chats (ref),
  chat_id         TEXT NOT NULL,
  direction       TEXT NOT NULL CHECK (direction IN ('in', 'out')),
  origin          TEXT NOT NULL CHECK (origin IN ('api', 'phone', 'contact')),
  sender          TEXT,
  recipient       TEXT,
  type            TEXT NOT NULL,
  text            TEXT,
  media           TEXT,
  quoted_id       TEXT,
  mentions        TEXT,
  options         TEXT,
  status          TEXT NOT NULL CHECK (status IN ('queued', 'sending', 'sent', 'delivered', 'read', 'played',
                                                  'failed', 'cancelled', 'received')),
  error           TEXT,
  attempts        INTEGER NOT NULL DEFAULT 0,
  retry_at        INTEGER NOT NULL DEFAULT 0,
  key_failures    INTEGER NOT NULL DEFAULT 0,
  at              INTEGER NOT NULL,
  timestamp       INTEGER,
  edited_at       INTEGER,
  deleted_at      INTEGER,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  idempotency_key TEXT,
  content_hash    BLOB
) STRICT;
CREATE UNIQUE INDEX messages_by_key ON messages (session_id, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX messages_out_by_id ON messages (session_id, id) WHERE direction = 'out';
CREATE INDEX messages_by_id ON messages (session_id, id);
CREATE UNIQUE INDEX messages_by_idempotency ON messages (session_id, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX messages_by_time ON messages (session_id, at, ref);
CREATE INDEX messages_observed ON messages (session_id, at) WHERE origin <> 'api';
CREATE INDEX messages_by_chat ON messages (chat, at, ref);
CREATE INDEX messages_pending ON messages (session_id, chat, ref) WHERE status IN ('queued', 'sending');

-- What the page needs to send a message and no list shows (media data, a poll's options): beside the row, so
-- that rows stay small.
CREATE TABLE payloads (
  message INTEGER PRIMARY KEY REFERENCES messages (ref) ON DELETE CASCADE,
  content BLOB NOT NULL
) STRICT;

-- `seq` only rises, and no value is used twice (AUTOINCREMENT). `message` is a messages.ref and no foreign key:
-- an event outlives its message. `data` of such an event holds no content, only what was true of the message then.
CREATE TABLE events (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  at         INTEGER NOT NULL,
  type       TEXT NOT NULL,
  session_id TEXT,
  message    INTEGER,
  data       TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_session ON events (session_id, seq);
