-- What our writer does with a command, for Redis: one script, one answer.
-- ARGV: bind, nonce, now, city, A, expires at, OutId -> id
--       update, nonce, now, id, expires at -> 1
--       unbind, nonce, now, id -> 1
local act, nonce, now = ARGV[1], ARGV[2], ARGV[3]
if not redis.call('SET', 'nonce:' .. nonce, 1, 'NX', 'EX', 900) then
  return redis.error_reply('SEEN this nonce')
end

if act == 'bind' then
  local city, a, expires_at, out_id = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
  local x = redis.call('SPOP', 'idle:' .. city)
  if not x then
    return redis.error_reply('EMPTY city')
  end
  local slots = 'slots:' .. x
  local owners = redis.call('HMGET', slots, '*', a)
  if owners[1] or owners[2] then
    return redis.error_reply('TAKEN slot')
  end
  local id = redis.call('INCR', 'last_id')
  redis.call('HSET', slots, '*', id, a, id)
  redis.call('HSET', 'binding:' .. id, 'a', a, 'x', x, 'city', city, 'bound_at', now,
    'expires_at', expires_at, 'out_id', out_id)
  redis.call('ZADD', 'expiring', expires_at, id)
  redis.call('RPUSH', 'of_x:' .. x, id)
  redis.call('RPUSH', 'of_a:' .. a, id)
  return id
end

local id = ARGV[4]
local binding = 'binding:' .. id
local known = redis.call('HMGET', binding, 'a', 'x', 'city', 'ended_at')
if not known[1] or known[4] then
  return redis.error_reply('ENDED or unknown')
end
if act == 'update' then
  redis.call('HSET', binding, 'expires_at', ARGV[5])
  redis.call('ZADD', 'expiring', ARGV[5], id)
else
  redis.call('HDEL', 'slots:' .. known[2], '*', known[1])
  redis.call('HSET', binding, 'ended_at', now, 'end_cause', 'unbound')
  redis.call('ZREM', 'expiring', id)
  redis.call('SADD', 'idle:' .. known[3], known[2])
end
return 1
