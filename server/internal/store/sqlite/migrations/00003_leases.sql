-- +goose Up
CREATE TABLE leases (
    tenant     TEXT    NOT NULL,
    key        TEXT    NOT NULL, -- name
    id         TEXT    NOT NULL,
    version    INTEGER NOT NULL, -- of the key
    purpose    TEXT    NOT NULL,
    created_at INTEGER NOT NULL, -- microseconds since 1970, UTC, like the others
    expires_at INTEGER NOT NULL,
    max_uses   INTEGER NOT NULL, -- 0 for no limit
    used       INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL, -- 0 if it is not
    PRIMARY KEY (tenant, key, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX leases_by_end ON leases (expires_at);
