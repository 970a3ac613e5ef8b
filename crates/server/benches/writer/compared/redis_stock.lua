-- The numbers 17000000000 and up, in so many cities. ARGV: first, last, cities
for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  redis.call('SADD', 'idle:' .. n % tonumber(ARGV[3]), string.format('17%09d', n))
end
return 'OK'
