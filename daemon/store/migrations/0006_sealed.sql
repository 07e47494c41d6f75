-- Encryption at rest: what a message says (text, media, mentions, options, content_hash) is in `sealed` then,
-- and those columns are NULL. It begins with the id of its key, by which rows under another are found.
ALTER TABLE messages ADD COLUMN sealed BLOB;
ALTER TABLE messages ADD COLUMN sealed_by BLOB GENERATED ALWAYS AS (substr(sealed, 1, 8)) VIRTUAL;
CREATE INDEX messages_by_seal ON messages (session_id, sealed_by);

-- What these events say is in no message's row. Theirs is `more` of `data`.
ALTER TABLE events ADD COLUMN sealed BLOB;
ALTER TABLE events ADD COLUMN sealed_by BLOB GENERATED ALWAYS AS (substr(sealed, 1, 8)) VIRTUAL;
CREATE INDEX events_by_seal ON events (session_id, sealed_by)
  WHERE type IN ('message.reaction', 'message.poll_vote');

-- The keys that may be needed to read this store or a file beside it: without one of them it is not opened.
CREATE TABLE seal_keys (id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;

DROP TABLE payloads;
