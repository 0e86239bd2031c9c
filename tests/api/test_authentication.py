"""Who gets in, and what a token opens."""

from datetime import timedelta

import pytest
from django.utils import timezone

from api.authentication import FAILURES_PER_MINUTE, REFUSED
from tests.api.conftest import Caller, caller_of
from workspaces.models import AccessToken, Activity


def test_no_token_and_a_wrong_one_are_401_in_arms_words(cast):
    for text in ("", "est_wrong", "ess_wrong"):
        answer = Caller(cast.workspace, text).get("")
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
        assert answer["WWW-Authenticate"] == "Bearer"
        assert answer["x-ms-request-id"]


@pytest.mark.parametrize("change", [{"revoked_at": 0}, {"expires_at": -1}], ids=["revoked", "expired"])
def test_a_token_that_has_ended_is_401(cast, change):
    caller = caller_of(cast.alice, cast.workspace)
    at = {name: timezone.now() + timedelta(seconds=seconds) for name, seconds in change.items()}
    AccessToken.objects.update(**at)
    assert caller.get("").status_code == 401


def test_a_token_of_somebody_who_may_not_sign_in_any_more_is_401(cast):
    caller = caller_of(cast.alice, cast.workspace)
    cast.alice.is_active = False
    cast.alice.save()
    assert caller.get("").status_code == 401


def test_the_last_use_is_written_down(cast, alice):
    alice.get("")
    assert AccessToken.objects.get().last_used_at is not None


def test_a_stranger_does_not_learn_that_the_workspace_exists(charlie):
    assert charlie.get("").status_code == 404


def test_a_reader_reads_and_changes_nothing(bob):
    assert bob.get("").status_code == 200
    answer = bob.put("/onlineEndpoints/new", {"properties": {"authMode": "Key"}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AuthorizationFailed")


def test_a_token_for_reading_does_not_write_whoever_has_it(cast):
    caller = caller_of(cast.alice, cast.workspace, can_write=False)
    assert caller.get("/onlineEndpoints").status_code == 200
    assert caller.put("/onlineEndpoints/new", {"properties": {"authMode": "Key"}}).status_code == 403


def test_a_token_of_one_workspace_opens_no_other(cast):
    elsewhere = type(cast.workspace).objects.get(name="elsewhere")
    caller = caller_of(cast.charlie, elsewhere, scope=cast.workspace)
    assert caller.get("").status_code == 404
    assert caller_of(cast.charlie, elsewhere, scope=elsewhere).get("").status_code == 200


def test_a_workspace_is_found_under_its_own_subscription_and_group_only(alice):
    assert alice.get(alice.base.replace("/studio/", "/other/")).status_code == 404
    assert alice.get(
        alice.base.replace("resourceGroups", "resourcegroups").upper().replace("RISK", "risk")
    ).status_code in (200, 404)


def test_failures_are_written_down_and_throttled(cast):
    wrong = Caller(cast.workspace, "est_guess")
    answers = [wrong.get("").status_code for _ in range(FAILURES_PER_MINUTE + 2)]
    assert answers == [401] * FAILURES_PER_MINUTE + [429] * 2
    assert wrong.get("")["Retry-After"] == "60"
    assert Activity.objects.filter(verb=REFUSED).count() == FAILURES_PER_MINUTE


def test_those_who_have_a_token_go_on_while_others_guess(cast, alice):
    for _ in range(FAILURES_PER_MINUTE + 1):
        Caller(cast.workspace, "est_guess").get("")
    assert alice.get("").status_code == 200


def test_a_personal_token_is_exchanged_for_a_short_lived_one_that_ends_with_it(cast, alice):
    answer = alice.call("GET", "/msi/token?resource=https://x", X_IDENTITY_HEADER=alice.token).json()
    assert answer["token_type"] == "Bearer"
    assert int(answer["expires_on"]) > timezone.now().timestamp()
    short = Caller(cast.workspace, answer["access_token"])
    assert short.get("").status_code == 200
    AccessToken.objects.update(revoked_at=timezone.now())
    assert short.get("").status_code == 401


def test_without_a_valid_token_nothing_is_exchanged(cast, alice):
    assert alice.call("GET", "/msi/token").status_code == 401
    assert alice.call("GET", "/msi/token", X_IDENTITY_HEADER="est_wrong").status_code == 401


@pytest.mark.parametrize(
    ("version", "status"), [("2022-02-01-preview", 200), ("2030-01-01", 200), ("2021-10-01", 400), ("x", 400)]
)
def test_any_api_version_from_2022_on_is_answered(alice, version, status):
    assert alice.get(f"?api-version={version}").status_code == status


def test_the_description_of_the_cloud_needs_no_token(client, db):
    (cloud,) = client.get("/metadata/endpoints").json()
    assert set(cloud) == {"name", "portal", "resourceManager", "authentication", "suffixes"}
    assert cloud["resourceManager"] == "http://testserver"


def test_an_address_that_is_none_is_404_in_arms_words(alice):
    answer = alice.get("/jobs")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")
    assert "/jobs" in answer.json()["error"]["message"]
