def init():
    import os, signal

    os.kill(os.getpid(), signal.SIGSEGV)


def run(data):
    return data
