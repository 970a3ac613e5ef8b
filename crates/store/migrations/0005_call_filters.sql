-- Lists of calls by account, by pool and by situation are found as those by X
-- are: by the newest, and no call of anybody else is read. Most rows get their
-- situation when they are closed, so an open one stands in no index of those.
CREATE INDEX call_record_by_account ON call_record (account, arrived_at, call_id)
    WHERE account IS NOT NULL;
CREATE INDEX call_record_by_pool ON call_record (pool, arrived_at, call_id)
    WHERE pool IS NOT NULL;
CREATE INDEX call_record_by_situation ON call_record (situation, arrived_at, call_id)
    WHERE situation IS NOT NULL;
