-- Agents that are offered nothing new. A row of its own: a Hello replaces what is known of an agent, not this.
CREATE TABLE drained (
  agent  TEXT PRIMARY KEY,
  by     TEXT    NOT NULL,
  reason TEXT    NOT NULL,
  at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
