from __future__ import annotations

import errno
import hashlib
import io
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workspaces.store.blobs import CHUNK_BYTES, INCOMING_LASTS_SECONDS
from workspaces.store.errors import ContentMissing, FilesRefused
from workspaces.store.names import clean_path
from workspaces.store.trees import Store, Tree

Put = Callable[[dict[str, str]], Tree]


def below(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def set_age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


class Endless(io.RawIOBase):
    """Gives zeros, and never more than asked for, so that a store that reads all at once is noticed."""

    def __init__(self, size_bytes: int) -> None:
        self.left_bytes = size_bytes
        self.largest_read_bytes = 0

    def read(self, size: int = -1, /) -> bytes:
        assert size > 0, "read whole"
        self.largest_read_bytes = max(self.largest_read_bytes, size)
        given = min(size, self.left_bytes)
        self.left_bytes -= given
        return bytes(given)


def test_a_file_is_known_by_its_hash_and_stored_once(store: Store) -> None:
    first = store.put_file(io.BytesIO(b"model"))
    assert first == (hashlib.sha256(b"model").hexdigest(), 5)
    assert store.put_file(io.BytesIO(b"model")) == first
    blobs = [path for path in (store.root / "blobs").rglob("*") if path.is_file()]
    assert blobs == [store.blobs.path(first[0])]
    assert stat.S_IMODE(blobs[0].stat().st_mode) == 0o444
    with store.open(first[0]) as file:
        assert file.read() == b"model"
    assert os.listdir(store.root / "incoming") == []


def test_a_large_file_is_never_whole_in_memory(store: Store) -> None:
    stream = Endless(9 * CHUNK_BYTES + 1)
    assert store.put_file(stream)[1] == 9 * CHUNK_BYTES + 1
    assert stream.largest_read_bytes == CHUNK_BYTES


def test_what_is_not_stored_is_missing_and_what_is_no_hash_is_refused(store: Store) -> None:
    with pytest.raises(ContentMissing):
        store.open("0" * 64)
    with pytest.raises(ContentMissing):
        store.tree("0" * 64)
    with pytest.raises(ValueError, match="not a SHA-256"):
        store.open("../../etc/passwd")


def test_a_tree_has_the_same_hash_whatever_the_order(put: Put, store: Store) -> None:
    one = put({"m/a": "A", "m/b": "B"})
    other = put({"m/b": "B", "./m//a": "A"})
    assert one == other
    assert (one.file_count, one.size_bytes) == (2, 2)
    assert store.tree(one.hash) == one
    assert put({"m/a": "A", "m/c": "B"}).hash != one.hash


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "no files"),
        ({"/etc/passwd": "x"}, "absolute"),
        ({"C:/x": "x"}, "absolute"),
        ({"a/../../b": "x"}, "leads out"),
        ({"a\\b": "x"}, "backslash"),
        ({"a\nb": "x"}, "control characters"),
        ({"a/": "x"}, "needs a name"),
        ({".": "x"}, "needs a name"),
        ({"\udcff": "x"}, "not valid Unicode"),
        ({"a" * 250: "x"}, "too long"),
        ({"a": "x", "./a": "y"}, "twice"),
        ({"a": "x", "a/b": "y"}, "also the folder"),
    ],
)
def test_names_that_cannot_be_kept_are_refused(put: Put, files: dict[str, str], words: str) -> None:
    with pytest.raises(FilesRefused, match=words) as caught:
        put(files)
    assert caught.value.message.isprintable()


def test_cleaning_a_path_twice_changes_nothing() -> None:
    assert clean_path(clean_path("./a//e\u0301")) == clean_path("./a//e\u0301") == "a/é"


def test_a_tree_comes_out_as_read_only_hard_links(put: Put, store: Store, tmp_path: Path) -> None:
    tree = put({"model/a.pkl": "A", "model/deep/er/b": "B"})
    target = store.materialise(tree, tmp_path / "out" / "v1")
    assert below(target) == {"model/a.pkl": "A", "model/deep/er/b": "B"}
    assert stat.S_IMODE((target / "model/a.pkl").stat().st_mode) == 0o444
    assert {stat.S_IMODE(path.stat().st_mode) for path in [target, *target.rglob("*")] if path.is_dir()} == {0o755}
    assert (target / "model/a.pkl").stat().st_nlink == 2
    inode = target.stat().st_ino
    assert store.materialise(tree, target).stat().st_ino == inode, "the second time is no work"
    assert os.listdir(target.parent) == ["v1"]


def test_across_devices_files_are_copied(
    put: Put, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_device(source: object, target: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_device)
    target = store.materialise(put({"a": "A"}), tmp_path / "out")
    assert below(target) == {"a": "A"}
    assert stat.S_IMODE((target / "a").stat().st_mode) == 0o444


@pytest.mark.parametrize("harm", ["missing", "shorter", "extra", "writable", "a file"])
def test_what_is_not_complete_is_put_right(put: Put, store: Store, tmp_path: Path, harm: str) -> None:
    tree = put({"m/a": "A", "m/b": "BB"})
    target = store.materialise(tree, tmp_path / "out")
    if harm in {"missing", "shorter"}:
        (target / "m/a").unlink()
    if harm == "shorter":
        (target / "m/a").touch()
    if harm == "extra":
        (target / "m/c").touch()
    if harm == "writable":
        (target / "m/b").unlink()
        (target / "m/b").write_text("XX")
    if harm == "a file":
        target.rename(tmp_path / "former")
        target.write_text("in the way")
    assert below(store.materialise(tree, target)) == {"m/a": "A", "m/b": "BB"}


def test_a_tree_whose_content_is_gone_says_so_and_leaves_nothing(put: Put, store: Store, tmp_path: Path) -> None:
    tree = put({"a": "A", "b": "B"})
    store.blobs.path(tree.manifest[0].sha256).unlink()
    with pytest.raises(ContentMissing, match="'a'"):
        store.materialise(tree, tmp_path / "out" / "v1")
    with pytest.raises(ContentMissing, match="'a'"):
        store.verify(tree)
    assert os.listdir(tmp_path / "out") == []


def test_damage_is_found_and_healed_by_storing_again(put: Put, store: Store) -> None:
    tree = put({"a": "AAA"})
    store.verify(tree)
    blob = store.blobs.path(tree.manifest[0].sha256)
    blob.unlink()
    blob.write_text("AAB")
    with pytest.raises(ContentMissing, match="does not have the content"):
        store.verify(tree)
    blob.write_text("AA")
    assert put({"a": "AAA"}) == tree
    store.verify(tree)


def test_many_at_once_put_and_bring_out_the_same(store: Store, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        trees = pool.map(_put_and_bring, [tmp_path] * 6)
    assert len(set(trees)) == 1
    assert below(tmp_path / "out") == {"m/a": "A" * 1000, "m/b": "B"}


def _put_and_bring(home: Path) -> str:
    store = Store(home)
    tree = store.put_tree([("m/a", io.BytesIO(b"A" * 1000)), ("m/b", io.BytesIO(b"B"))])
    store.materialise(tree, home / "out")
    return tree.hash


def test_two_threads_replacing_the_same_wreck_both_succeed(put: Put, store: Store, tmp_path: Path) -> None:
    tree = put({f"m/{number}": str(number) for number in range(20)})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "wreck").touch()
    threads = [threading.Thread(target=store.materialise, args=(tree, tmp_path / "out")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(below(tmp_path / "out")) == 20


def test_a_writer_killed_midway_leaves_nothing_referenced(store: Store, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom workspaces.store.trees import Store\n"
        "Store(pathlib.Path(sys.argv[1])).put_tree([('m/a', sys.stdin.buffer)])"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert writer.stdin
    writer.stdin.write(bytes(3 * CHUNK_BYTES))
    writer.stdin.flush()
    incoming = store.root / "incoming"
    deadline = time.monotonic() + 60
    while not (incoming.is_dir() and os.listdir(incoming)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    writer.send_signal(signal.SIGKILL)
    writer.wait(60)
    writer.stdin.close()
    (left,) = incoming.iterdir()
    assert not (store.root / "blobs").exists()
    assert not (store.root / "trees").exists()
    store.collect_garbage([], older_than_seconds=0)
    assert left.exists(), "it might still be written"
    set_age(left, INCOMING_LASTS_SECONDS + 60)
    store.collect_garbage([], older_than_seconds=0)
    assert not left.exists()


def test_garbage_is_old_and_in_no_living_tree(put: Put, store: Store) -> None:
    live, dead = put({"a": "A", "both": "x"}), put({"b": "B", "both": "x"})
    assert store.collect_garbage([live.hash], older_than_seconds=3600).tree_hashes == ()
    for path in store.root.rglob("*"):
        set_age(path, 7200)
    put({"young": "Y"})
    collected = store.collect_garbage([live.hash], older_than_seconds=3600)
    assert collected.tree_hashes == (dead.hash,)
    assert (collected.blob_count, collected.freed_bytes) == (1, 1)
    store.verify(live)
    with pytest.raises(ContentMissing):
        store.tree(dead.hash)


def test_what_is_put_again_is_young_again(put: Put, store: Store) -> None:
    put({"a": "A"})
    for path in store.root.rglob("*"):
        set_age(path, 7200)
    tree = put({"a": "A"})
    assert store.collect_garbage([], older_than_seconds=3600).blob_count == 0
    store.verify(tree)
