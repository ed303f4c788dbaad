-- +goose Up
-- What was answered to requests with an idempotency key.
CREATE TABLE answers (
    tenant     TEXT    NOT NULL,
    caller     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    request    BLOB    NOT NULL, -- digest of what was asked
    owner      TEXT    NOT NULL, -- who works on it
    state      INTEGER NOT NULL, -- 1 pending, 2 committed, 3 kept
    lease_end  INTEGER NOT NULL, -- microseconds since 1970, UTC, like the next one
    expires_at INTEGER NOT NULL,
    sealed     BLOB    NOT NULL, -- the answer, encrypted
    PRIMARY KEY (tenant, caller, key)
) STRICT;

CREATE INDEX answers_by_tenant ON answers (tenant, expires_at);

CREATE INDEX answers_by_end ON answers (expires_at);
