import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.traffic import TrafficInvalid, check_mirror, check_percents, sentence, without

BOTH = {"blue": "", "green": ""}


def test_names_left_out_get_nothing():
    assert check_percents({"blue": 100}, deployments=BOTH) == {"blue": 100, "green": 0}


def test_all_traffic_may_be_stopped():
    assert check_percents({"blue": 0, "green": 0}, deployments=BOTH) == {"blue": 0, "green": 0}


@pytest.mark.parametrize("percents", [{"blue": 90}, {"blue": 60, "green": 60}, {"blue": 99, "green": 0}])
def test_another_sum_than_100_is_refused_with_the_sum(percents):
    with pytest.raises(TrafficInvalid, match=f"sum to {sum(percents.values())}"):
        check_percents(percents, deployments=BOTH)


@pytest.mark.parametrize("share", [-1, 101, 50.0, "50", True, None])
def test_a_share_is_a_whole_number_from_0_to_100(share):
    with pytest.raises(TrafficInvalid) as caught:
        check_percents({"blue": share}, deployments=BOTH)
    assert caught.value.field == "blue"


def test_an_unknown_deployment_is_named_with_those_there_are():
    with pytest.raises(TrafficInvalid, match=r"'purple'.*blue, green"):
        check_percents({"purple": 100}, deployments=BOTH)


def test_a_deployment_that_may_not_serve_gets_no_share_and_says_why():
    deployments = {"blue": "", "green": "Deployment 'green' has no ready instance."}
    with pytest.raises(TrafficInvalid, match="no ready instance"):
        check_percents({"blue": 90, "green": 10}, deployments=deployments)
    assert check_percents({"blue": 100, "green": 0}, deployments=deployments)["green"] == 0


@given(st.dictionaries(st.sampled_from(["blue", "green", "red"]), st.integers(-5, 120)))
def test_whatever_passes_sums_to_0_or_100_over_exactly_the_deployments(percents):
    deployments = {"blue": "", "green": "", "red": ""}
    try:
        result = check_percents(percents, deployments=deployments)
    except TrafficInvalid:
        return
    assert sum(result.values()) in (0, 100)
    assert list(result) == list(deployments)


def test_mirroring_of_zero_percent_is_none():
    assert check_mirror({"green": 0}, percents={"blue": 100}, deployments=BOTH) == {}


def test_only_one_deployment_is_mirrored_to():
    with pytest.raises(TrafficInvalid, match="Only one"):
        check_mirror({"blue": 5, "green": 5}, percents={}, deployments=BOTH)


@pytest.mark.parametrize("percent", [51, -1, 0.5])
def test_mirroring_goes_up_to_50_percent(percent):
    with pytest.raises(TrafficInvalid, match="1 to 50"):
        check_mirror({"green": percent}, percents={"blue": 100}, deployments=BOTH)


def test_a_deployment_with_live_traffic_is_not_mirrored_to():
    with pytest.raises(TrafficInvalid, match="live traffic"):
        check_mirror({"green": 10}, percents={"blue": 90, "green": 10}, deployments=BOTH)


def test_a_change_is_told_in_a_sentence():
    assert sentence({"blue": 90, "green": 10}, {"blue": 0, "green": 100}) == "blue 90 % to 0 %, green 10 % to 100 %"
    assert sentence({"blue": 100}, {"blue": 100, "green": 0}) == "no change"


def test_a_name_that_is_gone_leaves_the_other_shares_alone():
    assert without({"blue": 100, "green": 0}, ["green"]) == {"blue": 100}
