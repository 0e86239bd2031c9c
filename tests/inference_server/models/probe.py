"""Run inside the environment: serve requests with a model folder, without a server. JSON in, JSON out.

In: {"folder": [[body, …], …]}: each inner list is one call for several requests. Out: the same shape, `[status, answer]` each.
"""

import json
import os
import sys

sys.path.append(os.environ["REPOSITORY"])

from inference_server import settings
from inference_server.inputs import Refused
from inference_server.models.scoring import GeneratedScoring


def outcome(value):
    if isinstance(value, Refused):
        return [value.status, value.message]
    return [500, repr(value)] if isinstance(value, BaseException) else [200, json.loads(value)]


answers = {}
for folder, calls in json.load(sys.stdin).items():
    scoring = GeneratedScoring(settings.load(["--model_dir", folder], os.environ))
    scoring.load()
    scoring.init()
    made = [[outcome(one) for one in scoring.score([json.dumps(body).encode() for body in bodies])] for bodies in calls]
    answers[folder] = {
        "calls": made,
        "sample": scoring.sample(),
        "row_wise": scoring.model.is_row_wise,
        "fast": scoring.fast_path_note,
    }
sys.stderr.flush()
print("\n" + json.dumps(answers))
