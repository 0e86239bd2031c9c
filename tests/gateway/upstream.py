"""A small HTTP server on a unix socket that stands in for an instance. Run as a script: `upstream.py SOCKET NAME`.

What it does with a request is asked for in the query: `seconds` to wait before the answer, `until` which file exists to
wait, `status`, `body`, `hang` (no answer ever), `cut` (the connection ends), `header=name:value`. Otherwise it answers
what it was sent, as JSON.
`GET /ready` is 503 while the file SOCKET.unready exists. `GET /counts` tells what it has seen.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.parse

COUNTS = {"requests": 0, "in_flight": 0, "most_in_flight": 0, "probes": 0}


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes] | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return None
    method, target, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return method, target, headers, body
    return method, target, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def _answer(status: int, body: bytes, extra: list[str]) -> bytes:
    head = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "content-type: application/json", *extra]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while (request := await _read(reader)) is not None:
            method, target, headers, body = request
            path, _, query = target.partition("?")
            if path == "/ready":
                COUNTS["probes"] += 1
                unready = os.path.exists(SOCKET + ".unready")
                writer.write(_answer(503 if unready else 200, b"{}", []))
                continue
            if path == "/counts":
                writer.write(_answer(200, json.dumps(COUNTS).encode(), []))
                continue
            COUNTS["requests"] += 1
            COUNTS["in_flight"] += 1
            COUNTS["most_in_flight"] = max(COUNTS["most_in_flight"], COUNTS["in_flight"])
            try:
                if not await _respond(writer, method, path, query, headers, body):
                    return
            finally:
                COUNTS["in_flight"] -= 1
    except (ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _respond(
    writer: asyncio.StreamWriter, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> bool:
    asked = urllib.parse.parse_qs(query, keep_blank_values=True)
    if "cut" in asked:
        return False
    if "hang" in asked:
        await asyncio.Event().wait()
    while "until" in asked and not os.path.exists(asked["until"][0]):
        await asyncio.sleep(0.01)
    if "seconds" in asked:
        await asyncio.sleep(float(asked["seconds"][0]))
    told = {"instance": NAME, "method": method, "path": path, "headers": headers, "bytes": len(body)}
    content = asked["body"][0].encode() if "body" in asked else json.dumps(told).encode()
    extra = [value.replace(":", ": ", 1) for value in asked.get("header", [])]
    writer.write(_answer(int(asked.get("status", ["200"])[0]), content, extra))
    return True


async def _main() -> None:
    server = await asyncio.start_unix_server(_serve, SOCKET)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    SOCKET, NAME = sys.argv[1:3]
    asyncio.run(_main())
