import asyncio
import json

running = most = 0


def init():
    pass


async def run(raw_data):
    global running, most
    wish = json.loads(raw_data)
    running += 1
    most = max(most, running)
    try:
        await asyncio.sleep(wish["sleep"])
    finally:
        running -= 1
    return {"most": most}
