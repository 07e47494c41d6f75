-- The oldest message of each chat that has not left: what may be sent next is found among these, however long the
-- queues behind them are.
CREATE TABLE queue_heads (
  chat       INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL,
  ref        INTEGER NOT NULL
) STRICT;
CREATE INDEX queue_heads_by_session ON queue_heads (session_id, ref);

INSERT INTO queue_heads (chat, session_id, ref)
  SELECT chat, session_id, min(ref) FROM messages WHERE status IN ('queued', 'sending') GROUP BY session_id, chat;

-- A new one has the highest `ref` of all.
CREATE TRIGGER messages_may_lead AFTER INSERT ON messages
  WHEN new.status IN ('queued', 'sending') AND NOT EXISTS (SELECT 1 FROM queue_heads WHERE chat = new.chat)
BEGIN
  INSERT INTO queue_heads (chat, session_id, ref) VALUES (new.chat, new.session_id, new.ref);
END;

CREATE TRIGGER messages_moved_among_heads AFTER UPDATE OF status, chat ON messages
  WHEN (old.status IN ('queued', 'sending')) <> (new.status IN ('queued', 'sending')) OR old.chat <> new.chat
BEGIN
  DELETE FROM queue_heads WHERE chat IN (old.chat, new.chat);
  INSERT INTO queue_heads (chat, session_id, ref)
    SELECT chat, session_id, ref FROM messages
    WHERE session_id = new.session_id AND chat = new.chat AND status IN ('queued', 'sending') ORDER BY ref LIMIT 1;
  INSERT INTO queue_heads (chat, session_id, ref)
    SELECT chat, session_id, ref FROM messages
    WHERE session_id = new.session_id AND chat = old.chat AND old.chat <> new.chat AND status IN ('queued', 'sending')
    ORDER BY ref LIMIT 1;
END;

CREATE TRIGGER messages_lead_no_more AFTER DELETE ON messages WHEN old.status IN ('queued', 'sending') BEGIN
  DELETE FROM queue_heads WHERE chat = old.chat;
  INSERT INTO queue_heads (chat, session_id, ref)
    SELECT chat, session_id, ref FROM messages
    WHERE session_id = old.session_id AND chat = old.chat AND status IN ('queued', 'sending') ORDER BY ref LIMIT 1;
END;
