-- SHA-256 (FIPS 180-4) of a string, as lower-case hex. LuaJIT's bit operations work on signed 32-bit numbers.
local bit = require("bit")
local band, bnot, bor, bxor = bit.band, bit.bnot, bit.bor, bit.bxor
local lshift, rshift, ror, tobit, tohex = bit.lshift, bit.rshift, bit.ror, bit.tobit, bit.tohex

local ROUND = {}
local INITIAL = {}
do
  -- The constants are the first 32 bits of the fractional parts of roots of the first 64 primes.
  local function fraction(root) return tobit(math.floor((root - math.floor(root)) * 4294967296)) end
  local candidate = 2
  while #ROUND < 64 do
    local prime = true
    for divisor = 2, math.floor(math.sqrt(candidate)) do
      if candidate % divisor == 0 then prime = false break end
    end
    if prime then
      ROUND[#ROUND + 1] = fraction(candidate ^ (1 / 3))
      if #INITIAL < 8 then INITIAL[#INITIAL + 1] = fraction(candidate ^ 0.5) end
    end
    candidate = candidate + 1
  end
end

local function big_endian(word)
  return string.char(band(rshift(word, 24), 255), band(rshift(word, 16), 255), band(rshift(word, 8), 255), band(word, 255))
end

local schedule = {}

local function compress(state, block, at)
  for i = 0, 15 do
    local b1, b2, b3, b4 = block:byte(at + i * 4, at + i * 4 + 3)
    schedule[i] = bor(lshift(b1, 24), lshift(b2, 16), lshift(b3, 8), b4)
  end
  for i = 16, 63 do
    local x, y = schedule[i - 15], schedule[i - 2]
    local s0 = bxor(ror(x, 7), ror(x, 18), rshift(x, 3))
    local s1 = bxor(ror(y, 17), ror(y, 19), rshift(y, 10))
    schedule[i] = tobit(schedule[i - 16] + s0 + schedule[i - 7] + s1)
  end
  local a, b, c, d, e, f, g, h = unpack(state)
  for i = 0, 63 do
    local s1 = bxor(ror(e, 6), ror(e, 11), ror(e, 25))
    local t1 = tobit(h + s1 + bxor(band(e, f), band(bnot(e), g)) + ROUND[i + 1] + schedule[i])
    local s0 = bxor(ror(a, 2), ror(a, 13), ror(a, 22))
    local t2 = tobit(s0 + bxor(band(a, b), band(a, c), band(b, c)))
    h, g, f, e, d, c, b, a = g, f, e, tobit(d + t1), c, b, a, tobit(t1 + t2)
  end
  state[1], state[2], state[3], state[4] = tobit(state[1] + a), tobit(state[2] + b), tobit(state[3] + c), tobit(state[4] + d)
  state[5], state[6], state[7], state[8] = tobit(state[5] + e), tobit(state[6] + f), tobit(state[7] + g), tobit(state[8] + h)
end

local function sha256(message)
  local length = #message
  local padding = "\128" .. string.rep("\0", (55 - length) % 64)
  local padded = message .. padding .. big_endian(math.floor(length / 536870912)) .. big_endian(tobit(length * 8))
  local state = {unpack(INITIAL)}
  for at = 1, #padded, 64 do compress(state, padded, at) end
  local hex = {}
  for i = 1, 8 do hex[i] = tohex(state[i]) end
  return table.concat(hex)
end
