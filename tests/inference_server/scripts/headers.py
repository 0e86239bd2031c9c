def init():
    pass


def run(data, request_headers, extra=5):
    return {"data": data, "headers": request_headers, "extra": extra}
