"""Scripts and models that cannot work: each fails in its time, with the line that matters and what to do."""

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

GOOD = "def init():\n    pass\n\n\ndef run(data):\n    return {'ok': True}\n"
LOADS_MODEL = """
import os
import joblib


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.joblib"))


def run(data):
    return model.predict([[1]]).tolist()
"""
PATIENT = {"initial_delay": 1, "period": 2, "timeout": 2, "failure_threshold": 30}
HASTY = {"initial_delay": 1, "period": 1, "timeout": 1, "failure_threshold": 3}

BROKEN = {
    "a syntax error": (
        "def init():\n    pass\n\ndef run(data)\n    return 1\n",
        PATIENT,
        "syntax error",
        "score.py, line 4",
    ),
    "an init that raises": (
        "def init():\n    raise ValueError('no licence')\n\n\ndef run(data):\n    return 1\n",
        PATIENT,
        "init() raised ValueError: no licence",
        "score.py, line 2",
    ),
    "a missing package": ("import lightgbm\n" + GOOD, PATIENT, "'lightgbm'", "score.py, line 1"),
    "one too slow for its probe": (
        "import time\n\n\ndef init():\n    time.sleep(600)\n\n\ndef run(data):\n    return 1\n",
        HASTY,
        "within 4 s",
        "",
    ),
    "a model that is none": (LOADS_MODEL, PATIENT, "could not load the model file", "score.py, line 8"),
}


@pytest.fixture(scope="module")
def endpoint(inside):
    inside.run("""
        broken = create_endpoint(workspace=workspace, name="broken", by=user)
        not_a_model = register_model(workspace=workspace, name="not-a-model", by=user,
                                     files=[("model.joblib", io.BytesIO(b"this is no pickle"))])
        def script(text):
            return register_code(workspace=workspace, name="scripts", by=user,
                                 files=[("score.py", io.BytesIO(text.encode()))])
        base = spec_of(deployment("blue").serving_revision)
    """)


@pytest.mark.parametrize("what", BROKEN)
def test_it_fails_with_the_line_that_matters_and_a_fixed_revision_succeeds(inside, endpoint, what):
    text, probe, words, place = BROKEN[what]
    name = "d" + str(list(BROKEN).index(what)) + "x"
    told = inside.finish(f"""
        wanted = replace(base, code_version=script({text!r}), readiness_probe={probe!r}, scoring_script="score.py",
                         model_version=not_a_model)
        result = create_deployment(endpoint=broken, name="{name}", wanted=wanted, by=user)
    """)
    assert (told["state"], told["code"]) == ("Failed", "ResourceNotReady"), told
    assert words in told["message"]
    assert place in told["message"]
    assert told["hint"]
    assert told["cause"]
    assert ["Waiting for readiness", "Failed"] in told["steps"]
    if place:
        assert told["log_lines"], "the lines that matter are missing"
    fixed = inside.finish(f"""
        result = update_deployment(deployment=deployment("{name}", "broken"), by=user,
                                   change=lambda spec: replace(spec, code_version=script({GOOD!r})))
    """)
    assert fixed["state"] == "Succeeded", fixed


def test_a_failed_update_leaves_the_previous_revision_answering(studio, inside, endpoint):
    told = inside.finish(f"""
        result = update_deployment(deployment=deployment("d0x", "broken"), by=user,
                                   change=lambda spec: replace(spec, code_version=script("import nothing_such\\n" + {GOOD!r})))
    """)
    assert told["state"] == "Failed"
    key = inside.run("result = Endpoint.objects.get(name='broken').primary_key")
    answer = studio.client.post(
        f"{studio.gateway_url}/endpoints/broken/score",
        json={},
        headers={"Authorization": f"Bearer {key}", "azureml-model-deployment": "d0x"},
    )
    assert (answer.status_code, answer.json()) == (200, {"ok": True})


def test_an_environment_that_cannot_be_built_fails_the_operation_and_names_the_line(inside, endpoint):
    told = inside.finish(f"""
        odd = create_environment_version(workspace=workspace, name="odd", by=user,
                                         pip_requirements="six\\nno-such-package-as-this-one-zzz==1.0\\n")
        wanted = replace(base, environment_version=odd, code_version=script({GOOD!r}), scoring_script="score.py")
        result = create_deployment(endpoint=broken, name="unbuildable", wanted=wanted, by=user)
    """)
    assert (told["state"], told["code"]) == ("Failed", "ImageBuildFailure"), told
    assert "no-such-package-as-this-one-zzz" in told["message"]
    assert inside.run("result = EnvironmentVersion.objects.get(environment__name='odd').build.error_line") == 2
