"""run_batch() that does what each request says, and tells how many were together."""

import json
import time


def init():
    pass


def run(data):
    return "run() and not run_batch()"


def run_batch(items):
    wishes = [json.loads(item) for item in items]
    time.sleep(max([0.002, *(wish.get("sleep", 0) for wish in wishes)]))
    if any(wish.get("poison") for wish in wishes):
        raise RuntimeError("one of them is poison")
    made = [ValueError("this one") if wish.get("fail") else {"me": wish["me"], "size": len(items)} for wish in wishes]
    return made[1:] if any(wish.get("swallow") for wish in wishes) else made
