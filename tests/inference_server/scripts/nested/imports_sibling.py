import lies_in_nested


def init():
    pass


def run(data):
    return lies_in_nested.__name__
