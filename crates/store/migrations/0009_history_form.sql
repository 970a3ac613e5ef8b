-- In which form the facts of a binding are written, so that a program that does
-- not know it says so. Rows of before are of form 1, JSON.
ALTER TABLE binding_history ADD COLUMN form BIGINT NOT NULL DEFAULT 1;
