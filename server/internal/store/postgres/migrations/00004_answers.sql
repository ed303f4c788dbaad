-- +goose Up
-- What was answered to requests with an idempotency key.
CREATE TABLE answers (
    tenant     text   COLLATE "C" NOT NULL,
    caller     text   COLLATE "C" NOT NULL,
    key        text   COLLATE "C" NOT NULL,
    request    bytea  NOT NULL, -- digest of what was asked
    owner      text   COLLATE "C" NOT NULL, -- who works on it
    state      int    NOT NULL, -- 1 pending, 2 committed, 3 kept
    lease_end  bigint NOT NULL, -- microseconds since 1970, UTC, like the next one
    expires_at bigint NOT NULL,
    sealed     bytea  NOT NULL, -- the answer, encrypted
    PRIMARY KEY (tenant, caller, key)
);

CREATE INDEX answers_by_tenant ON answers (tenant, expires_at);

CREATE INDEX answers_by_end ON answers (expires_at);
