-- Webhooks: each is a cursor on the event log. Those of sessions' settings and of the configuration have rows
-- too, kept in step with where they stand. Up to `cursor` everything has been delivered or given up, but for
-- the lanes: a session with events that follow the lane's own cursor and not the webhook's. `session` is '' for
-- events of no session.
CREATE TABLE webhooks (
  id           TEXT PRIMARY KEY,
  source       TEXT NOT NULL CHECK (source IN ('api', 'session', 'config')),
  session_id   TEXT REFERENCES sessions (id) ON DELETE CASCADE,
  url          TEXT NOT NULL,
  events       TEXT NOT NULL DEFAULT '[]',
  secret       TEXT,
  headers      TEXT NOT NULL DEFAULT '{}',
  created_at   INTEGER NOT NULL,
  cursor       INTEGER NOT NULL,
  delivered_at INTEGER,
  disabled     TEXT
) STRICT;
CREATE INDEX webhooks_by_session ON webhooks (session_id);

CREATE TABLE webhook_lanes (
  webhook       TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
  session       TEXT NOT NULL,
  cursor        INTEGER NOT NULL,
  attempts      INTEGER NOT NULL,
  failing_since INTEGER,
  next_at       INTEGER NOT NULL,
  error         TEXT,
  PRIMARY KEY (webhook, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_dead_letters (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook     TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
  seq         INTEGER NOT NULL,
  upto        INTEGER NOT NULL,
  session_id  TEXT,
  type        TEXT,
  given_up_at INTEGER NOT NULL,
  attempts    INTEGER NOT NULL,
  error       TEXT NOT NULL
) STRICT;
CREATE INDEX webhook_dead_letters_by_webhook ON webhook_dead_letters (webhook, id);

INSERT INTO webhooks (id, source, session_id, url, events, secret, created_at, cursor)
  SELECT 'session:' || id, 'session', id, settings ->> '$.visible.webhookUrl',
         coalesce(settings -> '$.visible.webhookEvents', '[]'), settings ->> '$.webhookSecret', updated_at,
         coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)
  FROM sessions WHERE settings ->> '$.visible.webhookUrl' IS NOT NULL;
