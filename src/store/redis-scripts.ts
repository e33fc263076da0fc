/**
 * The steps that Redis takes at once. Each touches keys of one slot, so each works in a Cluster too. "Now" is handed
 * in; the TTL only sweeps up.
 */
import { createHash } from 'node:crypto';

export interface Script {
  readonly lua: string;
  readonly sha: string;
}

/** The value of a record, or nil where it is absent or has expired. See record-text.ts for its form. */
const living = `
local function living(now)
  local held = redis.call('GET', KEYS[1])
  if not held then return nil end
  local expiresAt = string.match(held, '^(%d*):')
  if not expiresAt then error('a record in the store is damaged') end
  if expiresAt ~= '' and tonumber(expiresAt) <= tonumber(now) then return nil end
  return string.sub(held, #expiresAt + 2)
end
local function put(text, ttl)
  if ttl == '' then redis.call('SET', KEYS[1], text) else redis.call('SET', KEYS[1], text, 'PX', ttl) end
end
`;

/** now, text, ttl → 1 or 0 */
export const create = script(`${living}
if living(ARGV[1]) then return 0 end
put(ARGV[2], ARGV[3])
return 1
`);

/** now, expected, text, ttl → 1 or 0 */
export const replace = script(`${living}
if living(ARGV[1]) ~= ARGV[2] then return 0 end
put(ARGV[3], ARGV[4])
return 1
`);

/** now, expected → 1 or 0 */
export const remove = script(`${living}
if living(ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
return 1
`);

/**
 * now, value, the time before which entries may go → id, greater than any there was. See log-id.ts for the rule. The one
 * that was the newest stays, however old: whoever has read so far goes on from there.
 */
export const append = script(`
local ms, sequence, before = ARGV[1], 0, ARGV[3]
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  local last
  for place = 1, #info, 2 do
    if info[place] == 'last-generated-id' then last = info[place + 1] end
  end
  local lastMs, lastSequence = string.match(last, '^(%d+)-(%d+)$')
  if tonumber(lastMs) < tonumber(before) then before = last end
  if tonumber(lastMs) >= tonumber(ms) then
    ms = lastMs
    sequence = tonumber(lastSequence) + 1
    if sequence >= 1000 then
      ms = string.format('%.0f', tonumber(lastMs) + 1)
      sequence = 0
    end
  end
end
local id = ms .. '-' .. string.format('%.0f', sequence)
return redis.call('XADD', KEYS[1], 'MINID', '~', before, id, 'v', ARGV[2])
`);

/**
 * log, readers; from, limit, reader, note → entries. One step, so that a note never says more than was to be read.
 *
 * A master that was replaced refuses all writes, and must not be read from: hence the one that changes nothing. One whose
 * memory is full refuses the note alone: a reader that is known goes on with its older one, and is waited for all the same.
 */
export const readAsReader = script(`
redis.call('HDEL', KEYS[2], '')
local noted = redis.pcall('HSET', KEYS[2], ARGV[3], ARGV[4])
if type(noted) == 'table' and noted.err then
  local isFull = string.find(noted.err, 'OOM', 1, true)
  if not isFull or redis.call('HEXISTS', KEYS[2], ARGV[3]) == 0 then return noted end
end
return redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
`);

/** readers; reader, note → 1 or 0 */
export const removeReader = script(`
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
`);

function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}
