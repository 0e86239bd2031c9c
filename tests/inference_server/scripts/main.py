def init():
    pass


def run(data):
    return "from main"
