-- How many messages of each session have not left: each that is accepted asks, however long the queue is.
CREATE TABLE queue_lengths (
  session_id TEXT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
  length     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO queue_lengths (session_id, length)
  SELECT session_id, count(*) FROM messages WHERE status IN ('queued', 'sending') GROUP BY session_id;

CREATE TRIGGER messages_joined_queue AFTER INSERT ON messages WHEN new.status IN ('queued', 'sending') BEGIN
  INSERT INTO queue_lengths (session_id, length) VALUES (new.session_id, 1)
    ON CONFLICT DO UPDATE SET length = length + 1;
END;

CREATE TRIGGER messages_moved_in_queue AFTER UPDATE OF status ON messages
  WHEN (old.status IN ('queued', 'sending')) <> (new.status IN ('queued', 'sending'))
BEGIN
  INSERT INTO queue_lengths (session_id, length) VALUES (new.session_id, iif(new.status IN ('queued', 'sending'), 1, 0))
    ON CONFLICT DO UPDATE SET length = length + iif(new.status IN ('queued', 'sending'), 1, -1);
END;

CREATE TRIGGER messages_left_queue AFTER DELETE ON messages WHEN old.status IN ('queued', 'sending') BEGIN
  UPDATE queue_lengths SET length = length - 1 WHERE session_id = old.session_id;
END;
