-- The routing state: what happened (journal), where a start begins
-- (snapshot), and a few facts about this store (meta).
--
-- Every statement is read by SQLite and by PostgreSQL; BLOB becomes BYTEA for
-- the latter (see src/schema.rs).

CREATE TABLE journal (
    partition BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    payload BLOB NOT NULL,
    personal BLOB NOT NULL,
    PRIMARY KEY (partition, seq)
);

CREATE TABLE snapshot (
    partition BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    part BIGINT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (partition, seq, part)
);

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
