-- What went wrong with sessions, and what was done about it; the newest of each session are kept.
CREATE TABLE incidents (
  seq          INTEGER PRIMARY KEY,
  session_id   TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  at           INTEGER NOT NULL,
  kind         TEXT NOT NULL,
  detail       TEXT,
  action       TEXT NOT NULL,
  recovered_at INTEGER
) STRICT;
CREATE INDEX incidents_by_session ON incidents (session_id, seq);
CREATE INDEX incidents_open ON incidents (session_id) WHERE recovered_at IS NULL;

-- Until when the account's messages are known to be on record.
ALTER TABLE sessions ADD COLUMN caught_up INTEGER;
