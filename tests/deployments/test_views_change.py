"""Creating, updating, scaling, retrying, cancelling and deleting from the pages."""

import io
import json
import zipfile
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from deployments.models import Deployment, Revision
from endpoints import services as endpoint_services
from tests.deployments.pages import SCRIPT, address, blue, creating, failed, text, typed
from tests.factories import (
    make_code_version,
    make_endpoint,
    make_environment_version,
    make_files,
    make_instance_type,
    make_model_version,
    make_workspace,
    signed_in,
)
from workspaces.models import CodeVersion, Operation


class Place:
    """An endpoint where a deployment can be created, with everything it needs registered."""

    def __init__(self, workspace: Any) -> None:
        make_instance_type()
        self.environment = make_environment_version(workspace)
        self.endpoint = make_endpoint(workspace, "churn")
        self.code = make_code_version(workspace, files=make_files(score_py=SCRIPT))
        self.url = reverse("deployments:create", args=[workspace.name, "churn"])

    def __call__(self, user: Any, *, headers: Any = None, **changes: Any) -> Any:
        """Send the form, as it is filled in at first but for these changes."""
        made_of = {"environment_version": self.environment.pk, "code_version": self.code.pk}
        given = typed(name="blue", instance_count=1, **made_of)
        return signed_in(user).post(self.url, given | changes, headers=headers)


@pytest.fixture
def place(cast) -> Place:
    return Place(cast.workspace)


def wanted_revision(deployment: Any) -> Any:
    deployment.refresh_from_db()
    return deployment.wanted_revision


def manifest_paths() -> list[str]:
    """Of the code of the one revision there is."""
    code: Any = Revision.objects.get().code_version
    return [path for path, *_ in code.files.manifest]


def script(text=SCRIPT, name="score.py"):
    return SimpleUploadedFile(name, text.encode())


def test_the_form_begins_with_sensible_choices(cast, place):
    model = make_model_version(cast.workspace, version="7")
    response = signed_in(cast.dana).get(place.url)
    form = response.context["form"]
    assert form["model_version"].value() == model.pk
    assert form["code_version"].value() == place.code.pk
    assert form["environment_version"].value() == place.environment.pk
    page = text(response)
    assert "64 of 64 vCPU are free" in page
    assert "room for" in page


def test_a_deployment_is_created_and_its_progress_is_shown(cast, place):
    model = make_model_version(cast.workspace)
    response = place(
        cast.dana,
        model_version=model.pk,
        environment_variables="LEVEL=info\n# a comment\nWORKER_COUNT=2",
        request_timeout_ms=9000,
        readiness_failure_threshold=12,
        instance_count=2,
        tags="stage=canary",
    )
    deployment = Deployment.objects.get()
    assert response.url == address("detail", deployment)
    revision = wanted_revision(deployment)
    assert (revision.model_version, revision.code_version, revision.scoring_script) == (model, place.code, "score.py")
    assert revision.environment_variables == {"LEVEL": "info", "WORKER_COUNT": "2"}
    assert (revision.request_timeout_ms, revision.readiness_probe["failure_threshold"]) == (9000, 12)
    assert (deployment.wanted_instance_count, deployment.tags) == (2, {"stage": "canary"})
    page = text(signed_in(cast.dana).get(response.url))
    assert 'hx-trigger="every 2s"' in page
    assert "Checking quota" in page


def test_a_model_of_a_served_kind_needs_no_code(cast, place):
    model = make_model_version(cast.workspace, files=make_files(MLmodel="flavors: {}", model_pkl="x"))
    assert place(cast.dana, model_version=model.pk, code_version="").status_code == 302
    revision = Revision.objects.get()
    assert (revision.model_version, revision.code_version, revision.scoring_script) == (model, None, "")


def test_a_model_that_needs_a_script_says_so_at_the_code(cast, place):
    model = make_model_version(cast.workspace, files=make_files(weights_pt="x"))
    response = place(cast.dana, model_version=model.pk, code_version="")
    assert response.status_code == 422
    assert "it has weights.pt" in str(response.context["form"].errors)


def test_uploaded_files_become_a_code_version(cast, place):
    files = [script(), script("", "features.py")]
    assert place(cast.dana, code_version="", code_files=files).status_code == 302
    assert str(Revision.objects.get().code_version) == "churn:2"
    assert manifest_paths() == ["features.py", "score.py"]


def test_a_folder_keeps_the_paths_the_browser_tells(cast, place):
    files = [script(), script("", "features.py")]
    paths = json.dumps(["src/score.py", "src/lib/features.py"])
    assert place(cast.dana, code_version="", code_folder=files, paths=paths).status_code == 302
    assert manifest_paths() == ["src/lib/features.py", "src/score.py"]
    assert Revision.objects.get().scoring_script == "src/score.py"


def test_a_zip_is_unpacked(cast, place):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("score.py", SCRIPT)
    given = SimpleUploadedFile("code.zip", packed.getvalue())
    assert place(cast.dana, code_version="", code_files=given).status_code == 302
    assert manifest_paths() == ["score.py"]


def test_a_background_upload_is_told_where_to_go(cast, place):
    response = place(cast.dana, code_files=script(), headers={"X-Requested-With": "XMLHttpRequest"})
    assert response.status_code == 201
    assert response["Location"] == address("detail", Deployment.objects.get())


def test_a_mistake_elsewhere_does_not_lose_the_upload(cast, place):
    response = place(cast.dana, code_version="", code_files=script("def init(): ...\ndef run(x): ...\n"), name="x")
    assert response.status_code == 422
    assert "name" in response.context["form"].errors
    kept = CodeVersion.objects.exclude(pk=place.code.pk).get()
    assert response.context["form"]["code_version"].value() == str(kept.pk)
    assert f'<option value="{kept.pk}" selected' in text(response)


@pytest.mark.parametrize(
    ("changes", "field", "complaint"),
    [
        ({"name": "2fast"}, "name", "Begin with a letter"),
        ({"scoring_script": "main.py"}, "scoring_script", "it has score.py"),
        ({"scoring_script": ""}, "scoring_script", "Name the scoring script"),
        ({"environment_variables": "LEVEL"}, "environment_variables", "Line 1"),
        ({"environment_variables": "AZUREML_MODEL_DIR=x"}, "environment_variables", "set by the studio"),
        ({"request_timeout_ms": 180_001}, "request_timeout_ms", "180000"),
        ({"max_concurrent_requests_per_instance": 0}, "max_concurrent_requests_per_instance", "1"),
        ({"readiness_period": 0}, "readiness_period", "1"),
        ({"instance_count": 51}, "instance_count", "50"),
        ({"environment_version": ""}, "environment_version", "required"),
        ({"environment_version": "9999"}, "environment_version", "valid choice"),
        ({"instance_type": "nonsense"}, "instance_type", "valid choice"),
        ({"code_version": ""}, "code_files", "Upload the scoring code"),
        ({"paths": "{"}, "paths", "not a list"),
        ({"tags": "=x"}, "tags", "Line 1"),
    ],
)
def test_a_mistake_is_shown_at_its_field_and_the_rest_stays(cast, place, changes, field, complaint):
    response = place(cast.dana, **{"description": "kept words"} | changes)
    assert response.status_code == 422
    assert complaint in " ".join(response.context["form"].errors[field])
    assert "kept words" in text(response)
    assert not Deployment.objects.exists()


def test_too_little_quota_is_shown_with_its_arithmetic(cast, place):
    huge = make_instance_type("Local_Huge", vcpu=40)
    response = place(cast.dana, instance_type=huge.pk, instance_count=2)
    complaint = response.context["form"].errors["instance_type"][0]
    assert "need 120 vCPU" in complaint
    assert "64 of 64 are free" in complaint


def test_a_taken_name_is_refused_at_its_field(cast, place):
    place(cast.dana)
    response = place(cast.dana, name="Blue")
    assert response.status_code == 422
    assert "already has a deployment" in response.context["form"].errors["name"][0]


def test_what_belongs_to_another_workspace_cannot_be_chosen(cast, place):
    other = make_model_version(make_workspace("foreign", owner=cast.dana))
    assert "model_version" in place(cast.dana, model_version=other.pk).context["form"].errors


def updated(deployment, user, **changes):
    base = deployment.wanted_revision
    given = {
        "environment_version": base.environment_version_id,
        "code_version": base.code_version_id,
        "seen_revision": base.number,
        "environment_variables": "\n".join(f"{k}={v}" for k, v in base.environment_variables.items()),
    }
    return signed_in(user).post(address("update", deployment), typed(**given | changes))


def test_an_update_changes_only_what_was_changed(cast):
    deployment = blue(cast, environment_variables={"LEVEL": "info"}, instances=2)
    model = make_model_version(cast.workspace, version="2")
    response = updated(deployment, cast.dana, model_version=model.pk)
    assert response.url == address("detail", deployment)
    newest = wanted_revision(deployment)
    assert (newest.number, newest.model_version) == (2, model)
    assert newest.environment_variables == {"LEVEL": "info"}
    assert (deployment.serving_revision, deployment.wanted_instance_count) == (deployment.revisions.get(number=1), 2)


def test_an_update_that_changes_nothing_makes_no_revision(cast):
    deployment = blue(cast)
    response = updated(deployment, cast.dana)
    assert "Nothing was changed" in str(next(iter(get_messages(response.wsgi_request))))
    assert deployment.revisions.count() == 1


def test_an_update_may_leave_the_code_out_for_a_model_of_a_served_kind(cast):
    deployment = blue(cast)
    model = make_model_version(cast.workspace, version="2", files=make_files(model_joblib="x"))
    updated(deployment, cast.dana, model_version=model.pk, code_version="")
    newest = wanted_revision(deployment)
    assert (newest.model_version, newest.code_version, newest.scoring_script) == (model, None, "")


def test_an_update_with_new_code_uses_it(cast):
    deployment = blue(cast)
    updated(deployment, cast.dana, code_files=script("def init(): 1\ndef run(x): 2\n"))
    assert str(wanted_revision(deployment).code_version) == "churn:2"


def test_a_change_by_somebody_else_is_not_overwritten(cast):
    deployment = blue(cast)
    response = updated(deployment, cast.dana, seen_revision=0, request_timeout_ms=7777)
    assert response.status_code == 422
    assert "Somebody else changed this deployment" in response.context["form"].non_field_errors()[0]
    assert "7777" in text(response)
    assert response.context["form"]["seen_revision"].value() == "1"
    assert deployment.revisions.count() == 1


def test_scaling_asks_for_instances(cast):
    deployment = blue(cast)
    assert signed_in(cast.dana).post(address("scale", deployment), {"instance_count": 3}).status_code == 302
    deployment.refresh_from_db()
    assert (deployment.state, deployment.wanted_instance_count) == ("Scaling", 3)


@pytest.mark.parametrize("count", ["0", "51", "x", ""])
def test_a_bad_count_is_refused_at_its_field(cast, count):
    deployment = blue(cast)
    response = signed_in(cast.dana).post(address("scale", deployment), {"instance_count": count})
    assert response.status_code == 422
    assert "instance_count" in response.context["scale_form"].errors


def test_a_second_operation_is_refused_with_the_reason(cast):
    deployment = blue(cast)
    client = signed_in(cast.dana)
    client.post(address("scale", deployment), {"instance_count": 2})
    response = client.post(address("scale", deployment), {"instance_count": 3})
    assert response.status_code == 409
    assert "still running" in str(response.context["scale_form"].errors)


def test_scaling_beyond_the_quota_is_refused_at_the_count(cast):
    deployment = blue(cast, instance_type=make_instance_type("Local_Big", vcpu=20))
    response = signed_in(cast.dana).post(address("scale", deployment), {"instance_count": 4})
    assert "vCPU" in response.context["scale_form"].errors["instance_count"][0]


def test_retrying_makes_the_next_revision(cast):
    deployment = failed(cast)
    signed_in(cast.dana).post(address("retry", deployment))
    assert wanted_revision(deployment).number == 2
    assert deployment.state == "Updating"


def test_cancelling_is_asked_for_once_and_then_shown(cast):
    deployment, operation = creating(cast)
    client = signed_in(cast.dana)
    client.post(address("cancel", deployment))
    operation.refresh_from_db()
    assert operation.cancel_requested_at
    page = text(client.get(address("detail", deployment)))
    assert "Cancel requested" in page
    assert address("cancel", deployment) not in page


def test_cancelling_when_nothing_runs_is_explained(cast):
    response = signed_in(cast.dana).post(address("cancel", blue(cast)))
    assert "Nothing is running" in str(next(iter(get_messages(response.wsgi_request))))


def test_a_deployment_with_traffic_is_not_deleted_and_says_why(cast):
    deployment = blue(cast)
    endpoint_services.set_traffic(endpoint=deployment.endpoint, percents={"blue": 100}, by=cast.alice)
    client = signed_in(cast.alice)
    assert "It has 100 % of the traffic." in text(client.get(address("detail", deployment)))
    response = client.post(address("delete", deployment), {"confirm": "blue"})
    assert response.status_code == 409
    assert "100 % of the traffic" in response.context["delete_form"].errors["confirm"][0]


def test_deleting_asks_for_the_name_and_then_starts(cast):
    deployment = blue(cast)
    client = signed_in(cast.alice)
    assert client.post(address("delete", deployment), {"confirm": "green"}).status_code == 422
    assert client.post(address("delete", deployment), {"confirm": "blue"}).status_code == 302
    assert Operation.objects.get().kind == "DeleteDeployment"
    page = text(client.get(address("detail", deployment)))
    assert "Being deleted" in page
    assert address("update", deployment) not in page


VERBS = ["update", "retry", "scale", "cancel", "delete"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_reader_is_refused_every_verb_and_a_stranger_learns_nothing(cast, verb):
    deployment = blue(cast)
    assert signed_in(cast.bob).post(address(verb, deployment)).status_code == 403
    assert signed_in(cast.charlie).post(address(verb, deployment)).status_code == 404
    assert not Operation.objects.exists()


def test_a_data_scientist_may_not_delete(cast):
    assert signed_in(cast.dana).post(address("delete", blue(cast)), {"confirm": "blue"}).status_code == 403


def test_a_reader_cannot_create_and_a_stranger_learns_nothing(cast, place):
    assert place(cast.bob).status_code == 403
    assert place(cast.charlie).status_code == 404


@pytest.mark.parametrize("verb", ["retry", "scale", "cancel", "delete"])
def test_verbs_take_post_only(cast, verb):
    assert signed_in(cast.alice).get(address(verb, blue(cast))).status_code == 405
