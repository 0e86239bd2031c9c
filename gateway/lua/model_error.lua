-- An instance that answered with anything but success is a model error: 424, with the real status in headers.
-- Answers the gateway made itself carry no upstream service time and are left alone. So are refusals that an instance
-- makes before any user code runs (queue full, draining): they say so, and mean what their status says.
local REASON = {
  ["400"] = "Bad Request", ["401"] = "Unauthorized", ["403"] = "Forbidden", ["404"] = "Not Found",
  ["405"] = "Method Not Allowed", ["408"] = "Request Timeout", ["413"] = "Payload Too Large",
  ["415"] = "Unsupported Media Type", ["422"] = "Unprocessable Entity", ["429"] = "Too Many Requests",
  ["431"] = "Request Header Fields Too Large", ["500"] = "Internal Server Error", ["501"] = "Not Implemented",
  ["502"] = "Bad Gateway", ["503"] = "Service Unavailable", ["504"] = "Gateway Timeout",
}

function envoy_on_response(response)
  local headers = response:headers()
  local not_run = headers:get("x-studio-not-run")
  if not_run ~= nil then
    headers:remove("x-studio-not-run")
    if headers:get("x-envoy-upstream-service-time") ~= nil then return end
  end
  local status = headers:get(":status")
  if status:sub(1, 1) == "2" or headers:get("x-envoy-upstream-service-time") == nil then return end
  headers:replace("ms-azureml-model-error-statuscode", status)
  if headers:get("ms-azureml-model-error-reason") == nil then
    headers:add("ms-azureml-model-error-reason", REASON[status] or "Model Error")
  end
  headers:replace(":status", "424")
end
