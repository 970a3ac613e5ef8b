-- What may go is found by pool and in the order in which it was over, and rows
-- that stay are not looked at: of bindings by their end, of calls by their
-- arrival, for which there is an index already where a pool is known, of
-- recordings among the calls that have one.
CREATE INDEX binding_history_by_end ON binding_history (pool, ended_at, subs_id)
    WHERE ended_at IS NOT NULL;
CREATE INDEX call_record_unpooled ON call_record (arrived_at, call_id)
    WHERE pool IS NULL;
CREATE INDEX call_record_recorded ON call_record (COALESCE(pool, ''), arrived_at, call_id)
    WHERE recording IS NOT NULL;
-- When the recording of a call was deleted; its file is not named any more.
ALTER TABLE call_record ADD COLUMN recording_deleted_at BIGINT;

-- What is kept whatever the retention says: by a person's number, an X, a
-- binding or a call.
CREATE TABLE hold (
    id BIGINT NOT NULL PRIMARY KEY,
    held_by TEXT NOT NULL,
    value TEXT NOT NULL,
    held_until BIGINT NOT NULL,
    reason TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    added_by TEXT NOT NULL
);
