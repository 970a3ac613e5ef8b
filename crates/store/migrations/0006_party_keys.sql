-- Rows of a person are found by a key of that person's number, which is opaque
-- to everything but src/records/party_key.rs: of today it is the digits, as
-- bytes. In a call record each person has one key, that of the first of these
-- columns in which they stand, so that most calls are in two of the indexes,
-- which hold the whole order of a list.
ALTER TABLE binding_history ADD COLUMN a_key BLOB;
ALTER TABLE binding_history ADD COLUMN b_key BLOB;
UPDATE binding_history SET a_key = CAST(a AS BLOB), b_key = CAST(b AS BLOB)
    WHERE a IS NOT NULL OR b IS NOT NULL;
CREATE INDEX binding_history_by_a ON binding_history (a_key, subs_id)
    WHERE a_key IS NOT NULL;
CREATE INDEX binding_history_by_b ON binding_history (b_key, subs_id)
    WHERE b_key IS NOT NULL;
-- The bindings on an X are listed by id, which follows the time.
DROP INDEX binding_history_by_x;
CREATE INDEX binding_history_by_x ON binding_history (x, subs_id);

ALTER TABLE call_record ADD COLUMN caller_key BLOB;
ALTER TABLE call_record ADD COLUMN callee_key BLOB;
ALTER TABLE call_record ADD COLUMN a_key BLOB;
ALTER TABLE call_record ADD COLUMN b_key BLOB;
UPDATE call_record SET
    caller_key = CAST(NULLIF(caller, '') AS BLOB),
    callee_key = CAST(CASE WHEN callee IN ('', COALESCE(caller, ''))
        THEN NULL ELSE callee END AS BLOB),
    a_key = CAST(CASE WHEN a IN ('', COALESCE(caller, ''), COALESCE(callee, ''))
        THEN NULL ELSE a END AS BLOB),
    b_key = CAST(CASE WHEN b IN ('', COALESCE(caller, ''), COALESCE(callee, ''), COALESCE(a, ''))
        THEN NULL ELSE b END AS BLOB)
    WHERE caller IS NOT NULL OR callee IS NOT NULL OR a IS NOT NULL OR b IS NOT NULL;
CREATE INDEX call_record_by_caller ON call_record (caller_key, arrived_at, call_id)
    WHERE caller_key IS NOT NULL;
CREATE INDEX call_record_by_callee ON call_record (callee_key, arrived_at, call_id)
    WHERE callee_key IS NOT NULL;
CREATE INDEX call_record_by_a ON call_record (a_key, arrived_at, call_id)
    WHERE a_key IS NOT NULL;
CREATE INDEX call_record_by_b ON call_record (b_key, arrived_at, call_id)
    WHERE b_key IS NOT NULL;
-- These two hold it now as well: where a page ends is read out of an index alone.
DROP INDEX call_record_by_binding;
CREATE INDEX call_record_by_binding ON call_record (subs_id, arrived_at, call_id);
DROP INDEX call_record_by_x;
CREATE INDEX call_record_by_x ON call_record (x, arrived_at, call_id);
