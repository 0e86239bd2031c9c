import beside


def init():
    pass


def run(data):
    return beside.NAME
