-- Whose a binding was when it was made: the pool of its X and that pool's
-- account. Rows of before are filled from the journal as far as it reaches;
-- one that stays without is read by operators alone.
ALTER TABLE binding_history ADD COLUMN pool TEXT;
ALTER TABLE binding_history ADD COLUMN account TEXT;
CREATE INDEX binding_history_by_pool ON binding_history (pool, subs_id);
