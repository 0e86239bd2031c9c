from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from deployments.lifecycle import TABLE
from deployments.models import Deployment
from ops import states
from tests.factories import make_deployment, make_endpoint, make_workspace
from workspaces.lifecycle import MoveNotAllowed, move
from workspaces.models import Activity


@pytest.fixture
def deployment(db):
    return make_deployment(make_endpoint(make_workspace()))


def test_a_move_is_written_with_its_activity(deployment):
    assert move(deployment, "Updating", TABLE, message="new model")
    deployment.refresh_from_db()
    assert (deployment.state, deployment.message) == ("Updating", "new model")
    activity = Activity.objects.get(target_kind="deployment", target_id=deployment.pk)
    assert (activity.before, activity.after) == ({"state": "Succeeded"}, {"state": "Updating"})


def test_a_move_that_is_not_in_the_table_is_refused_and_changes_nothing(deployment):
    with pytest.raises(MoveNotAllowed, match="is Succeeded; it cannot become Creating"):
        move(deployment, "Creating", TABLE)
    deployment.refresh_from_db()
    assert deployment.state == "Succeeded"
    assert not Activity.objects.exists()


def test_the_second_of_two_writers_loses_quietly(deployment):
    other = Deployment.objects.get(pk=deployment.pk)
    assert move(deployment, "Updating", TABLE)
    assert move(other, "Scaling", TABLE) is False
    other.refresh_from_db()
    assert other.state == "Updating"
    assert Activity.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_eight_at_once_one_wins_and_one_activity_is_written():
    deployment = make_deployment(make_endpoint(make_workspace()))
    copies = [Deployment.objects.get(pk=deployment.pk) for _ in range(8)]

    def attempt(row):
        try:
            return move(row, "Updating", TABLE)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, copies)) == 1
    assert Activity.objects.filter(target_id=deployment.pk).count() == 1


def test_the_page_of_states_is_as_the_tables_are():
    assert states.PAGE.read_text() == states.page(), "run: make docs"
