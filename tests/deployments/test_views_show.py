"""Cards and pages of deployments."""

import pytest
from django.urls import reverse

from deployments.models import Deployment
from deployments.reconcile import plan
from endpoints import services as endpoint_services
from tests.deployments.pages import PART, address, blue, creating, failed, text
from tests.factories import make_deployment, make_endpoint, make_instance, make_revision, signed_in
from workspaces.models import Operation
from workspaces.services.record import open_operation

POLLS = 'hx-trigger="every 2s"'


def cards_of(endpoint):
    return reverse("deployments:list", args=[endpoint.workspace.name, endpoint.name])


def test_cards_are_a_page_and_a_part(cast):
    url = cards_of(blue(cast).endpoint)
    client = signed_in(cast.bob)
    assert "<!doctype html>" in text(client.get(url))
    part = text(client.get(url, headers=PART))
    assert part.strip().startswith("<div")
    assert "1 of 1 ready" in part


def test_cards_of_settled_deployments_are_not_polled(cast):
    assert POLLS not in text(signed_in(cast.bob).get(cards_of(blue(cast).endpoint), headers=PART))


def test_a_card_under_way_shows_its_steps_and_is_polled(cast):
    deployment, _ = creating(cast)
    part = text(signed_in(cast.dana).get(cards_of(deployment.endpoint), headers=PART))
    assert POLLS in part
    assert "Waiting for readiness" in part
    assert "0 of 1 ready" in part
    assert address("cancel", deployment) in part


def test_a_deployment_short_of_instances_is_polled(cast):
    deployment = blue(cast, instances=2)
    deployment.instances.filter(pk__in=deployment.instances.values("pk")[:1]).update(state="Unready")
    part = text(signed_in(cast.bob).get(cards_of(deployment.endpoint), headers=PART))
    assert POLLS in part
    assert "1 of 2 ready" in part


def test_an_endpoint_without_deployments_shows_the_way_on(cast):
    url = cards_of(make_endpoint(cast.workspace, "empty"))
    assert "Add the first deployment" in text(signed_in(cast.dana).get(url, headers=PART))
    assert "Add the first deployment" not in text(signed_in(cast.bob).get(url, headers=PART))


def test_ten_cards_cost_as_many_queries_as_one(cast, django_assert_num_queries, django_assert_max_num_queries):
    deployment, _ = creating(cast)
    endpoint = deployment.endpoint
    client = signed_in(cast.bob)
    client.get(cards_of(endpoint))
    with django_assert_max_num_queries(14) as one:
        client.get(cards_of(endpoint), headers=PART)
    for number in range(9):
        more = make_deployment(endpoint, f"more{number}")
        kind = Operation.Kind.SCALE_DEPLOYMENT
        open_operation(
            workspace=cast.workspace, kind=kind, subject=more.activity_subject(), steps=plan.SCALE, by=cast.dana
        )
    with django_assert_num_queries(len(one.captured_queries)):
        client.get(cards_of(endpoint), headers=PART)


def test_the_page_says_what_serves_and_what_it_is_made_of(cast):
    deployment = blue(cast, instances=2, environment_variables={"API_TOKEN": "hunter2"})
    endpoint_services.set_traffic(endpoint=deployment.endpoint, percents={"blue": 100}, by=cast.alice)
    page = text(signed_in(cast.bob).get(address("detail", deployment)))
    assert "Revision 1 serves: 2 of 2 instances ready, 100 % of the requests." in page
    assert "API_TOKEN" in page
    assert "hunter2" not in page


def test_the_page_lists_instances_with_restarts_limits_and_address(cast):
    deployment = blue(cast)
    deployment.instances.update(restarts=3, limits_applied={"cpu": "cgroup v2"}, address="unix:/run/one.sock")
    part = text(signed_in(cast.bob).get(address("detail", deployment), headers=PART))
    assert part.strip().startswith("<div")
    assert "cpu cgroup v2" in part
    assert "unix:/run/one.sock" in part


def test_a_settled_page_is_not_polled_and_one_under_way_is(cast):
    deployment = blue(cast)
    client = signed_in(cast.bob)
    assert POLLS not in text(client.get(address("detail", deployment), headers=PART))
    make_instance(deployment.revisions.get(), "Draining")
    assert POLLS in text(client.get(address("detail", deployment), headers=PART))


def test_an_update_shows_both_revisions(cast):
    deployment = blue(cast)
    second = make_revision(deployment)
    Deployment.objects.filter(pk=deployment.pk).update(wanted_revision=second, state="Updating")
    page = text(signed_in(cast.bob).get(address("detail", deployment)))
    assert "Revision 1 serves" in page
    assert "Revision 2 is being prepared beside it." in page


def test_the_polled_part_brings_revisions_and_activity_with_it(cast):
    deployment = blue(cast)
    client = signed_in(cast.bob)
    part = text(client.get(address("detail", deployment), headers=PART))
    for name in ("revisions", "activity", "made-of"):
        assert f'id="{name}"' in part
    assert part.count('hx-swap-oob="true"') == 3
    page = text(client.get(address("detail", deployment)))
    assert page.count('id="revisions"') == 1
    assert "hx-swap-oob" not in page


def test_a_failure_shows_step_code_cause_hint_and_the_lines_that_matter(cast):
    deployment = failed(cast)
    page = text(signed_in(cast.dana).get(address("detail", deployment)))
    for words in (
        "Its first provisioning failed",
        "ResourceNotReady",
        "A package is missing.",
        "Register a new version of the environment.",
        "No module named &#x27;lightgbm&#x27; &lt;here&gt;",
        "exit code 3",
        address("retry", deployment),
    ):
        assert words in page
    assert POLLS not in page


def test_a_part_of_a_deployment_that_is_gone_leads_to_its_endpoint(cast):
    deployment = blue(cast)
    gone = address("detail", deployment).replace("/blue/", "/gone/")
    response = signed_in(cast.bob).get(gone, headers=PART)
    assert response["HX-Redirect"] == reverse("endpoints:detail", args=["risk", "churn"])
    assert signed_in(cast.bob).get(gone).status_code == 404
    assert signed_in(cast.charlie).get(gone, headers=PART).status_code == 404


def test_a_reader_sees_no_buttons(cast):
    deployment = failed(cast)
    for url in (address("detail", deployment), cards_of(deployment.endpoint)):
        page = text(signed_in(cast.bob).get(url))
        main = page[page.index("<main") :]
        assert "<form" not in main
        assert "Update" not in main


@pytest.mark.parametrize("name", ["detail", "logs", "update"])
def test_a_stranger_sees_nothing(cast, name):
    deployment = blue(cast)
    assert signed_in(cast.charlie).get(address(name, deployment)).status_code == 404
    assert signed_in(cast.charlie).get(cards_of(deployment.endpoint)).status_code == 404


def test_another_python_than_asked_for_is_said_on_the_page(cast):
    deployment = blue(cast)
    assert deployment.serving_revision
    build = deployment.serving_revision.environment_version.build
    build.substitution = "Python 3.8 was asked for; 3.11 is used."
    build.save()
    assert build.substitution in text(signed_in(cast.bob).get(address("detail", deployment)))
