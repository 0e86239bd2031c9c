"""Files in pieces."""

from __future__ import annotations

import os
import time
from io import BytesIO

import pytest

from workspaces.store.blobs import Blobs
from workspaces.store.blocks import BlockMissing, Blocks
from workspaces.store.errors import ContentMissing, FilesRefused
from workspaces.store.trees import TreeFile


@pytest.fixture
def blocks(tmp_path) -> Blocks:
    return Blocks(tmp_path)


@pytest.fixture
def blobs(tmp_path) -> Blobs:
    return Blobs(tmp_path)


def test_pieces_are_joined_in_the_order_asked_for_and_gone_afterwards(blocks, blobs, tmp_path):
    for name, content in (("b", b"second"), ("a", b"first "), ("unused", b"x")):
        assert blocks.put("file", name, BytesIO(content)) == len(content)
    sha256, size_bytes = blocks.commit("file", ["a", "b"], blobs)
    assert (blobs.path(sha256).read_bytes(), size_bytes) == (b"first second", 12)
    assert list((tmp_path / "blocks").iterdir()) == []


def test_the_same_piece_again_replaces_it(blocks, blobs):
    blocks.put("file", "a", BytesIO(b"old"))
    blocks.put("file", "a", BytesIO(b"new"))
    sha256, _ = blocks.commit("file", ["a"], blobs)
    assert blobs.path(sha256).read_bytes() == b"new"


def test_a_missing_piece_is_named_and_the_others_are_kept(blocks, blobs):
    blocks.put("file", "a", BytesIO(b"a"))
    with pytest.raises(BlockMissing, match="'b' was not sent"):
        blocks.commit("file", ["a", "b"], blobs)
    blocks.put("file", "b", BytesIO(b"b"))
    assert blocks.commit("file", ["a", "b"], blobs)[1] == 2


def test_pieces_of_two_files_do_not_mix_and_names_lead_nowhere(blocks, blobs, tmp_path):
    blocks.put("../../one", "../x", BytesIO(b"1"))
    blocks.put("../../two", "../x", BytesIO(b"2"))
    assert all(path.is_relative_to(tmp_path / "blocks") for path in tmp_path.rglob("*") if path.is_file())
    assert blobs.path(blocks.commit("../../two", ["../x"], blobs)[0]).read_bytes() == b"2"


def test_a_broken_stream_leaves_no_piece(blocks, tmp_path):
    class Broken:
        def read(self, size: int, /) -> bytes:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        blocks.put("file", "a", Broken())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_nobody_added_to_for_a_day_is_swept(blocks, tmp_path):
    blocks.put("old", "a", BytesIO(b"a"))
    (old,) = (tmp_path / "blocks").iterdir()
    os.utime(old, (time.time() - 90_000, time.time() - 90_000))
    blocks.put("new", "a", BytesIO(b"a"))
    blocks.sweep()
    assert len(list((tmp_path / "blocks").iterdir())) == 1
    assert not old.exists()


def test_a_tree_of_stored_files_is_the_one_their_upload_would_make(store, put):
    tree = put({"m/a": "A", "m/b": "B"})
    assert store.put_stored_tree(reversed(tree.manifest)) == tree


def test_a_tree_of_files_that_are_not_stored_or_badly_named_is_refused(store, put):
    (file,) = put({"a": "A"}).manifest
    with pytest.raises(ContentMissing):
        store.put_stored_tree([TreeFile("a", "0" * 64, 1)])
    with pytest.raises(ContentMissing):
        store.put_stored_tree([TreeFile("a", file.sha256, 99)])
    with pytest.raises(FilesRefused, match="twice"):
        store.put_stored_tree([file, file])
    with pytest.raises(FilesRefused):
        store.put_stored_tree([TreeFile("../a", file.sha256, file.size_bytes)])
