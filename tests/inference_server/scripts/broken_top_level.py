def helper():
    return {}["missing"]


VALUE = helper()


def init():
    pass


def run(data):
    return data
