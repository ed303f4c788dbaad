-- +goose Up
-- Nodes that run at the same time go on with the schema of a newer version:
-- they read and no longer write. So a migration adds, and takes nothing away
-- that the version before reads. The place of the only process, which this one
-- takes away, was read by no more than that process.
CREATE TABLE nodes (
    id      text        COLLATE "C" PRIMARY KEY, -- random, of one process
    about   text        NOT NULL,                -- who that is, for people
    seq     bigint      NOT NULL,                -- it has applied every entry up to this one
    beat_at timestamptz NOT NULL                 -- when it was last heard of
) WITH (fillfactor = 50);

DROP TABLE IF EXISTS holder;
ALTER TABLE log_head DROP COLUMN owner;
