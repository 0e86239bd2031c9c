import json
import threading
import time

gate = threading.Barrier(4, timeout=20)


def init():
    pass


def run(raw_data):
    wish = json.loads(raw_data)
    if wish.get("meet"):
        gate.wait()
    if wish.get("spin"):
        while True:
            time.sleep(0.001)
    return threading.current_thread().name
