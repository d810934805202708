-- Bytes that the artifact store had and that were removed by its limits: the history and `artifacts` tell still what they were.
CREATE TABLE artifacts_removed (
  sha256     TEXT    NOT NULL PRIMARY KEY,
  removed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX artifacts_by_sum ON artifacts (sha256, stored_at, bytes);
