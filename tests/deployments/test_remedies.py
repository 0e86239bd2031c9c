"""One click after a failure whose cause is known."""

import html
import re

import pytest

from deployments.failures import explain_exit, explain_not_ready
from deployments.models import InstanceType, Revision
from deployments.spec import Probe
from tests.deployments.pages import PROBE, address, failed, text
from tests.factories import make_instance_type, signed_in
from workspaces.models import Operation

pytestmark = pytest.mark.django_db(transaction=False)


@pytest.fixture(autouse=True)
def nothing_is_queued(monkeypatch):
    monkeypatch.setattr("deployments.tasks.reconcile_deployment.delay", lambda pk: None)


def failed_over(cast, failure):
    """A deployment whose newest operation failed so."""
    deployment = failed(cast)
    told = {name: getattr(failure, name) for name in ("code", "message", "cause", "hint", "log_lines")}
    Operation.objects.filter(target_id=deployment.pk, target_kind="deployment").update(**told)
    return deployment


def too_slow():
    return explain_not_ready(Probe.from_mapping(PROBE, field="readiness_probe"), [], answered=False)


def buttons(cast, deployment):
    """What the page offers: value and words."""
    page = text(signed_in(cast.dana).get(address("detail", deployment)))
    return dict(re.findall(r'name="name" value="([^"]+)">([^<]+)<', page))


def newest(deployment):
    return Revision.objects.filter(deployment=deployment).order_by("-number")[0]


def test_a_slow_start_gets_twice_the_time_in_one_click(cast):
    deployment = failed_over(cast, too_slow())
    assert buttons(cast, deployment) == {
        "failure-threshold": "Raise the failure threshold to 61: 10 min 20 s in all",
        "initial-delay": "Raise the initial delay to 320 s: 10 min 20 s in all",
    }
    answer = signed_in(cast.dana).post(address("remedy", deployment), {"name": "failure-threshold"})
    assert answer.headers["Location"] == address("detail", deployment)
    revision = newest(deployment)
    assert revision.number == 2
    assert revision.readiness_probe == {**PROBE, "failure_threshold": 61}
    assert revision.liveness_probe == PROBE


def test_out_of_memory_gets_the_next_larger_instance_type_with_room(cast):
    InstanceType.objects.exclude(name="Local_Test").delete()
    make_instance_type("Local_Test")
    for name, gibibytes, vcpu in (("Local_Large", 8, 4), ("Local_Vast", 3, 1000), ("Local_Medium", 4, 2)):
        make_instance_type(name, memory_bytes=gibibytes * 1024**3, vcpu=vcpu)
    deployment = failed_over(cast, explain_exit(-9, [], oom_killed=True))
    assert buttons(cast, deployment) == {"instance-type": "Use Local_Medium: 4.3 GB instead of 1.1 GB"}
    signed_in(cast.dana).post(address("remedy", deployment), {"name": "instance-type"})
    assert newest(deployment).instance_type.name == "Local_Medium"


def test_without_room_for_a_larger_one_none_is_offered(cast, settings):
    settings.STUDIO_QUOTA_VCPU = 1
    deployment = failed_over(cast, explain_exit(-9, [], oom_killed=True))
    assert buttons(cast, deployment) == {}


def test_a_missing_package_leads_over_a_filled_form_to_the_update(cast):
    lines = ["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'sklearn.ensemble'"]
    deployment = failed_over(cast, explain_exit(3, lines))
    client = signed_in(cast.dana)
    (link,) = re.findall(
        r'href="([^"]+)">Add scikit-learn to the environment', text(client.get(address("detail", deployment)))
    )
    url = html.unescape(link)
    form = text(client.get(url))
    assert "numpy==1.26.4\nscikit-learn" in form
    typed = {"name": "churn", "kind": "pip", "pip_requirements": "numpy==1.26.4\nscikit-learn\n"}
    answer = client.post(url, typed)
    assert answer.headers["Location"].startswith(f"{address('update', deployment)}?environment=")
    update = text(client.get(answer.headers["Location"]))
    assert re.search(r'<option value="\d+" selected>\s*churn:2', update)


def test_a_remedy_that_is_not_offered_changes_nothing(cast):
    deployment = failed_over(cast, too_slow())
    for name in ("instance-type", "", "nonsense"):
        answer = signed_in(cast.dana).post(address("remedy", deployment), {"name": name}, follow=True)
        assert "no longer offered" in text(answer)
    assert newest(deployment).number == 1


def test_a_reader_is_offered_none(cast):
    deployment = failed_over(cast, too_slow())
    assert address("remedy", deployment) not in text(signed_in(cast.bob).get(address("detail", deployment)))


def test_a_failure_of_another_kind_has_no_buttons_but_correct_and_again(cast):
    deployment = failed_over(cast, explain_exit(1, ["SyntaxError: invalid syntax"]))
    assert buttons(cast, deployment) == {}
    assert "Try again unchanged" in text(signed_in(cast.dana).get(address("detail", deployment)))


@pytest.mark.parametrize("onward", ["https://evil.example/", "//evil.example/", "evil"])
def test_the_way_on_never_leads_elsewhere(cast, onward):
    typed = {"name": "churn", "kind": "pip", "pip_requirements": "numpy==1.26.4\n"}
    answer = signed_in(cast.dana).post(f"/workspaces/risk/new-environment/?next={onward}", typed)
    assert answer.headers["Location"].startswith("/workspaces/risk/environments/churn/")
