"""Parts that pages share."""

import pytest
from django.template import Context, Template
from django.template.loader import render_to_string

from studio.lib.errors import Conflict
from tests.factories import make_deployment, make_endpoint, signed_in
from workspaces.models import OperationStep
from workspaces.services.record import open_operation


def render(text: str, **context) -> str:
    return Template("{% load studio_tags %}" + text).render(Context(context))


@pytest.fixture
def operation(cast):
    deployment = make_deployment(make_endpoint(cast.workspace, "churn"), "blue")
    steps = ["Checking quota", "Building environment", "Starting instances"]
    subject = deployment.activity_subject()
    made = open_operation(workspace=cast.workspace, kind="CreateDeployment", subject=subject, steps=steps, by=cast.dana)
    made.steps.filter(position=0).update(state="Succeeded", started_at=made.created_at, finished_at=made.created_at)
    made.steps.filter(position=1).update(
        state="Running", started_at=made.created_at, progress_percent=40, message="x <y>"
    )
    return made


def test_an_operation_is_a_ladder_with_the_current_step_marked(operation):
    text = render_to_string("_parts/operation.html", {"operation": operation})
    assert text.count('class="step step-') == len(OperationStep.objects.all())
    assert 'class="step step-busy" aria-current="step"' in text
    assert 'max="100" value="40"' in text
    assert "x &lt;y&gt;" in text


def test_a_failed_operation_says_cause_remedy_and_the_lines_that_matter(operation):
    operation.state, operation.message, operation.cause = "Failed", "No module named xgboost.", "It is not installed."
    operation.hint, operation.log_lines = "Add it to the environment.", ["Traceback", "ModuleNotFoundError: xgboost"]
    text = render_to_string("_parts/operation.html", {"operation": operation})
    for shown in (operation.message, operation.cause, operation.hint, "ModuleNotFoundError: xgboost"):
        assert shown in text


def test_the_traffic_bar_reads_as_text_and_uses_no_styles():
    text = render(
        "{% traffic_bar percents names %}", percents={"green": 10, "blue": 90, "old": 0}, names=["blue", "green"]
    )
    assert 'aria-label="green 10 %, blue 90 %"' in text
    assert 'class="dep-fill dep-blue" x="10"' in text
    assert "old" not in text
    assert "style=" not in text
    assert "No traffic" in render("{% traffic_bar percents %}", percents={"blue": 0})


def test_the_colour_of_a_deployment_is_by_name_or_index():
    assert render("{{ 'x'|deployment_colour:names }}", names=["x", "blue"]) == "dep-green"
    assert render("{{ 'x'|deployment_colour:2 }}") == "dep-orange"


def test_missing_values_are_dashes():
    assert render("{{ a|bytes_size }}{{ a|duration }}{{ a|duration_ms }}{{ a|ago }}", a=None) == "––––"


def test_a_refused_background_request_is_no_page_in_the_page(cast):
    page = signed_in(cast.bob).get("/workspaces/risk/members/", headers={"HX-Request": "true"})
    assert page.status_code == 403


def test_going_back_in_the_browser_gets_the_whole_page(cast):
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<html" in signed_in(cast.bob).get("/workspaces/risk/", headers=headers).content.decode()


def test_the_error_page_says_what_and_what_next():
    text = render_to_string("error.html", {"error": Conflict("It is busy.", hint="Wait a little.")})
    assert "It is busy." in text
    assert "Wait a little." in text


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500"])
def test_error_pages_need_no_request(name):
    assert 'href="/"' in render_to_string(f"{name}.html")
