"""How figures, times and states read."""

from datetime import UTC, datetime, timedelta

import pytest

from studio.lib import formats

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (812, "812 B"), (999, "999 B"), (1000, "1.0 kB"), (1_449_000, "1.4 MB"), (9_960_000, "10 MB"),
     (999_600, "1.0 MB"), (48e9, "48 GB"), (3e18, "3000 PB")],
)  # fmt: skip
def test_bytes_have_two_or_three_digits_and_a_unit(size, text):
    assert formats.bytes_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 ms"), (0.08, "80 ms"), (4.24, "4.2 s"), (9.96, "10 s"), (59.4, "59 s"), (60, "1 min"),
     (200, "3 min 20 s"), (7500, "2 h 5 min"), (90_000, "1 d 1 h"), (86_400, "1 d")],
)  # fmt: skip
def test_durations_have_two_units_at_most(seconds, text):
    assert formats.duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (-4, "just now"), (30, "30 s ago"), (250, "4 min ago"), (-3 * 86_400, "in 3 d"),
     (31 * 86_400, "29 Jan 2026")],
)  # fmt: skip
def test_times_are_relative_for_a_month(seconds, text):
    assert formats.relative_text(NOW - timedelta(seconds=seconds), NOW) == text


def test_every_state_has_a_tone():
    assert [formats.tone_of(state) for state in ("Succeeded", "Creating", "Failed", "Unready", "Stopped")] == [
        "good", "busy", "bad", "warn", "rest",
    ]  # fmt: skip


def test_deployments_called_after_a_colour_get_it_and_the_others_what_is_left():
    assert formats.deployment_colours(["challenger", "green", "blue"]) == {
        "challenger": "orange",
        "green": "green",
        "blue": "blue",
    }
    many = formats.deployment_colours([f"model{number}" for number in range(10)])
    assert len(set(many.values())) == 8
