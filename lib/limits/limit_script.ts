/** The decision over a request, made where all nodes' requests are counted. */
import type { Script } from "../kv/key_value.ts";
import type { Algorithm, Quota } from "../quotas.ts";
import { type Meter, newMeter, type Standing } from "./meter.ts";

export interface Decision {
  readonly admitted: boolean;
  /** In the order of what was asked about, with this request counted if it was admitted. */
  readonly standings: readonly Standing[];
}

/** Of each key the quota, in their order. A test may say what time it is; else it is that of the store. */
export function argumentsOf(quotas: readonly Quota[], now?: number): readonly string[] {
  const texts = quotas.flatMap(({ algorithm, limit, windowMs }) => [
    algorithm,
    String(limit),
    String(windowMs),
  ]);
  return [now === undefined ? "" : String(now), ...texts];
}

export function decisionIn([admitted, ...numbers]: readonly number[]): Decision {
  const standings: Standing[] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    standings.push({ remaining: numbers[at]!, moreInMs: numbers[at + 1]! });
  }
  return { admitted: admitted === 1, standings };
}

/** Admits if every meter does, and then counts on all of them; else on none. */
export function decide(
  meters: readonly (readonly [Meter, Quota])[],
  now: number,
): Decision {
  const admitted = meters.every(([meter, quota]) => meter.admits(quota, now));
  if (admitted) { for (const [meter, quota] of meters) meter.spend(quota, now); }
  return { admitted, standings: meters.map(([meter, quota]) => meter.standing(quota, now)) };
}

/**
 * Keys: one for each that is to be counted on. Arguments: the time, or nothing, and for each key its
 * algorithm, limit and time in milliseconds. Gives what {@linkcode decisionIn} reads.
 *
 * The time of a Redis may go back a little, by another's clock after a failover: then it stands
 * still. What lies a whole window ahead was counted by a clock that was wrong, and is forgotten.
 */
export const limitScript: Script = {
  lua: `
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number) return string.format('%.0f', number) end

local algorithms = {}

algorithms.window = function(key, limit, ms)
  local at = now
  local last = tonumber(redis.call('LINDEX', key, -1))
  if last and last > at then
    if last - at > ms then redis.call('DEL', key) else at = last end
  end
  local count = redis.call('LLEN', key)
  while count > 0 and tonumber(redis.call('LINDEX', key, 0)) < at - ms do
    redis.call('LPOP', key)
    count = count - 1
  end
  return {
    admits = count < limit,
    spend = function()
      redis.call('RPUSH', key, text(at))
      redis.call('PEXPIRE', key, ms + 1000)
      count = count + 1
    end,
    standing = function()
      if count == 0 then return limit, 0 end
      local next = tonumber(redis.call('LINDEX', key, math.max(0, count - limit)))
      return math.max(0, limit - count), next + ms + 1 - at
    end
  }
end

algorithms.bucket = function(key, limit, ms)
  local at, used = now, 0
  local state = redis.call('GET', key)
  if state then
    local before, then_at = string.match(state, '^(%d+) (%d+)$')
    used, then_at = tonumber(before), tonumber(then_at)
    if then_at > at then
      if then_at - at > ms then used = 0 else at = then_at end
    end
    used = math.max(0, used - math.max(0, at - then_at) * limit)
  end
  return {
    admits = used + ms <= limit * ms,
    spend = function()
      used = used + ms
      local ttl = math.ceil(used / limit) + 1000
      redis.call('SET', key, text(used) .. ' ' .. text(at), 'PX', text(ttl))
    end,
    standing = function()
      local remaining = math.max(0, math.floor((limit * ms - used) / ms))
      if used == 0 then return remaining, 0 end
      return remaining, math.ceil((used - (limit - remaining - 1) * ms) / limit)
    end
  }
end

local meters, admitted = {}, 1
for i, key in ipairs(KEYS) do
  local at = i * 3 - 1
  local meter = algorithms[ARGV[at]](key, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
  if not meter.admits then admitted = 0 end
  meters[i] = meter
end
local reply = {admitted}
for _, meter in ipairs(meters) do
  if admitted == 1 then meter.spend() end
  local remaining, more_in = meter.standing()
  reply[#reply + 1] = remaining
  reply[#reply + 1] = more_in
end
return reply`,
  here(entries, keys, [now, ...quotas]) {
    const meters = keys.map((key, index) => {
      const [algorithm, limit, windowMs] = quotas.slice(index * 3, index * 3 + 3);
      const quota: Quota = {
        algorithm: algorithm as Algorithm,
        limit: Number(limit),
        windowMs: Number(windowMs),
      };
      const meter = entries.get(key) as Meter | undefined ?? newMeter(quota.algorithm);
      return [meter, quota] as const;
    });
    const decision = decide(meters, now === "" ? entries.now : Number(now));
    // Of whoever is refused nothing is kept: see `Limiter`.
    if (decision.admitted) {
      // However much was asked, within twice that time none of it counts any more.
      meters.forEach(([meter, { windowMs }], at) => entries.set(keys[at]!, meter, windowMs * 2));
    }
    const numbers = decision.standings.flatMap(({ remaining, moreInMs }) => [remaining, moreInMs]);
    return [decision.admitted ? 1 : 0, ...numbers];
  },
};
