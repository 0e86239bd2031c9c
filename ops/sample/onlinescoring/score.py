"""Scores customers: {"data": [[tenure, monthly, total, contract, internet], ...]}."""

import json
import logging
import os

import joblib
import numpy


def init():
    global model
    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.joblib")
    model = joblib.load(path)
    logging.info("loaded %s", path)


def run(raw_data):
    rows = numpy.array(json.loads(raw_data)["data"], dtype=float)
    probabilities = model.predict_proba(rows)[:, 1]
    return {
        "predictions": (probabilities >= 0.5).astype(int).tolist(),
        "probabilities": probabilities.round(6).tolist(),
    }
