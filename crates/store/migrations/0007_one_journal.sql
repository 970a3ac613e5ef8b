-- A database holds one journal, and snapshots of one state. Both were keyed by
-- a partition that was always 0 and that nothing else knew: a shard would have
-- its own chain, state, records and ids, and so a database of its own.
--
-- Rows are copied as they stand, in their order. What the old tables held is
-- overwritten with zeros by SQLite's secure_delete.
CREATE TABLE journal_of_one (
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    payload BLOB NOT NULL,
    personal BLOB NOT NULL
);
INSERT INTO journal_of_one (seq, at, prev_hash, hash, payload, personal)
    SELECT seq, at, prev_hash, hash, payload, personal FROM journal;
DROP TABLE journal;
ALTER TABLE journal_of_one RENAME TO journal;

CREATE TABLE snapshot_of_one (
    seq BIGINT NOT NULL,
    part BIGINT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (seq, part)
);
INSERT INTO snapshot_of_one (seq, part, payload)
    SELECT seq, part, payload FROM snapshot;
DROP TABLE snapshot;
ALTER TABLE snapshot_of_one RENAME TO snapshot;
