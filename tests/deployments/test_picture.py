"""The drawing of the traffic."""

import re

from django.urls import reverse

from deployments.picture import DOTS_IN_A_LINE, ROW_HEIGHT, Row, draw
from endpoints import services
from tests.deployments.pages import PART, blue, text
from tests.factories import make_deployment, make_instance, signed_in


def row(name="blue", **overrides):
    values = {"colour": "blue", "share": 100, "mirrored": 0, "wanted": 1, "states": ("Ready",)}
    return Row(name=name, **{**values, **overrides})


def address(endpoint):
    return reverse("deployments:picture", args=["risk", endpoint.name])


def test_the_text_says_all_that_the_drawing_shows():
    rows = [row(share=90, wanted=2), row("green", share=10), row("copy", share=0, mirrored=20, states=())]
    assert draw("churn", rows).text == (
        "Callers reach churn: blue gets 90 %, 1 of 2 instances ready; green gets 10 %, 1 of 1 instances ready; "
        "copy gets a copy of 20 % of the requests, 0 of 1 instances ready."
    )
    assert draw("churn", []).text == "Callers reach churn: nothing is behind it."


def test_health_is_about_what_is_asked_of_a_deployment():
    assert row().health == "good"
    assert row(wanted=2).health == "warn"
    assert row(states=("Starting",)).health == "bad"
    assert row(states=("Starting",), share=0).health == "rest"


def test_a_larger_share_is_a_thicker_line_and_a_copy_a_dashed_one():
    rows = [row(share=90), row("green", share=10), row("shadow", share=0, mirrored=50), row("idle", share=0)]
    much, little, copy, none = draw("churn", rows).lanes
    assert much.line_width > little.line_width
    assert [lane.line_kind for lane in (much, copy, none)] == ["live", "mirror", "none"]


def test_instances_that_are_wanted_and_not_there_are_drawn_too():
    (lane,) = draw("churn", [row(wanted=4, states=("Starting", "Ready"))]).lanes
    assert [dot.kind for dot in lane.dots] == ["ready", "starting", "missing", "missing"]


def test_fifty_instances_stay_within_their_lane():
    lane = draw("churn", [row(), row("green", wanted=50, states=("Ready",) * 50), row("last")]).lanes[1]
    assert len(lane.dots) + lane.dots_more == 50
    assert len({dot.x for dot in lane.dots}) == DOTS_IN_A_LINE
    assert all(abs(dot.y - lane.y) < ROW_HEIGHT // 2 for dot in lane.dots)


def test_the_drawing_is_swapped_only_when_something_changed(cast):
    endpoint = blue(cast, instances=2).endpoint
    client = signed_in(cast.bob)
    first = text(client.get(address(endpoint), headers=PART))
    (again,) = re.findall(r'hx-get="([^"]+)"', first)
    assert client.get(again, headers=PART).status_code == 204
    services.set_traffic(endpoint=endpoint, percents={"blue": 100}, by=cast.alice)
    changed = client.get(again, headers=PART)
    assert changed.status_code == 200
    assert "blue gets 100 %, 2 of 2 instances ready" in text(changed)
    assert " style=" not in text(changed)


def test_the_drawing_of_many_deployments_costs_as_many_queries_as_of_one(
    cast, django_assert_num_queries, django_assert_max_num_queries
):
    deployment = blue(cast)
    client = signed_in(cast.bob)
    client.get(address(deployment.endpoint), headers=PART)
    with django_assert_max_num_queries(9) as one:
        client.get(address(deployment.endpoint), headers=PART)
    for number in range(5):
        make_instance(make_deployment(deployment.endpoint, f"more{number}").revisions.get(), "Starting")
    with django_assert_num_queries(len(one.captured_queries)):
        client.get(address(deployment.endpoint), headers=PART)
