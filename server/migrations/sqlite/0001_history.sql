-- Events in streams. `cursor` is the server-wide order and is never used twice; `seq` runs from 1 without gaps.
CREATE TABLE events (
  cursor  INTEGER PRIMARY KEY AUTOINCREMENT,
  stream  TEXT    NOT NULL,
  seq     INTEGER NOT NULL CHECK (seq > 0),
  at      INTEGER NOT NULL,
  kind    TEXT    NOT NULL,
  version INTEGER NOT NULL,
  body    TEXT    NOT NULL,
  UNIQUE (stream, seq)
) STRICT;

-- What lists show, folded from the events and written with them. Ids sort by time, so they page the lists.
CREATE TABLE runs (
  id          TEXT PRIMARY KEY,
  workflow    TEXT    NOT NULL,
  outcome     TEXT,
  reasons     TEXT    NOT NULL,
  started_at  INTEGER NOT NULL,
  finished_at INTEGER,
  incident    TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_by_workflow ON runs (workflow, id);
CREATE INDEX runs_live ON runs (id) WHERE outcome IS NULL;
CREATE INDEX runs_live_by_workflow ON runs (workflow, id) WHERE outcome IS NULL;

CREATE TABLE incidents (
  id          TEXT PRIMARY KEY,
  dedupe_key  TEXT    NOT NULL,
  open        INTEGER NOT NULL,
  title       TEXT    NOT NULL,
  severity    TEXT    NOT NULL,
  source      TEXT    NOT NULL,
  opened_at   INTEGER NOT NULL,
  resolved_at INTEGER,
  alerts      INTEGER NOT NULL,
  runs        TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX incidents_by_key ON incidents (dedupe_key, id);

-- Used keys with the answers that they got.
CREATE TABLE claims (
  scope        TEXT    NOT NULL,
  key          TEXT    NOT NULL,
  request_hash TEXT    NOT NULL,
  answer       TEXT    NOT NULL,
  at           INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) STRICT;
CREATE INDEX claims_by_expiry ON claims (expires_at);

-- Raw deliveries, unchanged.
CREATE TABLE evidence (
  alert        TEXT PRIMARY KEY,
  source       TEXT    NOT NULL,
  received_at  INTEGER NOT NULL,
  content_type TEXT    NOT NULL,
  body         BLOB    NOT NULL
) STRICT;

-- Definitions by content, and which one is the newest of its name.
CREATE TABLE workflows (
  name      TEXT    NOT NULL,
  version   TEXT    NOT NULL,
  source    TEXT    NOT NULL,
  plan      TEXT    NOT NULL,
  stored_at INTEGER NOT NULL,
  PRIMARY KEY (name, version)
) STRICT;
CREATE TABLE newest_workflows (
  name    TEXT PRIMARY KEY,
  version TEXT NOT NULL,
  FOREIGN KEY (name, version) REFERENCES workflows (name, version)
) STRICT, WITHOUT ROWID;

-- Agents as last seen; `dial` is the highest that was taken.
CREATE TABLE agents (
  id      TEXT PRIMARY KEY,
  name    TEXT    NOT NULL,
  version TEXT    NOT NULL,
  labels  TEXT    NOT NULL,
  facts   TEXT    NOT NULL,
  seen_at INTEGER NOT NULL,
  dial    INTEGER NOT NULL
) STRICT;
