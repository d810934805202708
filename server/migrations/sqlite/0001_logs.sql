-- One row for each stream of an attempt. It is held, without undeclared gaps, up to `held`.
CREATE TABLE logs (
  id      INTEGER PRIMARY KEY,
  attempt TEXT    NOT NULL,
  stream  INTEGER NOT NULL,
  held    INTEGER NOT NULL,
  ended   INTEGER NOT NULL,
  UNIQUE (attempt, stream)
) STRICT;

-- A piece covers [start, offset + length): the bytes from `start` to `offset` are lost, then the data comes.
CREATE TABLE log_pieces (
  log    INTEGER NOT NULL REFERENCES logs (id),
  start  INTEGER NOT NULL,
  offset INTEGER NOT NULL CHECK (offset >= start),
  data   BLOB    NOT NULL,
  PRIMARY KEY (log, start)
) STRICT;
