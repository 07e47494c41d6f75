-- What figures cost must not grow with what is stored.

-- The session's messages by hour (of their place in lists, UTC) and type. They stay when a message is forgotten.
CREATE TABLE message_hours (
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  hour       INTEGER NOT NULL,
  type       TEXT NOT NULL,
  total      INTEGER NOT NULL,
  sent       INTEGER NOT NULL,
  received   INTEGER NOT NULL,
  failed     INTEGER NOT NULL,
  PRIMARY KEY (session_id, hour, type)
) STRICT, WITHOUT ROWID;

INSERT INTO message_hours (session_id, hour, type, total, sent, received, failed)
  SELECT session_id, at / 3600000, type, count(*),
         sum(direction = 'out' AND status IN ('sent', 'delivered', 'read', 'played')),
         sum(direction = 'in'), sum(status = 'failed')
  FROM messages GROUP BY 1, 2, 3;

CREATE TRIGGER messages_counted AFTER INSERT ON messages BEGIN
  INSERT INTO message_hours (session_id, hour, type, total, sent, received, failed)
    VALUES (new.session_id, new.at / 3600000, new.type, 1,
            new.direction = 'out' AND new.status IN ('sent', 'delivered', 'read', 'played'),
            new.direction = 'in', new.status = 'failed')
    ON CONFLICT DO UPDATE SET total = total + 1, sent = sent + excluded.sent,
                              received = received + excluded.received, failed = failed + excluded.failed;
END;

CREATE TRIGGER messages_recounted AFTER UPDATE OF status ON messages
  WHEN new.direction = 'out'
   AND (old.status IN ('sent', 'delivered', 'read', 'played'), old.status = 'failed')
    <> (new.status IN ('sent', 'delivered', 'read', 'played'), new.status = 'failed')
BEGIN
  UPDATE message_hours
    SET sent = sent + (new.status IN ('sent', 'delivered', 'read', 'played'))
                    - (old.status IN ('sent', 'delivered', 'read', 'played')),
        failed = failed + (new.status = 'failed') - (old.status = 'failed')
    WHERE session_id = new.session_id AND hour = new.at / 3600000 AND type = new.type;
END;

-- For the time that a session was connected.
CREATE INDEX events_transitions ON events (session_id, seq) WHERE type = 'session.status';

-- For what has been sent within the last hour (`alertSentPerHour`); the column says that the alert was raised, and
-- the session has not fallen below since.
CREATE INDEX messages_sent ON messages (session_id, timestamp) WHERE origin = 'api' AND timestamp IS NOT NULL;
ALTER TABLE sessions ADD COLUMN volume_alerted INTEGER NOT NULL DEFAULT 0;

-- For lists of one status or one direction, of which there may be few among many.
CREATE INDEX messages_by_status ON messages (session_id, status, at, ref);
CREATE INDEX messages_by_direction ON messages (session_id, direction, at, ref);
