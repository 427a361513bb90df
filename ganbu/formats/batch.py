"""Batches of 任免审批表 files (批量文件): a file, a folder with zips in it, or a zip; a broken one stops no other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ganbu.errors import FormatError
from ganbu.formats.form import PHOTO_LABEL, AppointmentForm
from ganbu.formats.generic_zip import is_generic
from ganbu.formats.issues import Issue
from ganbu.formats.lrm import read_lrm
from ganbu.formats.lrmx import read_lrmx
from ganbu.formats.zips import MAX_ENTRY, open_archive

FORMS, PHOTOS, ARCHIVE = (".lrmx", ".lrm"), (".pic", ".jpg", ".jpeg"), ".zip"
Item = tuple[str, AppointmentForm | None, list[Issue]]
# What operating systems leave in folders and archives; nobody put it there.
_LEFTOVERS = frozenset({".ds_store", "thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True)
class _Entry:
    """One file of a batch: its name, and how to read it."""

    name: str
    read: Callable[[], bytes]


def read_batch(path: Path) -> Iterator[Item]:
    """The forms of a file, folder or zip (读取批量): name, form or None, issues.

    Zips in a folder are read too, as `名单.zip/李芳.lrmx`, but for those of the generic form, which hold none. A file of another kind gives no form and the issue
    `file.ignored`; one that cannot be read, `file.unreadable`. Raises FormatError when `path` itself cannot be
    taken: not there, or an archive that is broken, encrypted, too large, or would escape.
    """
    if not path.exists():
        raise FormatError(f"{path}：没有这个文件")
    if path.is_dir():
        yield from _folder(path)
    elif path.suffix.lower() == ARCHIVE:
        yield from _zip(path, path.name, "")
    else:
        beside = [f for f in path.parent.iterdir() if f.stem == path.stem and _suffix(f.name) in PHOTOS]
        yield from _forms([_file(path, path.name)], [_file(photo, photo.name) for photo in beside])


def _folder(path: Path) -> Iterator[Item]:
    found = [f for f in sorted(path.rglob("*")) if f.is_file() and not f.is_symlink()]
    named = [(_shown(f.relative_to(path)), f) for f in found]
    files = [_file(f, name) for name, f in named if _suffix(name) != ARCHIVE]
    yield from _forms(files, files)
    for name, archive in named:
        if _suffix(name) != ARCHIVE or _is_leftover(name):
            continue
        try:
            yield from _zip(archive, name, f"{name}/")
        except FormatError as error:
            yield _unreadable(name, str(error))


def _shown(path: Path) -> str:
    """A name fit for messages: one unpacked in GBK on Linux is not UTF-8."""
    name = str(path)
    return name if name.isascii() or _is_text(name) else os.fsencode(name).decode("gb18030", "replace")


def _is_text(name: str) -> bool:
    return not any("\ud800" <= mark <= "\udfff" for mark in name)


def _file(path: Path, name: str) -> _Entry:
    def read() -> bytes:
        try:
            if path.stat().st_size > MAX_ENTRY:
                raise FormatError(f"{name}：超过 {MAX_ENTRY // 1024 // 1024} MB")
            return path.read_bytes()
        except OSError as error:
            raise FormatError(f"{name}：无法读取，请检查文件是否还在、有没有读取权限") from error

    return _Entry(name, read)


def _zip(path: Path, name: str, inside: str) -> Iterator[Item]:
    if is_generic(path):
        return  # read by `generic.py`
    with open_archive(path, name) as archive:
        for damaged in archive.damaged:
            shown = damaged.replace("\0", "\\0")
            yield _unreadable(
                inside + shown, f"{name}：有一个文件的名称“{shown}”已损坏，没有读取，请重新打包"
            )
        entries = [
            _Entry(inside + entry, lambda entry=entry, info=info: archive.read(entry, info))  # type: ignore[misc]
            for entry, info in archive.entries
        ]
        yield from _forms(entries, entries)


def _forms(entries: Iterable[_Entry], beside: Iterable[_Entry]) -> Iterator[Item]:
    """The forms among `entries`, each `.lrm` with its photo from `beside`; every other file with a remark."""
    photos = {_stem(e.name): e for e in beside if _suffix(e.name) in PHOTOS}
    entries = [entry for entry in entries if not _is_leftover(entry.name)]
    wanted = {_stem(entry.name) for entry in entries if _suffix(entry.name) == ".lrm"}
    for entry in entries:
        suffix = _suffix(entry.name)
        if suffix in FORMS:
            yield _form(entry, photos.get(_stem(entry.name)))
        elif suffix not in PHOTOS:
            yield _ignored(entry.name, "不是任免审批表（lrmx、lrm 或它们的 zip），没有读取")
        elif _stem(entry.name) not in wanted:
            yield _ignored(entry.name, "照片没有同名的 lrm 文件，没有读取")


def _form(entry: _Entry, photo: _Entry | None) -> Item:
    try:
        content = entry.read()
        if _suffix(entry.name) == ".lrmx":
            form = read_lrmx(content, entry.name)
        else:
            portrait, issues = _portrait(photo)
            form = read_lrm(content, entry.name, portrait)
            form.issues += issues
    except FormatError as error:
        return _unreadable(entry.name, str(error))
    return entry.name, form, list(form.issues)


def _portrait(photo: _Entry | None) -> tuple[bytes | None, list[Issue]]:
    """The photo's bytes; one that cannot be read is no reason to lose the form."""
    if photo is None:
        return None, []
    try:
        return photo.read(), []
    except FormatError as error:
        return None, [Issue(photo.name, PHOTO_LABEL, "photo.unreadable", str(error), severity="error")]


def _unreadable(name: str, message: str) -> Item:
    return name, None, [Issue(name, "", "file.unreadable", message, severity="error")]


def _ignored(name: str, message: str) -> Item:
    return name, None, [Issue(name, "", "file.ignored", f"{name}：{message}")]


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))


def _suffix(name: str) -> str:
    return _path(name).suffix.lower()


def _stem(name: str) -> str:
    path = _path(name)
    return str(path.with_suffix("")).lower() if path.name else name


def _is_leftover(name: str) -> bool:
    return any(part.lower() in _LEFTOVERS or part.startswith("~$") for part in _path(name).parts)
