"""Ids and durations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import arm, durations
from studio.lib.errors import BadRequest

WS = arm.workspace_id("s", "g", "w")


@pytest.mark.parametrize(
    ("path", "spelled"),
    [
        (
            "/subscriptions/s/resourcegroups/G/PROVIDERS/microsoft.machinelearningservices/Workspaces/w/onlineendpoints/e/listkeys",
            "/subscriptions/s/resourceGroups/G/providers/Microsoft.MachineLearningServices/workspaces/w/onlineEndpoints/e/listKeys",
        ),
        ("/workspaces/risk/models/", "/workspaces/risk/models/"),
        (f"{WS}/models/VERSIONS/versions/1", f"{WS}/models/VERSIONS/versions/1"),
        (f"{WS}/models/m/Versions/1", f"{WS}/models/m/versions/1"),
        ("/", "/"),
    ],
)
def test_words_are_spelled_one_way_and_names_stay(path, spelled):
    assert arm.spelled(path) == spelled
    assert arm.spelled(spelled) == spelled


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        (f"{WS}/models/m/versions/3", arm.VersionRef("m", "3", "w")),
        (f"azureml:{WS}/models/m/labels/latest", arm.VersionRef("m", "latest", "w")),
        ("azureml:m:3", arm.VersionRef("m", "3")),
        ("m@latest", arm.VersionRef("m", "latest")),
        ("azureml://registries/azureml/models/m/versions/3", arm.VersionRef("m", "3")),
    ],
)
def test_every_form_of_an_id_is_read(text, ref):
    assert arm.read_version_id(text, "models") == ref


@pytest.mark.parametrize("text", ["", "m", f"{WS}/codes/m/versions/1", "azureml:a:b:c", "/subscriptions/s"])
def test_what_is_no_id_of_that_kind_is_refused(text):
    with pytest.raises(BadRequest):
        arm.read_version_id(text, "models")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("PT3S", 3000), ("PT1M30S", 90_000), ("PT0.5S", 500), ("PT1H", 3_600_000), ("P1DT1S", 86_401_000)],
)
def test_durations_are_read(text, milliseconds):
    assert durations.read_ms(text) == milliseconds


@pytest.mark.parametrize("text", ["", "P", "PT", "5", "00:00:03", "PT-3S", "3S", "PT3S "])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="not a duration"):
        durations.read_ms(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_a_duration_written_is_read_as_the_same(milliseconds):
    assert durations.read_ms(durations.write_ms(milliseconds)) == milliseconds
