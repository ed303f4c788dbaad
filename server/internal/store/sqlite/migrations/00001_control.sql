-- +goose Up
CREATE TABLE records (
    tenant  TEXT    NOT NULL, -- empty for the platform itself
    kind    TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    format  INTEGER NOT NULL CHECK (format >= 1),
    version INTEGER NOT NULL CHECK (version >= 1),
    doc     BLOB    NOT NULL, -- JSON
    PRIMARY KEY (tenant, kind, name)
) STRICT;

CREATE TABLE entries (
    seq       INTEGER PRIMARY KEY, -- 1, 2, 3 and so on without a gap
    at        INTEGER NOT NULL,    -- microseconds since 1970, UTC
    tenant    TEXT    NOT NULL,
    caller    TEXT    NOT NULL,
    action    TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    record_id TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    detail    BLOB,                -- JSON
    reason    TEXT    NOT NULL     -- why it was refused, empty if it was done
) STRICT;

CREATE TABLE log_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL -- of the last entry
) STRICT;

INSERT INTO log_head (one, seq) VALUES (1, 0);
