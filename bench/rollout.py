"""A rollout under steady load: how many requests fail? `python -m bench.rollout [--home DIR] [--seconds 60]`

20 traffic changes, green updated to a new revision, scaled 1 to 3 to 1, removed and added again.
"""

from __future__ import annotations

import argparse
import sys
import time

from bench.load import Load
from bench.studio import Bench


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", help="home of a running studio with the sample; without it one is started")
    parser.add_argument("--seconds", type=float, default=60.0, help="at least this long under load (default 60)")
    options = parser.parse_args()
    with Bench(options.home) as bench:
        return _run(bench, options.seconds)


def _run(bench: Bench, seconds: float) -> int:
    from dataclasses import replace

    from deployments.sample import REQUEST

    began = time.monotonic()
    with Load(bench.scoring_uri, bench.key, REQUEST) as load:
        for number in range(20):
            percent = (number * 37) % 101
            bench.set_traffic({"blue": 100 - percent, "green": percent})
            time.sleep(0.3)
        bench.say("20 traffic changes")
        bench.set_traffic({"blue": 50, "green": 50})
        bench.scale("green", 3)
        bench.say("green scaled to 3")
        bench.scale("green", 1)
        bench.say("green scaled to 1")
        bench.update("green", lambda spec: replace(spec, request_timeout_ms=spec.request_timeout_ms + 1))
        bench.say("green updated to a new revision")
        bench.set_traffic({"blue": 100, "green": 0})
        bench.delete("green")
        bench.say("green removed")
        bench.create("green", like="blue")
        bench.set_traffic({"blue": 90, "green": 10})
        bench.say("green added again")
        while time.monotonic() - began < seconds:
            time.sleep(0.1)
    print(load.tally.line())
    for at, what in load.tally.failures[:20]:
        print(f"  failed at {at} s: {what}")
    return 1 if load.tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
