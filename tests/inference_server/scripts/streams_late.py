import json

from azureml.contrib.services.aml_response import AMLResponse


def init():
    pass


def run(raw_data):
    count = json.loads(raw_data)
    return AMLResponse((f"{at}," for at in range(count)), 200) if count else "quick"
