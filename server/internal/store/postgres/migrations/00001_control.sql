-- +goose Up
-- Texts are sorted by their bytes, as in every store.
CREATE TABLE records (
    tenant  text   COLLATE "C" NOT NULL, -- empty for the platform itself
    kind    text   COLLATE "C" NOT NULL,
    name    text   COLLATE "C" NOT NULL,
    id      text   COLLATE "C" NOT NULL,
    format  bigint NOT NULL CHECK (format >= 1),
    version bigint NOT NULL CHECK (version >= 1),
    doc     bytea  NOT NULL, -- JSON
    PRIMARY KEY (tenant, kind, name)
);

CREATE TABLE entries (
    seq       bigint PRIMARY KEY, -- 1, 2, 3 and so on without a gap
    at        bigint NOT NULL,    -- microseconds since 1970, UTC
    tenant    text   NOT NULL,
    caller    text   NOT NULL,
    action    text   NOT NULL,
    kind      text   NOT NULL,
    record_id text   NOT NULL,
    name      text   NOT NULL,
    detail    bytea,              -- JSON
    reason    text   NOT NULL     -- why it was refused, empty if it was done
);

CREATE TABLE log_head (
    one   integer PRIMARY KEY CHECK (one = 1),
    seq   bigint  NOT NULL, -- of the last entry
    owner text    NOT NULL  -- the process that may write, see the table holder
) WITH (fillfactor = 10);
INSERT INTO log_head (one, seq, owner) VALUES (1, 0, '');

-- A transaction leaves its token here, so that it can be found out what became
-- of a COMMIT whose answer was lost. The number of the transaction alone does not
-- tell: after a crash the server gives the numbers that it had not written out
-- to other transactions.
CREATE TABLE outcomes (
    token text        COLLATE "C" PRIMARY KEY,
    at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outcomes_by_age ON outcomes (at);

CREATE TABLE uses (
    tenant  text   COLLATE "C" NOT NULL,
    name    text   COLLATE "C" NOT NULL, -- of the key
    version bigint NOT NULL,
    count   bigint NOT NULL,
    last_at bigint NOT NULL, -- microseconds since 1970, UTC
    PRIMARY KEY (tenant, name, version)
) WITH (fillfactor = 70);

CREATE TABLE leases (
    tenant     text   COLLATE "C" NOT NULL,
    key        text   COLLATE "C" NOT NULL, -- name
    id         text   COLLATE "C" NOT NULL,
    version    bigint NOT NULL, -- of the key
    purpose    text   NOT NULL,
    created_at bigint NOT NULL, -- microseconds since 1970, UTC, like the others
    expires_at bigint NOT NULL,
    max_uses   bigint NOT NULL, -- 0 for no limit
    used       bigint NOT NULL,
    revoked_at bigint NOT NULL, -- 0 if it is not
    PRIMARY KEY (tenant, key, id)
) WITH (fillfactor = 70);
CREATE INDEX leases_by_end ON leases (expires_at);
