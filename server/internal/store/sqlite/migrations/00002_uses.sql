-- +goose Up
CREATE TABLE uses (
    tenant  TEXT    NOT NULL,
    name    TEXT    NOT NULL, -- of the key
    version INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    last_at INTEGER NOT NULL, -- microseconds since 1970, UTC
    PRIMARY KEY (tenant, name, version)
) STRICT, WITHOUT ROWID;
