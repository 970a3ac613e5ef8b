-- Records: what grows and is queried by people. Numbers are text; times are
-- UTC milliseconds; what has no fixed shape is JSON text.

-- One row a call: opened before the second leg is dialled, closed once, with a
-- copy of the facts of its binding.
CREATE TABLE call_record (
    call_id TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    boot TEXT NOT NULL,
    state TEXT NOT NULL,
    account TEXT,
    pool TEXT,
    product TEXT,
    subs_id BIGINT,
    x TEXT NOT NULL,
    caller TEXT,
    callee TEXT,
    a TEXT,
    b TEXT,
    extension TEXT,
    out_id TEXT,
    out_order_id TEXT,
    trunk_in TEXT,
    trunk_out TEXT,
    arrived_at BIGINT NOT NULL,
    dialled_at BIGINT,
    ringing_at BIGINT,
    answered_at BIGINT,
    released_at BIGINT,
    situation TEXT,
    release_by TEXT,
    sip_status BIGINT,
    q850_cause BIGINT,
    one_way BIGINT,
    recording TEXT,
    media TEXT,
    ladder TEXT
);
CREATE INDEX call_record_by_arrival ON call_record (arrived_at, call_id);
CREATE INDEX call_record_by_binding ON call_record (subs_id, arrived_at);
CREATE INDEX call_record_by_x ON call_record (x, arrived_at);
CREATE INDEX call_record_by_state ON call_record (state, boot);

-- One row a binding, live or ended; a projection of the journal.
CREATE TABLE binding_history (
    subs_id BIGINT NOT NULL PRIMARY KEY,
    x TEXT NOT NULL,
    a TEXT,
    b TEXT,
    bound_at BIGINT NOT NULL,
    bound_by TEXT NOT NULL,
    changed_by TEXT,
    ended_at BIGINT,
    ended_by TEXT,
    end_cause TEXT,
    facts TEXT,
    seq BIGINT NOT NULL,
    event BIGINT NOT NULL
);
CREATE INDEX binding_history_by_x ON binding_history (x, bound_at);

-- Who changed what, bindings aside; a projection of the journal.
CREATE TABLE audit (
    seq BIGINT NOT NULL,
    event BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    deed TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (seq, event)
);

-- How far each projection has read the journal.
CREATE TABLE projection (
    name TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    position BIGINT NOT NULL
);
