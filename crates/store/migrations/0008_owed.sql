-- What is owed for milestones of calls, such as messages to customers: written
-- in the transaction that writes the row of the call, sent after. A row has no
-- number of its own: what it is for is its name, so that the same is never owed
-- twice.
CREATE TABLE owed (
    call_id TEXT NOT NULL,
    milestone TEXT NOT NULL,
    kind TEXT NOT NULL,
    owed_key TEXT NOT NULL,
    at BIGINT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (call_id, milestone, kind, owed_key)
);
CREATE INDEX owed_by_time ON owed (at, call_id, milestone, kind, owed_key);
