-- Lets a request pass whose bearer key hashes to one of the virtual host's hashes. No hashes: nobody passes.
local LONGEST_KEY = 512

local function refuse(request, why)
  request:respond({[":status"] = "401"}, why)
end

function envoy_on_request(request)
  local credential = request:headers():get("authorization")
  if credential == nil or credential:sub(1, 7):lower() ~= "bearer " then
    return refuse(request, "no_key")
  end
  -- A long text is not worth hashing: no key is that long.
  if #credential > 7 + LONGEST_KEY then return refuse(request, "unknown_key") end
  local context = request:filterContext()
  local keys = context and context:get("keys")
  local slot = keys and keys[sha256(credential:sub(8))]
  if slot == nil then return refuse(request, "unknown_key") end
  request:streamInfo():dynamicMetadata():set("studio", "key", slot)
end
