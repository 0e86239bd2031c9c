"""One script for most tests: the request says what run() does."""

import asyncio
import ctypes
import json
import logging
import os
import signal
import threading
import time


def init():
    global started_in
    started_in = os.getpid()
    print("init was here")


def run(raw_data):
    wish = json.loads(raw_data)
    return globals()["do_" + wish.pop("do", "echo")](**wish)


def do_echo(**rest):
    return rest


def do_text(value):
    return value


def do_nothing():
    return None


def do_not_a_number():
    return [float("nan"), float("inf"), None]


def do_int_keys():
    return {1: "one", None: 2}


def do_bytes():
    return b"raw"


def do_sleep(seconds):
    time.sleep(seconds)
    return os.getpid()


def do_stubborn_sleep(seconds):
    try:
        time.sleep(seconds)
    except Exception:
        return "swallowed"


def do_spin():
    while True:
        pass


def do_hold_interpreter():
    return sum(range(10**15))


def do_deadlock_in_c():
    mutex = ctypes.create_string_buffer(64)
    libc = ctypes.CDLL(None)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)


def do_raise(text):
    raise ValueError(text)


def do_exit():
    raise SystemExit(7)


def do_crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def do_print(text):
    print(text)
    logging.getLogger("mine").warning("logged %s", text)
    return {}


def do_pid():
    return [os.getpid(), started_in]


def do_thread():
    return threading.current_thread() is threading.main_thread()


def do_asyncio():
    async def inner():
        await asyncio.sleep(0.01)
        return "awaited"

    return asyncio.run(inner())


def do_soft(encoded=False):
    value = {"error": "bad row"}
    return json.dumps(value) if encoded else value


def do_environment(name):
    return os.environ.get(name)
