-- Who may read the events of a session that is gone: its settings, and the seq of its `session.deleted`. Only of
-- sessions that were not everybody's; a row goes when the log has dropped that event.
CREATE TABLE deleted_sessions (
  upto       INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL,
  settings   TEXT NOT NULL
) STRICT;
