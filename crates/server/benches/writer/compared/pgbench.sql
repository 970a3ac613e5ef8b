-- Ten commands of a caller, in our order: six bind, one changes the newest, three unbind; three binds
-- in four name a city, which here is drawn either way. Each statement is a transaction of its own.
\set a 15000000000 + :client_id * 1000000 + random(0, 999999)
\set nonce random(1, 9223372036854775807)
\set city random(0, :cities - 1)
SELECT bind(:nonce, :city, :a, 'order-' || :a::bigint) AS b1 \gset
\set nonce random(1, 9223372036854775807)
\set city random(0, :cities - 1)
SELECT bind(:nonce, :city, :a, 'order-' || :a::bigint) AS b2 \gset
\set nonce random(1, 9223372036854775807)
\set city random(0, :cities - 1)
SELECT bind(:nonce, :city, :a, 'order-' || :a::bigint) AS b3 \gset
\set nonce random(1, 9223372036854775807)
\set city random(0, :cities - 1)
SELECT bind(:nonce, :city, :a, 'order-' || :a::bigint) AS b4 \gset
\set nonce random(1, 9223372036854775807)
\set city random(0, :cities - 1)
SELECT bind(:nonce, :city, :a, 'order-' || :a::bigint) AS b5 \gset
\set nonce random(1, 9223372036854775807)
\set city random(0, :cities - 1)
SELECT bind(:nonce, :city, :a, 'order-' || :a::bigint) AS b6 \gset
\set nonce random(1, 9223372036854775807)
SELECT change(:nonce, :b6);
\set nonce random(1, 9223372036854775807)
SELECT unbind(:nonce, :b6);
\set nonce random(1, 9223372036854775807)
SELECT unbind(:nonce, :b5);
\set nonce random(1, 9223372036854775807)
SELECT unbind(:nonce, :b4);
