-- What the artifact store holds of an attempt, before its report names it: by the lease under which it came.
CREATE TABLE artifacts (
  token      TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  run        TEXT    NOT NULL,
  bytes      INTEGER NOT NULL,
  sha256     TEXT    NOT NULL,
  media_type TEXT    NOT NULL,
  stored_at  INTEGER NOT NULL,
  PRIMARY KEY (token, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX artifacts_by_run ON artifacts (run);
