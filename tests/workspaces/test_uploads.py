"""Files that are sent ahead of what they are registered as."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from io import BytesIO

import pytest
from django.utils import timezone

from studio.lib.errors import BadRequest, NotFound
from workspaces import garbage
from workspaces.models import UploadedFile
from workspaces.services import uploads
from workspaces.services.assets import register_model
from workspaces.staging import store


def put(cast, path, content=b"x", **overrides):
    values = {"container": "c", "path": path, "stream": BytesIO(content), "metadata": {}, "overwrite": False}
    return uploads.put_file(workspace=cast.workspace, **{**values, **overrides})


def age(row):
    """As if it had been uploaded two days ago."""
    UploadedFile.objects.filter(pk=row.pk).update(changed_at=timezone.now() - timedelta(days=2))
    past = time.time() - 2 * 86_400
    os.utime(store().blobs.path(row.sha256), (past, past))


def test_what_was_not_registered_within_a_day_is_swept_and_what_was_stays(cast):
    lost, kept, fresh = (put(cast, name, name.encode()) for name in ("lost", "kept", "fresh"))
    tree = uploads.tree_at(cast.workspace, "c", "kept", keep_name=True)
    register_model(workspace=cast.workspace, name="m", by=cast.alice, tree=tree)
    age(lost)
    age(kept)
    garbage.collect()
    assert [row.path for row in UploadedFile.objects.all()] == ["fresh"]
    there = [store().blobs.path(row.sha256).exists() for row in (lost, kept, fresh)]
    assert there == [False, True, True]


def test_a_file_whose_content_is_gone_is_not_there_and_can_be_sent_again(cast):
    row = put(cast, "a")
    store().blobs.path(row.sha256).unlink()
    with pytest.raises(NotFound):
        uploads.get_file(cast.workspace, "c", "a")
    put(cast, "a")
    assert uploads.get_file(cast.workspace, "c", "a").size_bytes == 1


def test_a_folder_is_not_the_one_whose_name_only_begins_alike(cast):
    put(cast, "up/model/a")
    put(cast, "up/model2/b")
    tree = uploads.tree_at(cast.workspace, "c", "up/model/", keep_name=False)
    assert [path for path, *_ in tree.manifest] == ["a"]


def test_nothing_at_an_address_is_said(cast):
    with pytest.raises(BadRequest, match="Nothing was uploaded to 'x'"):
        uploads.tree_at(cast.workspace, "c", "x", keep_name=True)
