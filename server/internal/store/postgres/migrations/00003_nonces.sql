-- +goose Up
-- The highest nonce of each key, for wire formats whose nonces only increase.
CREATE TABLE nonces (
    tenant  text   COLLATE "C" NOT NULL,
    key_id  text   COLLATE "C" NOT NULL,
    profile text   COLLATE "C" NOT NULL, -- the wire format
    value   bigint NOT NULL,
    PRIMARY KEY (tenant, key_id, profile)
) WITH (fillfactor = 70);
