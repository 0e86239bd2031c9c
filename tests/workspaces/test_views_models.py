"""Pages of registered models."""

import io
import json
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from tests.factories import make_deployment, make_endpoint, make_model_version, make_workspace, signed_in
from workspaces.models import Activity, RegisteredModelVersion

LIST = "/workspaces/risk/models/"
NEW = "/workspaces/risk/new-model/"
ONE = "/workspaces/risk/models/churn/versions/1/"


def upload(name: str = "model.pkl", content: bytes = b"weights") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


@pytest.fixture
def dana(cast):
    return signed_in(cast.dana)


@pytest.fixture
def bob(cast):
    return signed_in(cast.bob)


def test_an_empty_list_says_how_to_begin_to_those_who_may(dana, bob):
    assert NEW in dana.get(LIST).content.decode()
    assert NEW not in bob.get(LIST).content.decode()


def test_the_list_shows_newest_versions_and_searches_names(cast, bob):
    make_model_version(cast.workspace, "churn", "1")
    make_model_version(cast.workspace, "churn", "2")
    make_model_version(cast.workspace, "fraud")
    make_model_version(make_workspace(), "secret")
    text = bob.get(LIST).content.decode()
    assert "churn" in text
    assert "fraud" in text
    assert "secret" not in text
    found = bob.get(LIST, {"q": "FRA"}).content.decode()
    assert "fraud" in found
    assert "/models/churn/" not in found


def test_files_are_registered_as_the_next_version(cast, dana):
    make_model_version(cast.workspace, "churn", "1")
    answer = dana.post(NEW, {"name": "churn", "type": "custom_model", "upload": [upload()], "tags": "team=risk\nhot"})
    assert answer.headers["Location"] == "/workspaces/risk/models/churn/versions/2/"
    made = RegisteredModelVersion.objects.get(version="2")
    assert made.tags == {"team": "risk", "hot": ""}
    assert made.created_by == cast.dana
    assert [path for path, *_ in made.files.manifest] == ["model.pkl"]


def test_a_folder_keeps_its_paths(dana):
    given = [upload("MLmodel", b"a"), upload("model.pkl", b"b")]
    paths = json.dumps(["churn/MLmodel", "churn/data/model.pkl"])
    dana.post(NEW, {"name": "churn", "type": "mlflow_model", "folder": given, "paths": paths})
    assert [path for path, *_ in RegisteredModelVersion.objects.get().files.manifest] == [
        "churn/MLmodel",
        "churn/data/model.pkl",
    ]


@pytest.mark.parametrize(("unpack", "paths"), [("on", ["model/a.txt"]), ("", ["model.zip"])])
def test_a_zip_is_unpacked_unless_told_otherwise(dana, unpack, paths):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("model/a.txt", "content")
    given = {"name": "churn", "type": "custom_model", "upload": [upload("model.zip", packed.getvalue())]}
    dana.post(NEW, {**given, **({"unpack": unpack} if unpack else {})})
    assert [path for path, *_ in RegisteredModelVersion.objects.get().files.manifest] == paths


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "no spaces"}, "Use letters, digits"),
        ({"version": "1"}, "exists already; versions never change"),
        ({"version": "a b"}, "Use up to 64 letters"),
        ({"type": "nonsense"}, "Select a valid choice"),
        ({"upload": []}, "Choose the model&#x27;s files"),
        ({"upload": [upload("empty.pkl", b"")]}, "empty"),
        ({"upload": [upload("broken.zip")], "unpack": "on"}, "not a zip file"),
        ({"paths": '["../../etc/passwd"]'}, "leads out of its folder"),
        ({"paths": "{"}, "list of paths cannot be read"),
        ({"tags": "=x"}, "Line 1: &#x27;=x&#x27; has no name"),
        ({"tags": "a=1\na=2"}, "occurs twice"),
        ({"description": "x" * 4001}, "at most 4000"),
    ],
)
def test_what_cannot_be_registered_is_said_at_the_field_and_what_was_typed_stays(cast, dana, change, message):
    make_model_version(cast.workspace, "churn", "1")
    given = {"name": "churn", "type": "custom_model", "upload": [upload()], "description": "kept text", **change}
    page = dana.post(NEW, given)
    assert page.status_code == 200
    text = page.content.decode()
    assert message in text
    assert 'class="field-error"' in text
    assert given["description"] in text
    assert RegisteredModelVersion.objects.count() == 1


def test_too_large_an_upload_is_refused_with_the_limit(dana, settings):
    settings.STUDIO_MAX_UPLOAD_BYTES = 2000
    page = dana.post(NEW, {"name": "churn", "type": "custom_model", "upload": [upload(content=b"x" * 2001)]})
    assert "at most 2.0 kB" in page.content.decode()


def test_a_background_upload_is_told_where_to_go_or_what_is_wrong(dana):
    headers = {"X-Requested-With": "XMLHttpRequest"}
    wrong = dana.post(NEW, {"name": "churn", "type": "custom_model"}, headers=headers)
    assert wrong.status_code == 200
    assert b"Choose the model" in wrong.content
    right = dana.post(NEW, {"name": "churn", "type": "custom_model", "upload": [upload()]}, headers=headers)
    assert right.status_code == 201
    assert right.headers["Location"] == ONE


def test_a_reader_may_not_register(bob):
    assert bob.get(NEW).status_code == 403
    assert bob.post(NEW, {"name": "churn", "upload": [upload()]}).status_code == 403


def test_the_page_of_a_version_shows_files_hashes_and_who_uses_it(cast, bob):
    version = make_model_version(cast.workspace)
    make_deployment(make_endpoint(cast.workspace, "churn-live"), "blue", model_version=version)
    text = bob.get(ONE).content.decode()
    assert "file.txt" in text
    assert version.files.sha256 in text
    assert version.files.manifest[0][1] in text
    assert "churn-live/blue" in text
    assert "azureml:churn:1" in text


def test_a_name_shows_its_newest_version_that_is_not_archived(cast, dana):
    make_model_version(cast.workspace, version="1")
    make_model_version(cast.workspace, version="2")
    dana.post("/workspaces/risk/models/churn/versions/2/archive/")
    assert "azureml:churn:1" in dana.get("/workspaces/risk/models/churn/").content.decode()


def test_archived_models_leave_the_list_and_come_back(cast, dana):
    make_model_version(cast.workspace)
    dana.post(f"{ONE}archive/")
    assert "/models/churn/" not in dana.get(LIST).content.decode()
    assert "/models/churn/" in dana.get(LIST, {"archived": "1"}).content.decode()
    dana.post(f"{ONE}restore/")
    assert "/models/churn/" in dana.get(LIST).content.decode()
    assert list(Activity.objects.values_list("verb", flat=True)) == ["restored", "archived"]


def test_a_version_is_deleted_only_when_its_name_is_typed(cast, dana):
    make_model_version(cast.workspace)
    answer = dana.post(f"{ONE}delete/", {"confirm": "churn"}, follow=True)
    assert "Nothing was deleted" in answer.content.decode()
    answer = dana.post(f"{ONE}delete/", {"confirm": "churn:1"}, follow=True)
    assert answer.redirect_chain[-1][0] == LIST
    assert not RegisteredModelVersion.objects.exists()


def test_a_version_in_use_is_not_deleted_and_its_users_are_named(cast, dana):
    version = make_model_version(cast.workspace)
    make_deployment(make_endpoint(cast.workspace, "live"), "blue", model_version=version)
    answer = dana.post(f"{ONE}delete/", {"confirm": "churn:1"}, follow=True)
    assert "is used by live/blue" in answer.content.decode()
    assert RegisteredModelVersion.objects.exists()


@pytest.mark.parametrize("verb", ["archive", "restore", "delete"])
def test_a_reader_changes_nothing_and_sees_no_buttons_for_it(cast, bob, verb):
    make_model_version(cast.workspace)
    assert bob.post(f"{ONE}{verb}/", {"confirm": "churn:1"}).status_code == 403
    assert f"/{verb}/" not in bob.get(ONE).content.decode()


def test_a_file_is_downloaded_as_it_is_and_never_shown_by_the_browser(cast, bob):
    make_model_version(cast.workspace)
    answer = bob.get(reverse("workspaces:model-file", args=["risk", "churn", "1", "file.txt"]))
    assert answer.getvalue() == b"content"
    answer.close()
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="file.txt"'
    assert bob.get(f"{ONE}files/other.txt").status_code == 404
    assert bob.get(f"{ONE}files/../../secret").status_code == 404
