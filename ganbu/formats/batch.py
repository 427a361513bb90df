"""Batches of 任免审批表 files (批量文件): one file, a folder, or a zip; one broken file does not stop the others."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ganbu.errors import FormatError
from ganbu.formats.form import AppointmentForm
from ganbu.formats.issues import Issue
from ganbu.formats.lrm import read_lrm
from ganbu.formats.lrmx import read_lrmx

FORMS, PHOTOS = (".lrmx", ".lrm"), (".pic", ".jpg", ".jpeg")
MAX_ENTRIES, MAX_ENTRY, MAX_TOTAL, MAX_RATIO = 20_000, 20 * 1024 * 1024, 2 * 1024 * 1024 * 1024, 200
Item = tuple[str, AppointmentForm | None, list[Issue]]


@dataclass(frozen=True)
class _Entry:
    """One file of a batch: its name, and how to read it."""

    name: str
    source: Path | zipfile.ZipInfo


def read_batch(path: Path) -> Iterator[Item]:
    """The forms of a file, folder or zip (读取批量): name, form or None, issues.

    Raises FormatError when the whole cannot be taken: an archive that is broken, encrypted, too large, or would escape.
    """
    if not path.exists():
        raise FormatError(f"{path}：没有这个文件")
    if path.is_dir():
        files = [
            _Entry(str(f.relative_to(path)), f)
            for f in sorted(path.rglob("*"))
            if f.is_file() and not f.is_symlink()
        ]
        yield from _forms(files, lambda entry: _file(entry))
    elif path.suffix.lower() == ".zip":
        yield from _zip(path)
    else:
        beside = [f for f in path.parent.iterdir() if f.stem == path.stem and f.suffix.lower() in PHOTOS]
        yield from _forms(
            [_Entry(path.name, path), *(_Entry(f.name, f) for f in beside)], lambda entry: _file(entry)
        )


def _file(entry: _Entry) -> bytes:
    assert isinstance(entry.source, Path)
    if entry.source.stat().st_size > MAX_ENTRY:
        raise FormatError(f"{entry.name}：超过 {MAX_ENTRY // 1024 // 1024} MB")
    return entry.source.read_bytes()


def _forms(entries: list[_Entry], read: Callable[[_Entry], bytes]) -> Iterator[Item]:
    photos = {
        str(PurePosixPath(e.name.replace("\\", "/")).with_suffix("")).lower(): e
        for e in entries
        if _suffix(e.name) in PHOTOS
    }
    for entry in entries:
        suffix = _suffix(entry.name)
        if suffix not in FORMS:
            continue
        try:
            content = read(entry)
            if suffix == ".lrmx":
                form = read_lrmx(content, entry.name)
            else:
                beside = photos.get(str(PurePosixPath(entry.name.replace("\\", "/")).with_suffix("")).lower())
                form = read_lrm(content, entry.name, read(beside) if beside else None)
            yield entry.name, form, list(form.issues)
        except FormatError as error:
            yield entry.name, None, [Issue(entry.name, "", "file.unreadable", str(error), severity="error")]


def _suffix(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).suffix.lower()


def _zip(path: Path) -> Iterator[Item]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise FormatError(f"{path.name}：不是完好的 zip 文件：{error}") from error
    with archive:
        entries = [_Entry(entry_name(info), info) for info in archive.infolist() if not info.is_dir()]
        _refuse(path.name, entries)

        def read(entry: _Entry) -> bytes:
            assert isinstance(entry.source, zipfile.ZipInfo)
            try:
                with archive.open(entry.source) as stream:
                    # The header may lie about the size: never read more than the limit.
                    content = stream.read(MAX_ENTRY + 1)
            except (zipfile.BadZipFile, RuntimeError, OSError, NotImplementedError, EOFError) as error:
                raise FormatError(f"{entry.name}：解压失败：{error}") from error
            if len(content) > MAX_ENTRY:
                raise FormatError(f"{entry.name}：解压后超过 {MAX_ENTRY // 1024 // 1024} MB")
            return content

        yield from _forms(entries, read)


def entry_name(info: zipfile.ZipInfo) -> str:
    """The name of a zip entry (压缩包内文件名): UTF-8 when flagged, else tried as UTF-8, then GB18030."""
    if info.flag_bits & 0x800:
        return info.filename
    raw = info.filename.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return info.filename


def _refuse(archive: str, entries: list[_Entry]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise FormatError(f"{archive}：有 {len(entries)} 个文件，超过上限 {MAX_ENTRIES}")
    total = 0
    for entry in entries:
        info = entry.source
        assert isinstance(info, zipfile.ZipInfo)
        parts = PurePosixPath(entry.name.replace("\\", "/")).parts
        if ".." in parts or entry.name.startswith(("/", "\\")) or ":" in parts[0]:
            raise FormatError(f"{archive}：文件名“{entry.name}”指向压缩包之外，拒绝读取")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise FormatError(f"{archive}：“{entry.name}”是链接，拒绝读取")
        if info.flag_bits & 0x1:
            raise FormatError(f"{archive}：“{entry.name}”已加密，请先解密")
        if _suffix(entry.name) == ".zip":
            raise FormatError(f"{archive}：里面还有压缩包“{entry.name}”，请先解开")
        total += info.file_size
        if info.file_size > MAX_ENTRY or total > MAX_TOTAL:
            raise FormatError(f"{archive}：解压后过大（“{entry.name}”）")
        if info.file_size > 1024 * 1024 and info.file_size > MAX_RATIO * max(1, info.compress_size):
            raise FormatError(
                f"{archive}：“{entry.name}”压缩比异常（{info.file_size // max(1, info.compress_size)} 倍），可能是压缩炸弹"
            )
