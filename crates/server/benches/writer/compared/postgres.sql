-- What our writer does with a command, for PostgreSQL: a procedure each, a transaction each.
-- Variables of psql: numbers, bound, cities.
CREATE TABLE numbers (
  x bigint PRIMARY KEY,
  city integer NOT NULL,
  idle boolean NOT NULL,
  -- A random place, so that a random idle number of a city is the next one in an index.
  place double precision NOT NULL
);
CREATE TABLE slots (
  x bigint NOT NULL,
  party bigint NOT NULL,  -- 0: anyone
  binding bigint NOT NULL,
  PRIMARY KEY (x, party)
);
CREATE SEQUENCE binding_ids CACHE 100;
CREATE TABLE bindings (
  id bigint PRIMARY KEY,
  x bigint NOT NULL,
  a bigint NOT NULL,
  bound_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  out_id text,
  ended_at timestamptz,
  end_cause text
);
CREATE TABLE nonces (nonce bigint PRIMARY KEY, forget_at timestamptz NOT NULL);

INSERT INTO numbers
  SELECT 17000000000 + n, n % :cities, random() >= :bound::float8 / :numbers, random()
  FROM generate_series(0, :numbers - 1) AS n;
INSERT INTO bindings
  SELECT nextval('binding_ids'), x, 15000000000 + floor(random() * 64000000), now(),
    now() + interval '1 day', 'order-' || x, NULL, NULL
  FROM numbers WHERE NOT idle ORDER BY place;
INSERT INTO slots SELECT x, 0, id FROM bindings UNION ALL SELECT x, a, id FROM bindings;

CREATE INDEX ON numbers (city, place) WHERE idle;
CREATE INDEX ON bindings (x, id);
CREATE INDEX ON bindings (a, id);
CREATE INDEX ON bindings (expires_at) WHERE ended_at IS NULL;
VACUUM ANALYZE;

CREATE FUNCTION bind(of_nonce bigint, of_city integer, of_a bigint, of_out_id text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  place_from double precision := random();
  chosen bigint;
  made bigint := nextval('binding_ids');
BEGIN
  INSERT INTO nonces VALUES (of_nonce, now() + interval '15 minutes');
  FOR turn IN 1..2 LOOP
    UPDATE numbers SET idle = false WHERE x = (
      SELECT n.x FROM numbers AS n
      WHERE n.city = of_city AND n.idle AND n.place >= place_from
      ORDER BY n.place LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING x INTO chosen;
    EXIT WHEN FOUND;
    place_from := 0;
  END LOOP;
  IF chosen IS NULL THEN
    RAISE 'no idle number in city %', of_city;
  END IF;
  -- The primary key is the rule: a slot has one owner.
  INSERT INTO slots VALUES (chosen, 0, made), (chosen, of_a, made);
  INSERT INTO bindings
    VALUES (made, chosen, of_a, now(), now() + interval '1 day', of_out_id, NULL, NULL);
  RETURN made;
END $$;

CREATE FUNCTION change(of_nonce bigint, of_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO nonces VALUES (of_nonce, now() + interval '15 minutes');
  UPDATE bindings SET expires_at = now() + interval '2 days' WHERE id = of_id AND ended_at IS NULL;
  IF NOT FOUND THEN
    RAISE 'binding % is over', of_id;
  END IF;
END $$;

CREATE FUNCTION unbind(of_nonce bigint, of_id bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  freed bigint;
BEGIN
  INSERT INTO nonces VALUES (of_nonce, now() + interval '15 minutes');
  UPDATE bindings SET ended_at = now(), end_cause = 'unbound'
    WHERE id = of_id AND ended_at IS NULL RETURNING x INTO freed;
  IF NOT FOUND THEN
    RAISE 'binding % is over', of_id;
  END IF;
  DELETE FROM slots WHERE x = freed AND binding = of_id;
  UPDATE numbers SET idle = true WHERE x = freed;
END $$;
