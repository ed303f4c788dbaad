-- +goose Up
-- The highest nonce of each key, for wire formats whose nonces only increase.
CREATE TABLE nonces (
    tenant  TEXT    NOT NULL,
    key_id  TEXT    NOT NULL,
    profile TEXT    NOT NULL, -- the wire format
    value   INTEGER NOT NULL,
    PRIMARY KEY (tenant, key_id, profile)
) STRICT, WITHOUT ROWID;
