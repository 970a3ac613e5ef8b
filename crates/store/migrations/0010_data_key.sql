-- Keys that values at rest are sealed under, each sealed itself under a master key, which
-- is not here: `master` is the id of that one, hexadecimal. `promised` says how many values
-- may be sealed under it until more are promised. An id is never given twice, so a row
-- stays when its key is destroyed.
CREATE TABLE data_key (
    id BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    master TEXT NOT NULL,
    sealed BLOB NOT NULL,
    promised BIGINT NOT NULL
);
