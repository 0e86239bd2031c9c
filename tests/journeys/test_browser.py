"""A person with a trained model and a browser: from sign-in to a prediction."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Complaints, chromium
from tests.stack import REPOSITORY

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(600)]

REQUEST = {"data": [[12, 29.85, 358.20, 1, 0], [45, 89.10, 4011.50, 2, 1]]}
CONDA = "name: journey\ndependencies:\n  - python=3.11\n  - scikit-learn>=1.7,<1.9\n  - joblib>=1.5\n  - numpy>=2.1\n"
SLOW_MS = 60_000


@pytest.fixture(scope="module")
def models(studio, tmp_path_factory) -> Path:
    """Two trained models, as somebody's training would leave them."""
    python = next(studio.home.glob("environments/*/venv/bin/python"))
    folder = tmp_path_factory.mktemp("models")
    train = REPOSITORY / "ops" / "sample" / "train.py"
    subprocess.run([str(python), str(train), "--out", str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def page(studio) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(30_000)
        complaints = Complaints(page, studio.url)
        yield page
        assert complaints.found == []


def test_from_a_pickle_to_a_prediction(studio, page, models):
    sign_in(studio, page)
    register_model(studio, page, models / "blue" / "model.joblib")
    create_environment(studio, page)
    create_endpoint(studio, page)
    deploy(studio, page, "blue")
    deploy(studio, page, "green")
    move_the_slider(studio, page)
    send_a_request(studio, page)


def sign_in(studio, page):
    page.goto(f"{studio.url}/")
    page.get_by_label("User name").or_(page.locator("[name=username]")).first.fill(studio.credentials["username"])
    page.locator("[name=password]").fill(studio.credentials["password"])
    page.locator("main button[type=submit]").first.click()
    expect(page).to_have_url(re.compile(r"/workspaces/main/$"))


def register_model(studio, page, file):
    page.goto(f"{studio.url}/workspaces/main/new-model/")
    page.locator("[name=name]").fill("journey-model")
    page.locator("[name=upload]").set_input_files(str(file))
    page.get_by_role("button", name="Register").click()
    expect(page).to_have_url(re.compile(r"/models/journey-model/"))
    expect(page.locator("main")).to_contain_text("model.joblib")


def create_environment(studio, page):
    page.goto(f"{studio.url}/workspaces/main/new-environment/")
    page.locator("[name=name]").fill("journey-env")
    page.locator("[name=conda_file]").fill(CONDA)
    page.get_by_role("button", name="Create and build").click()
    expect(page.locator("main")).to_contain_text("Succeeded", timeout=SLOW_MS)


def create_endpoint(studio, page):
    page.goto(f"{studio.url}/workspaces/main/new-endpoint/")
    page.locator("[name=name]").fill("journey")
    page.get_by_role("button", name="Create endpoint").click()
    expect(page).to_have_url(re.compile(r"/endpoints/journey/"))


def deploy(studio, page, name):
    page.goto(f"{studio.url}/workspaces/main/endpoints/journey/new-deployment/")
    page.locator("[name=name]").fill(name)
    page.locator("[name=model_version]").select_option(label="journey-model:1")
    page.locator("[name=environment_version]").select_option(label="journey-env:1")
    page.locator("[name=code_files]").set_input_files(str(REPOSITORY / "ops" / "sample" / "onlinescoring" / "score.py"))
    page.locator("[name=scoring_script]").fill("score.py")
    page.get_by_role("button", name="Create deployment").click()
    expect(page).to_have_url(re.compile(rf"/deployments/{name}/"))
    # the page shows the progress and comes to rest by itself
    expect(page.locator("main")).to_contain_text("1 of 1 instance ready", timeout=SLOW_MS)
    expect(page.locator("main")).to_contain_text("Succeeded")


def move_the_slider(studio, page):
    page.goto(f"{studio.url}/workspaces/main/endpoints/journey/traffic/")
    rows = page.locator("[data-share-row]")
    rows.nth(0).locator("input[type=range]").fill("90")
    rows.nth(1).locator("input[type=range]").fill("10")
    expect(rows.nth(0).locator("input[type=number]")).to_have_value("90")
    page.get_by_role("button", name="Review change").click()
    expect(page.locator("main")).to_contain_text("blue 0 % to 90 %, green 0 % to 10 %")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("main")).to_contain_text("Confirmed by the gateway", timeout=SLOW_MS)


def send_a_request(studio, page):
    page.goto(f"{studio.url}/workspaces/main/endpoints/journey/test/")
    page.locator("[name=body]").fill(json.dumps(REQUEST))
    page.get_by_role("button", name="Send request").click()
    expect(page.locator("main")).to_contain_text("probabilities")
    expect(page.locator("main")).to_contain_text("200")


def test_undo_brings_the_former_split_back(studio, page):
    page.goto(f"{studio.url}/workspaces/main/endpoints/churn/traffic/")
    page.get_by_role("button", name="All to green").click()
    page.get_by_role("button", name="Review change").click()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("main")).to_contain_text("green 100 %")
    page.get_by_role("button", name=re.compile("Undo version")).click()
    expect(page.locator("main")).to_contain_text("blue 90 %")
    expect(page.locator("main")).to_contain_text("Confirmed by the gateway", timeout=SLOW_MS)


def test_a_failed_deployment_shows_the_line_and_the_remedy(studio, page, tmp_path):
    script = tmp_path / "score.py"
    script.write_text("import nothing_such\n\n\ndef init():\n    pass\n\n\ndef run(data):\n    return data\n")
    page.goto(f"{studio.url}/workspaces/main/endpoints/churn/new-deployment/")
    page.locator("[name=name]").fill("broken")
    page.locator("[name=environment_version]").select_option(label="churn:1")
    page.locator("[name=code_files]").set_input_files(str(script))
    page.locator("[name=scoring_script]").fill("score.py")
    page.get_by_role("button", name="Create deployment").click()
    main = page.locator("main")
    expect(main).to_contain_text("score.py, line 1 imports 'nothing_such'", timeout=SLOW_MS)
    expect(main).to_contain_text("ResourceNotReady")
    expect(main).to_contain_text("Register a new version of the environment")
