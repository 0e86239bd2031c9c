"""Models, environments and code over the API."""

import pytest

from tests.factories import make_code_version, make_environment_version, make_model_version
from workspaces.models import CodeVersion, EnvironmentVersion, RegisteredModelVersion

ROOT = "/blobstore/risk/azureml-blobstore"
CONDA = "name: e\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.11\n"


def upload(caller, path, content=b"x", root=ROOT):
    assert caller.put(f"{root}/{path}", content, x_ms_blob_type="BlockBlob").status_code == 201


def uri(caller, path):
    workspace = caller.workspace
    return (
        f"azureml://subscriptions/{workspace.subscription_id}/resourcegroups/{workspace.resource_group}"
        f"/workspaces/{workspace.name}/datastores/workspaceblobstore/paths/{path}"
    )


def error(answer):
    found = answer.json()["error"]
    return answer.status_code, found["code"], found["target"]


def paths(version):
    return [path for path, *_ in version.files.manifest]


def test_a_model_is_registered_from_an_uploaded_file(alice):
    upload(alice, "LocalUpload/ab/model.pkl")
    given = {
        "modelUri": uri(alice, "LocalUpload/ab/model.pkl"),
        "tags": {"a": "b"},
        "properties": {"n": 1},
        "flavors": {},
    }
    answer = alice.put("/models/m/versions/1", {"properties": given})
    assert answer.status_code == 201, answer.json()
    found = answer.json()
    assert found["id"] == f"{alice.base}/models/m/versions/1"
    assert found["properties"]["flavors"] == {}
    assert found["properties"]["properties"] == {"n": "1"}
    assert found["properties"]["modelUri"].endswith("/paths/registered/models/m/1/model.pkl")
    assert paths(RegisteredModelVersion.objects.get()) == ["model.pkl"]


def test_a_folder_keeps_its_name_below_the_models_folder(alice):
    for path in ("a.txt", "sub/b.txt"):
        upload(alice, f"LocalUpload/ab/folder/{path}")
    upload(alice, "LocalUpload/ab/folder2/other.txt")
    alice.put("/models/m/versions/1", {"properties": {"modelUri": uri(alice, "LocalUpload/ab/folder")}})
    assert paths(RegisteredModelVersion.objects.get()) == ["folder/a.txt", "folder/sub/b.txt"]


def test_the_same_again_is_200_and_other_files_are_a_user_error(alice):
    upload(alice, "one/model.pkl", b"1")
    upload(alice, "two/model.pkl", b"2")
    first = {"properties": {"modelUri": uri(alice, "one/model.pkl")}}
    assert [alice.put("/models/m/versions/1", first).status_code for _ in range(2)] == [201, 200]
    answer = alice.put("/models/m/versions/1", {"properties": {"modelUri": uri(alice, "two/model.pkl")}})
    assert error(answer) == (400, "UserError", "properties.modelUri")
    # what the answer says is the same model, whatever path it came from
    assert alice.put("/models/m/versions/1", alice.get("/models/m/versions/1").json()).status_code == 200
    assert RegisteredModelVersion.objects.count() == 1


def test_a_new_model_can_be_made_of_a_registered_ones_files(cast, alice):
    version = make_model_version(cast.workspace, "churn", "1")
    address = alice.get("/models/churn/versions/1").json()["properties"]["modelUri"]
    assert alice.put("/models/copy/versions/1", {"properties": {"modelUri": address}}).status_code == 201
    assert RegisteredModelVersion.objects.get(model__name="copy").files_id == version.files_id


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("azureml://datastores/other/paths/x", "BadArgument"),
        ("azureml://datastores/workspaceblobstore/paths/nothing", "BadArgument"),
        ("azureml://jobs/x/outputs/y", "NotSupported"),
        ("https://example.com/x", "NotSupported"),
        ("https://testserver/blobstore/elsewhere/azureml-blobstore/x", "BadArgument"),
    ],
)
def test_addresses_of_no_files_here_are_refused(alice, address, code):
    assert error(alice.put("/models/m/versions/1", {"properties": {"modelUri": address}}))[:2] == (400, code)


def test_tags_change_and_versions_are_archived_and_restored(cast, alice):
    make_model_version(cast.workspace, "churn", "1")
    body = {"properties": {"tags": {"new": "1"}, "isArchived": True}}
    found = alice.put("/models/churn/versions/1", body).json()["properties"]
    assert (found["tags"], found["isArchived"]) == ({"new": "1"}, True)

    def listed(view):
        return len(alice.get(f"/models/churn/versions?listViewType={view}").json()["value"])

    assert [listed(view) for view in ("ActiveOnly", "ArchivedOnly", "All")] == [0, 1, 1]
    assert alice.get("/models").json()["value"] == []
    assert alice.put("/models/churn", {"properties": {"isArchived": False}}).json()["properties"]["isArchived"] is False
    assert listed("ActiveOnly") == 1
    assert alice.get("/models?listViewType=Some").status_code == 400


def test_the_newest_comes_first_and_the_next_version_is_known(cast, alice):
    for version in ("1", "2"):
        make_model_version(cast.workspace, "churn", version)
    newest = alice.get("/models/churn/versions?$orderBy=createdtime desc&$top=1").json()
    assert [row["name"] for row in newest["value"]] == ["2"]
    assert "nextLink" not in newest
    properties = alice.get("/models/churn").json()["properties"]
    assert (properties["latestVersion"], properties["nextVersion"]) == ("2", "3")
    assert alice.get("/models/nothing/versions").json() == {"value": []}
    assert alice.get("/models/nothing").status_code == 404


def test_an_environment_is_the_same_once_and_409_with_another_definition(alice):
    body = {"properties": {"condaFile": CONDA, "image": "x/y:1", "osType": "Linux"}}
    assert [alice.put("/environments/e/versions/1", body).status_code for _ in range(2)] == [201, 200]
    other = {"properties": {"condaFile": CONDA + "  - pip\n", "image": "x/y:1"}}
    assert error(alice.put("/environments/e/versions/1", other))[:2] == (409, "Conflict")
    found = alice.get("/environments/e/versions/1").json()["properties"]
    assert (found["condaFile"], found["image"], found["environmentType"]) == (CONDA, "x/y:1", "UserCreated")


def test_an_anonymous_environment_has_a_long_version_and_no_place_in_lists(alice):
    body = {"properties": {"condaFile": CONDA, "image": "x", "isAnonymous": True}}
    assert alice.put(f"/environments/CliV2AnonymousEnvironment/versions/{'ab' * 32}", body).status_code == 201
    assert EnvironmentVersion.objects.get(environment__is_curated=False).is_anonymous
    assert alice.get("/environments").json()["value"] == []


@pytest.mark.parametrize(
    ("properties", "code", "target"),
    [
        ({"image": "x"}, "NotSupported", "properties.condaFile"),
        ({"build": {"contextUri": "x"}}, "NotSupported", "properties.build"),
        ({"condaFile": CONDA, "osType": "Windows"}, "NotSupported", "properties.osType"),
        ({"condaFile": CONDA, "inferenceConfig": {}}, "NotSupported", "properties.inferenceConfig"),
    ],
)
def test_environments_that_cannot_be_built_here_are_refused(alice, properties, code, target):
    assert error(alice.put("/environments/e/versions/1", {"properties": properties})) == (400, code, target)


def test_a_conda_file_that_cannot_be_read_is_400_with_its_line(alice):
    answer = alice.put("/environments/e/versions/1", {"properties": {"condaFile": "dependencies: [a"}})
    assert answer.status_code == 400


def test_a_pip_list_is_answered_as_a_conda_file(cast, alice):
    make_environment_version(cast.workspace)
    assert "numpy==1.26.4" in alice.get("/environments/churn/versions/1").json()["properties"]["condaFile"]


def test_code_is_uploaded_registered_and_found_again_by_its_hash(alice):
    pending = alice.post(
        "/codes/c1/versions/1/startPendingUpload", {"pendingUploadType": "TemporaryBlobReference"}
    ).json()
    reference = pending["blobReferenceForConsumption"]
    container = reference["blobUri"].removeprefix("http://testserver")
    assert reference["credential"]["sasUri"].startswith(f"{reference['blobUri']}?sv=")
    upload(alice, "onlinescoring/score.py", root=container)
    upload(alice, "onlinescoring/lib/more.py", root=container)
    properties = {"codeUri": f"{reference['blobUri']}/onlinescoring", "isAnonymous": True}
    properties["properties"] = {"hash_sha256": "822f", "hash_version": 202208}
    assert alice.put("/codes/c1/versions/1", {"properties": properties}).status_code == 201
    assert paths(CodeVersion.objects.get()) == ["lib/more.py", "score.py"]
    found = alice.get("/codes/some-other-name/versions?hash=822f&hashVersion=202208").json()["value"]
    assert [row["id"] for row in found] == [f"{alice.base}/codes/c1/versions/1"]
    assert alice.get("/codes/x/versions?hash=nothing").json() == {"value": []}


def test_a_reader_registers_nothing(cast, bob):
    make_code_version(cast.workspace)
    assert bob.get("/codes/churn/versions/1").status_code == 200
    for address in ("/models/m/versions/1", "/environments/e/versions/1", "/codes/churn/versions/1"):
        assert bob.put(address, {"properties": {}}).status_code == 403
    assert bob.post("/codes/c/versions/1/startPendingUpload").status_code == 403


def test_workspaces_and_the_datastore_are_described(cast, alice):
    found = alice.get("").json()
    assert (found["id"], found["location"]) == (alice.base, "local")
    listed = alice.get(alice.base.rpartition("/")[0]).json()["value"]
    assert [row["name"] for row in listed] == ["risk"]
    datastore = alice.get("/datastores/workspaceblobstore").json()["properties"]
    assert (datastore["datastoreType"], datastore["accountName"]) == ("AzureBlob", "testserver/blobstore/risk/#")
    assert alice.get("/datastores?isDefault=true&count=30").json()["value"][0]["name"] == "workspaceblobstore"
    assert alice.get("/datastores/other").status_code == 404


def test_changing_only_the_type_of_a_version_is_a_user_error(cast, alice):
    make_model_version(cast.workspace, "churn", "1")
    answer = alice.put("/models/churn/versions/1", {"properties": {"modelType": "mlflow_model"}})
    assert error(answer) == (400, "UserError", "properties.modelType")
