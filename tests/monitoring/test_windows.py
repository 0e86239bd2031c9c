"""Which time a page is about."""

from datetime import UTC, datetime

import pytest

from monitoring import windows

NOW = datetime(2026, 3, 2, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize("choice", windows.RANGES, ids=[choice.key for choice in windows.RANGES])
def test_every_choice_has_enough_points_and_never_too_many(choice):
    window = windows.named(choice.key, NOW)
    assert 14 <= len(window.moments) <= 400
    assert window.moments[0] == window.start
    assert window.moments[-1] < NOW
    assert window.position(NOW) in (len(window.moments) - 1, len(window.moments))
    assert window.is_live


def test_an_unknown_choice_is_the_usual_one():
    assert windows.named("fortnight", NOW).key == windows.DEFAULT


def test_a_time_of_ones_own_is_taken_as_utc_and_stays():
    window = windows.custom("2026-03-01T08:00", "2026-03-01T09:30", NOW)
    assert window.start == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert len(window.moments) == 90
    assert not window.is_live


@pytest.mark.parametrize(("begin", "end"), [("soon", ""), ("2026-03-02T13:00", ""), ("0001-01-01", "")])
def test_a_time_that_is_none_is_refused_with_a_sentence(begin, end):
    with pytest.raises(ValueError, match=r"\.$"):
        windows.custom(begin, end, NOW)
