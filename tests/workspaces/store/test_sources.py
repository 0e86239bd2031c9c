from __future__ import annotations

import io
import stat
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces.store.errors import FilesRefused
from workspaces.store.sources import ZipLimits, from_folder, from_zip
from workspaces.store.trees import Store


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> io.BytesIO:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, content in entries:
            writer.writestr(name, content, zipfile.ZIP_DEFLATED)
    return archive


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def paths(store: Store, archive: io.BytesIO, limits: ZipLimits | None = None) -> list[str]:
    return [file.path for file in store.put_tree(from_zip(archive, limits=limits or ZipLimits())).manifest]


def test_a_zip_keeps_its_folders_and_leaves_macos_entries_out(store: Store) -> None:
    archive = zipped(
        ("model/MLmodel", b"a"), ("model/data/x.bin", b"b"), ("__MACOSX/._x", b""), ("model/.DS_Store", b"")
    )
    assert paths(store, archive) == ["model/MLmodel", "model/data/x.bin"]


def test_a_folder_keeps_its_name_or_not(store: Store, tmp_path: Path) -> None:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "a").write_text("A")
    (tmp_path / "model" / "sub" / "b").write_text("B")
    named = store.put_tree(from_folder(tmp_path / "model"))
    assert [file.path for file in named.manifest] == ["model/a", "model/sub/b"]
    plain = store.put_tree(from_folder(tmp_path / "model", keep_name=False))
    assert [file.path for file in plain.manifest] == ["a", "sub/b"]


@pytest.mark.parametrize("name", ["file", "folder"])
def test_links_in_a_folder_are_refused(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / name).symlink_to("/etc/passwd" if name == "file" else "/etc")
    with pytest.raises(FilesRefused, match="symbolic link") as caught:
        store.put_tree(from_folder(tmp_path / "model"))
    assert caught.value.entry == f"model/{name}"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (("../evil", b"x"), "leads out"),
        (("/etc/passwd", b"x"), "absolute"),
        (("a\\..\\b", b"x"), "backslash"),
        ((link("shadow"), b"/etc/shadow"), "link or device"),
    ],
)
def test_entries_that_lead_elsewhere_are_refused_before_anything_is_stored(
    store: Store, entry: tuple[str | zipfile.ZipInfo, bytes], words: str
) -> None:
    with pytest.raises(FilesRefused, match=words):
        paths(store, zipped(("fine", b"1"), entry))
    assert not (store.root / "blobs").exists()


def test_a_name_cut_by_a_zero_byte_is_refused(store: Store) -> None:
    content = zipped(("model.pkl_.txt", b"x")).getvalue().replace(b"pkl_", b"pkl\0")
    with pytest.raises(FilesRefused, match="control"):
        paths(store, io.BytesIO(content))


def test_a_bomb_is_refused_while_it_unpacks(store: Store) -> None:
    with pytest.raises(FilesRefused, match="times its packed size") as caught:
        paths(store, zipped(("zeros", bytes(40_000_000))))
    assert caught.value.entry == "zeros"


def test_the_limits_count_what_comes_out(store: Store) -> None:
    archive = zipped(("a", b"x" * 600), ("b", b"y" * 600))
    with pytest.raises(FilesRefused, match="more than 1,000 bytes"):
        paths(store, archive, ZipLimits(total_bytes=1000))
    with pytest.raises(FilesRefused, match="at most 1 can"):
        paths(store, archive, ZipLimits(file_count=1))


def test_a_zip_of_nothing_and_a_file_that_is_no_zip_are_refused(store: Store) -> None:
    with pytest.raises(FilesRefused, match="no files"):
        paths(store, zipped())
    with pytest.raises(FilesRefused, match="not a zip"):
        paths(store, io.BytesIO(b"a pickle"))


def test_a_damaged_entry_is_named(store: Store) -> None:
    archive = zipped(("first", b"1"), ("second", bytes(range(256)) * 40))
    content = bytearray(archive.getvalue())
    content[content.index(b"second") + 20] ^= 0xFF
    with pytest.raises(FilesRefused, match="damaged") as caught:
        paths(store, io.BytesIO(bytes(content)))
    assert caught.value.entry == "second"


def test_names_in_utf8_without_the_mark_are_read_as_such(store: Store) -> None:
    content = zipped(("m\u00f6del", b"x")).getvalue()
    flag = (0x800).to_bytes(2, "little")
    assert content.count(flag) >= 2
    unmarked = content.replace(b"\x14\x00\x00\x08", b"\x14\x00\x00\x00")
    assert unmarked != content
    assert paths(store, io.BytesIO(unmarked)) == ["m\u00f6del"]


@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_raise_anything_but_files_refused(noise: bytes, at: int) -> None:
    content = zipped(("a/b", b"some content"), ("c", b"more")).getvalue()
    broken = io.BytesIO(content[:at] + noise + content[at + len(noise) :])
    with suppress(FilesRefused):
        for _, stream in from_zip(broken):
            while stream.read(100):
                pass
