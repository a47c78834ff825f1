/*
 * limiter_script - what Redis does for a request and a batch of statistics; see limiter_script.h.
 *
 * Redis runs a script as a whole, with nothing else in between, so each is one atomic step.  All
 * reads come before the first write, and that is where Redis refuses (read-only, out of memory,
 * disk errors, ACL): once something is written nothing fails any more.
 *
 * Charges: the rules are core/limit.c's, to the microsecond of Redis' own clock.  So that its cost
 * does not grow with the number of buckets, a window stays the string that it is: its sum stands in
 * front, dead buckets are cut off there, charges are added at the end.  Only a wait is computed by
 * walking.
 *
 *	KEYS	of the windows
 *	ARGV	serial, "charge" (if all fit), "look" or "record" (fit or not),
 *		for each window: most, seconds, amount (at least 1)
 *	reply	serial, 0 allowed or 1 over, number of the window that waits longest (from 0;
 *		allowed: 0), microseconds that it waits (-1: for ever)
 *
 * Statistics: the serial of the last batch stands at a key of the sender's, and a batch whose serial
 * is not above that has been counted.  Serials are 20 digits, so they compare as strings; as numbers
 * they would be rounded.  What cannot be counted (pcall) stops nothing else.  A hash's time to live
 * begins anew with each field that comes up in it: it has one from the first on, and that costs
 * nothing later.
 *
 *	KEYS	of the sender's serial, then of the hashes
 *	ARGV	serial, seconds that hashes live,
 *		for each hash: how many fields, then for each of them: field, by
 *	reply	serial, 1 counted or 0 was counted before, how many numbers failed,
 *		number of the first hash among them (from 0; none: 0)
 *
 * Needs Redis 5 (scripts replicate what they did, not themselves, so that they may ask for the
 * time).
 */
#include "io/limiter_script.h"

/* clang-format off */
const char limiter_script_charge[] =
"local most, seconds, amount, kept = {}, {}, {}, {}\n"
"local clock = redis.call('TIME')\n"
"local now = clock[1] * 1000000 + clock[2]\n"
"local over, which, longest = 0, 0, 0\n"

/* Reads a window: the sum of what counts, and the text of its buckets that count. */
"local function read(key, length)\n"
"  local text = redis.call('GET', key)\n"
"  if not text then return 0, '' end\n"
"  if string.sub(text, 1, 4) ~= 'PM1:' or #text < 8 or (#text - 8) % 12 ~= 0 then\n"
"    error('poolmilter: damaged window', 0)\n"
"  end\n"
"  local used, first, last = struct.unpack('>I4', text, 5), 9, #text - 11\n"
   /* A clock that was set back: charges of the future count as made now. */
"  while last >= 9 and struct.unpack('>I8', text, last) > now do\n"
"    text = string.sub(text, 1, last - 1) .. struct.pack('>I8', now) .. string.sub(text, last + 8)\n"
"    last = last - 12\n"
"  end\n"
"  while first < #text do\n"
"    local time, count = struct.unpack('>I8I4', text, first)\n"
"    if now - time < length then break end\n"
"    used, first = used - count, first + 12\n"
"  end\n"
"  return used, string.sub(text, first)\n"
"end\n"

/* How long until so much is freed. */
"local function wait(buckets, excess, length)\n"
"  local first, time, count = 1\n"
"  repeat\n"
"    if first > #buckets then error('poolmilter: damaged window', 0) end\n"
"    time, count = struct.unpack('>I8I4', buckets, first)\n"
"    excess, first = excess - count, first + 12\n"
"  until excess <= 0\n"
"  return time + length - now\n"
"end\n"

/* The buckets with a charge more. */
"local function charge(buckets, most, amount)\n"
"  local part = math.max(1, math.floor(most / 50))\n"
"  local newest = #buckets - 11\n"
"  if newest > 0 then\n"
"    local time, count = struct.unpack('>I8I4', buckets, newest)\n"
"    if time == now or count + amount <= part or #buckets >= 1200 then\n"
"      return string.sub(buckets, 1, newest - 1) .. struct.pack('>I8I4', now, count + amount)\n"
"    end\n"
"  end\n"
"  return buckets .. struct.pack('>I8I4', now, amount)\n"
"end\n"

"for w = 1, #KEYS do\n"
"  local a = 3 * w\n"
"  most[w], seconds[w], amount[w] = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])\n"
"  local length = seconds[w] * 1000000\n"
"  local used, buckets = read(KEYS[w], length)\n"
"  local excess, time = used + amount[w] - most[w], 0\n"
"  if amount[w] > most[w] then\n"
"    time = -1\n"
"  elseif excess > 0 then\n"
"    time = wait(buckets, excess, length)\n"
"  end\n"
"  if time ~= 0 then\n"
"    over = 1\n"
"    if longest >= 0 and (time < 0 or time > longest) then which, longest = w - 1, time end\n"
"  end\n"
"  kept[w] = {used, buckets}\n"
"end\n"

"if ARGV[2] == 'record' then over, which, longest = 0, 0, 0 end\n"
"if over == 0 and ARGV[2] ~= 'look' then\n"
"  for w = 1, #KEYS do\n"
"    local text = 'PM1:' .. struct.pack('>I4', kept[w][1] + amount[w])\n"
"      .. charge(kept[w][2], most[w], amount[w])\n"
"    redis.call('SET', KEYS[w], text, 'PX', seconds[w] * 1000 + 1000)\n"
"  end\n"
"end\n"

"return {tonumber(ARGV[1]), over, which, longest}\n";

const char limiter_script_add[] =
"local last = redis.call('GET', KEYS[1])\n"
"if last then\n"
"  if not string.find(last, '^%d+$') or #last ~= 20 then\n"
"    error('poolmilter: damaged serial', 0)\n"
"  end\n"
"  if ARGV[1] <= last then return {ARGV[1], 0, 0, 0} end\n"
"end\n"
"redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])\n"
"local failed, first, a = 0, 0, 3\n"
"for h = 2, #KEYS do\n"
"  local key, is_new = KEYS[h], false\n"
"  for f = a + 1, a + 2 * ARGV[a], 2 do\n"
"    local sum = redis.pcall('HINCRBY', key, ARGV[f], ARGV[f + 1])\n"
"    if type(sum) == 'table' then\n"
"      if failed == 0 then first = h - 2 end\n"
"      failed = failed + 1\n"
"    elseif sum == tonumber(ARGV[f + 1]) then\n"
"      is_new = true\n"
"    end\n"
"  end\n"
"  if is_new then redis.pcall('EXPIRE', key, ARGV[2]) end\n"
"  a = a + 1 + 2 * ARGV[a]\n"
"end\n"
"return {ARGV[1], 1, failed, first}\n";
/* clang-format on */
