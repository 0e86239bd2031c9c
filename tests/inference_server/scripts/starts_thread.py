import os
import threading
import time


def init():
    global started_in
    started_in = os.getpid()
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()


def run(data):
    return [os.getpid(), started_in]
