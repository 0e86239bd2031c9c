"""The blob service: what the official client sends, and what others must not get through."""

import base64
import hashlib
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest
from django.utils import timezone

from api import sas
from tests.api.conftest import Caller
from tests.factories import make_model_version
from workspaces.models import AccessToken, UploadedFile, Workspace
from workspaces.staging import store

ROOT = "/blobstore/risk/azureml-blobstore"
PUT = {"x_ms_blob_type": "BlockBlob"}


class Signed(Caller):
    """A caller that has nothing but a signature; `at` writes an address with it."""

    def __init__(self, workspace: Workspace, sas: str) -> None:
        super().__init__(workspace, "")
        self.sas = sas

    def at(self, path: str, query: str = "") -> str:
        return f"{ROOT}/{path}?{query}{'&' if query else ''}{self.sas}"


@pytest.fixture
def signed(cast, alice):
    answer = alice.post("/datastores/workspaceblobstore/listSecrets", {"expirableSecret": True, "expireAfterHours": 1})
    return Signed(cast.workspace, answer.json()["sasToken"])


def code(answer):
    return answer.status_code, answer.headers.get("x-ms-error-code")


def content(answer):
    return b"".join(answer.streaming_content)


def test_every_name_in_a_signature_is_one_of_azures(signed):
    assert {name for name, _ in parse_qsl(signed.sas)} <= {"sv", "sr", "sp", "se", "sig", "skoid", "spr"}


def test_a_file_is_put_seen_and_read(signed):
    answer = signed.put(signed.at("a/b.txt"), b"content", **PUT, x_ms_meta_team="risk")
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer["ETag"]
    assert answer["Last-Modified"]
    seen = signed.call("HEAD", signed.at("a/b.txt"))
    assert (seen.status_code, seen["Content-Length"], seen["x-ms-blob-type"]) == (200, "7", "BlockBlob")
    assert seen["x-ms-meta-team"] == "risk"
    assert content(signed.get(signed.at("a/b.txt"))) == b"content"


def test_ranges_are_206_and_those_outside_416(signed):
    signed.put(signed.at("b"), b"0123456789", **PUT)
    answer = signed.get(signed.at("b"), x_ms_range="bytes=2-4")
    assert (answer.status_code, answer["Content-Range"], content(answer)) == (206, "bytes 2-4/10", b"234")
    assert content(signed.get(signed.at("b"), Range="bytes=8-")) == b"89"
    assert code(signed.get(signed.at("b"), x_ms_range="bytes=10-20")) == (416, "InvalidRange")


def test_an_empty_file_has_no_range_and_reads_whole(signed):
    assert signed.put(signed.at("empty"), b"", **PUT).status_code == 201
    assert code(signed.get(signed.at("empty"), x_ms_range="bytes=0-33554431")) == (416, "InvalidRange")
    answer = signed.get(signed.at("empty"))
    assert (answer.status_code, content(answer)) == (200, b"")


def test_blocks_become_a_file_in_the_order_of_their_list(signed):
    names = [base64.b64encode(name).decode() for name in (b"one", b"two/../../..")]
    for name, part in zip(reversed(names), (b"second", b"first "), strict=True):
        assert signed.put(signed.at("big", f"comp=block&blockid={name}"), part).status_code == 201
    assert code(signed.call("HEAD", signed.at("big"))) == (404, "BlobNotFound")
    listed = "".join(f"<Latest>{name}</Latest>" for name in names)
    answer = signed.put(
        signed.at("big", "comp=blocklist"), f"<BlockList>{listed}</BlockList>".encode(), If_None_Match="*"
    )
    assert answer.status_code == 201
    assert content(signed.get(signed.at("big"))) == b"first second"
    assert not list((store().root / "blocks").glob("*/*"))


def test_a_list_that_names_a_block_nobody_sent_is_refused(signed):
    assert code(signed.put(signed.at("x", "comp=blocklist"), b"<BlockList><Latest>QQ==</Latest></BlockList>")) == (
        400,
        "InvalidBlockList",
    )
    assert code(signed.put(signed.at("x", "comp=blocklist"), b"<BlockList>"))[0] == 400


def test_what_is_there_is_overwritten_only_on_purpose(signed):
    signed.put(signed.at("a"), b"one", **PUT)
    assert code(signed.put(signed.at("a"), b"two", **PUT, If_None_Match="*")) == (409, "BlobAlreadyExists")
    assert signed.put(signed.at("a"), b"two", **PUT).status_code == 201
    assert content(signed.get(signed.at("a"))) == b"two"


def test_a_body_that_is_not_what_its_md5_says_leaves_nothing(signed):
    right = base64.b64encode(hashlib.md5(b"body").digest()).decode()
    assert signed.put(signed.at("a"), b"body", **PUT, Content_MD5=right).status_code == 201
    assert code(signed.put(signed.at("b"), b"other", **PUT, Content_MD5=right)) == (400, "Md5Mismatch")
    assert not UploadedFile.objects.filter(path="b").exists()


def test_metadata_confirm_an_upload(signed):
    signed.put(signed.at("a"), b"x", **PUT)
    answer = signed.call(
        "PUT", signed.at("a", "comp=metadata"), x_ms_meta_upload_status="completed", x_ms_meta_name="m"
    )
    assert answer.status_code == 200
    assert signed.call("HEAD", signed.at("a"))["x-ms-meta-upload_status"] == "completed"


def test_files_are_listed_by_prefix_folder_and_page(signed):
    for path in ("m/1.txt", "m/2.txt", "m/sub/3.txt", "n"):
        signed.put(signed.at(path), b"x", **PUT)

    def listed(query):
        return signed.get(f"{ROOT}?restype=container&comp=list&{query}&{signed.sas}").content.decode()

    assert listed("prefix=m/").count("<Blob>") == 3
    shallow = listed("prefix=m/&delimiter=/")
    assert shallow.count("<Blob>") == 2
    assert "<BlobPrefix><Name>m/sub/</Name></BlobPrefix>" in shallow
    assert "<NextMarker>m/1.txt</NextMarker>" in listed("maxresults=1")
    assert listed("maxresults=9&marker=m/2.txt").count("<Blob>") == 2


@pytest.mark.parametrize(
    "path", ["../../x", "a/../../x", "a\\b", "a\x01b", "%2e%2e/x", "/etc/passwd", "a/" * 600 + "b"]
)
def test_no_path_leads_out_of_its_container(signed, path):
    answer = signed.put(signed.at(path), b"x", **PUT)
    assert answer.status_code in (201, 400, 404), path
    for row in UploadedFile.objects.all():
        assert ".." not in row.path.split("/")
    blobs = store().root / "blobs"
    assert all(entry.resolve().is_relative_to(blobs.resolve()) for entry in blobs.rglob("*"))


def tampered(query, name, value):
    return "&".join(f"{key}={value if key == name else old}" for key, old in parse_qsl(query))


@pytest.mark.parametrize(
    ("name", "value"),
    [("sig", "0" * 64), ("se", "2099-01-01T00:00:00Z"), ("sp", "racwdlx"), ("skoid", "99"), ("sig", "ü")],
)
def test_a_tampered_signature_is_403(signed, name, value):
    assert code(signed.get(f"{ROOT}/a?{tampered(signed.sas, name, value)}")) == (403, "AuthenticationFailed")


def test_a_signature_is_for_its_workspace_container_and_time(cast, alice, signed):
    token = AccessToken.objects.get()
    foreign = sas.sign(
        workspace_id=cast.workspace.pk + 1,
        container="azureml-blobstore",
        token=token,
        may_write=True,
        lifetime=timedelta(hours=1),
    )
    assert code(signed.get(f"{ROOT}/a?{foreign}"))[0] == 403
    assert code(signed.get(f"/blobstore/risk/code-{'0' * 8}-0000-0000-0000-{'0' * 12}/a?{signed.sas}"))[0] == 403
    assert code(signed.get(f"/blobstore/elsewhere/azureml-blobstore/a?{signed.sas}"))[0] == 403
    old = sas.sign(
        workspace_id=cast.workspace.pk,
        container="azureml-blobstore",
        token=token,
        may_write=True,
        lifetime=timedelta(seconds=-1),
    )
    assert code(signed.get(f"{ROOT}/a?{old}")) == (403, "AuthenticationFailed")


def test_a_signature_ends_with_the_token_that_asked_for_it(signed):
    AccessToken.objects.update(revoked_at=timezone.now())
    assert code(signed.get(signed.at("a"))) == (403, "AuthenticationFailed")


def test_a_reader_gets_a_signature_for_reading(cast, bob):
    query = bob.post("/datastores/workspaceblobstore/listSecrets").json()["sasToken"]
    visitor = Caller(cast.workspace, "")
    assert code(visitor.put(f"{ROOT}/a?{query}", b"x", **PUT)) == (403, "AuthorizationPermissionMismatch")
    assert code(visitor.get(f"{ROOT}/a?{query}")) == (404, "BlobNotFound")


def test_a_bearer_token_opens_the_store_and_nothing_at_all_does_not(cast, alice, bob, charlie):
    assert alice.put(f"{ROOT}/a", b"x", **PUT).status_code == 201
    assert bob.put(f"{ROOT}/b", b"x", **PUT).status_code == 403
    assert bob.call("HEAD", f"{ROOT}/a").status_code == 200
    assert charlie.get(f"{ROOT}/a").status_code == 404
    assert code(Caller(cast.workspace, "").get(f"{ROOT}/a")) == (401, "NoAuthenticationInformation")


def test_what_is_registered_can_be_read_under_its_own_path_and_never_written(cast, alice):
    make_model_version(cast.workspace, "churn", "1")
    path = "registered/models/churn/1/file.txt"
    assert content(alice.get(f"{ROOT}/{path}")) == b"content"
    listed = alice.get(f"{ROOT}?restype=container&comp=list&prefix=registered/models/churn/1/").content.decode()
    assert f"<Name>{path}</Name>" in listed
    assert code(alice.put(f"{ROOT}/{path}", b"x", **PUT))[0] == 403
    assert code(alice.get(f"{ROOT}/registered/models/nothing/1/file.txt")) == (404, "BlobNotFound")


def test_what_is_too_large_is_refused_before_it_is_read(signed, settings):
    settings.STUDIO_MAX_UPLOAD_BYTES = 3
    assert code(signed.put(signed.at("a"), b"four", **PUT)) == (413, "RequestBodyTooLarge")
