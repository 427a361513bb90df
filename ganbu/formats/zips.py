"""Zip archives from anywhere (压缩包): entries with their real names, and nothing that could hurt the reader.

What spoils one entry is that entry's error; what makes the whole dangerous (a bomb, a path out of the archive,
a link, encryption) is refused before anything is read.
"""

from __future__ import annotations

import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ganbu.errors import FormatError

MAX_ENTRIES, MAX_ENTRY, MAX_TOTAL = 20_000, 20 * 1024 * 1024, 2 * 1024 * 1024 * 1024
MAX_RATIO = 200
# Below these sizes a high ratio is only a nearly empty form.
FREE_ENTRY, FREE_TOTAL = 64 * 1024, 1024 * 1024

# Everything zipfile and its decompressors have been seen to raise on damaged bytes.
DAMAGE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, RuntimeError, OSError, EOFError,
    ValueError, IndexError, KeyError, OverflowError, TypeError, AttributeError, MemoryError,
)  # fmt: skip
_CENTRAL, _END, _UTF8_NAME, _NEWEST = b"PK\x01\x02", b"PK\x05\x06", 0x800, 63
_MOST_MENDED = 256 * 1024 * 1024


class Archive:
    """One open zip (压缩包): `entries` are its files as (name, entry), `damaged` the names no file can have."""

    def __init__(self, name: str, size: int, archive: zipfile.ZipFile, largest: int = MAX_ENTRY) -> None:
        self.name, self._archive, self._largest = name, archive, largest
        self._left = min(MAX_TOTAL, max(FREE_TOTAL, MAX_RATIO * size))
        named = [(entry_name(info), info) for info in archive.infolist()]
        self.damaged = [name for name, _ in named if not _is_name(name)]
        self.entries = [(name, info) for name, info in named if _is_name(name) and not _is_folder(name, info)]
        self._refuse()

    def read(self, name: str, info: zipfile.ZipInfo) -> bytes:
        """An entry's content (解压). Raises FormatError naming archive and entry."""
        try:
            with self._archive.open(info) as stream:
                # The header may lie about the size: never read more than the limit.
                content = stream.read(min(self._largest, self._left) + 1)
        except DAMAGE as error:
            raise FormatError(
                f"{self.name}：“{name}”解压失败（{_why(error)}），请重新打包后再导入"
            ) from error
        if len(content) > self._largest:
            raise FormatError(f"{self.name}：“{name}”解压后超过 {self._largest // 1024 // 1024} MB")
        self._left -= len(content)
        if self._left < 0:
            raise FormatError(f"{self.name}：读到“{name}”时，解压出的内容已超过上限，可能是压缩炸弹")
        return content

    def _refuse(self) -> None:
        if len(self.entries) > MAX_ENTRIES:
            raise FormatError(f"{self.name}：有 {len(self.entries)} 个文件，超过上限 {MAX_ENTRIES}")
        total = packed = 0
        for name, info in self.entries:
            if ".." in _parts(name) or name.startswith(("/", "\\")) or ":" in _parts(name)[0]:
                raise FormatError(f"{self.name}：文件名“{name}”指向压缩包之外，拒绝读取")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise FormatError(f"{self.name}：“{name}”是链接，拒绝读取")
            if info.flag_bits & 0x1:
                raise FormatError(f"{self.name}：“{name}”已加密，请先解密")
            if name.lower().endswith(".zip"):
                raise FormatError(f"{self.name}：里面还有压缩包“{name}”，请先解开")
            total, packed = total + info.file_size, packed + info.compress_size
            if info.file_size > self._largest or total > MAX_TOTAL:
                raise FormatError(f"{self.name}：解压后过大（“{name}”）")
            if info.file_size > FREE_ENTRY:
                self._check_ratio(f"“{name}”", info.file_size, info.compress_size)
        if total > FREE_TOTAL:
            self._check_ratio("全部文件", total, packed)

    def _check_ratio(self, what: str, size: int, packed: int) -> None:
        if size > MAX_RATIO * max(1, packed):
            ratio = size // max(1, packed)
            raise FormatError(f"{self.name}：{what}压缩比异常（{ratio} 倍），可能是压缩炸弹，拒绝读取")


@contextmanager
def open_archive(path: Path, name: str, largest: int = MAX_ENTRY) -> Iterator[Archive]:
    """Open a zip (打开压缩包); `name` is what messages call it, `largest` the most bytes one file may have.

    Raises FormatError when it cannot be taken.
    """
    try:
        size = path.stat().st_size
        archive = _opened(path, size)
    except DAMAGE as error:
        raise FormatError(f"{name}：不是完好的 zip 文件（{_why(error)}），请重新打包") from error
    with archive:
        yield Archive(name, size, archive, largest)


def _opened(path: Path, size: int) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (UnicodeDecodeError, NotImplementedError):
        if size > _MOST_MENDED:
            raise
        return zipfile.ZipFile(io.BytesIO(_mended(path.read_bytes())))


def _mended(content: bytes) -> bytes:
    """The archive with directory entries that zipfile would give the whole archive up for made readable.

    A name flagged as UTF-8 that is not loses the flag; a version from the future becomes 2.0, and the checksum
    then tells whether the entry could be read.
    """
    mended = bytearray(content)
    end = content.rfind(_END)
    if end < 0 or end + 22 > len(content):
        return content
    size, offset = struct.unpack_from("<II", content, end + 12)
    start = at = end - size
    while 0 <= at <= end - 46 and content[at : at + 4] == _CENTRAL:
        version, flags = struct.unpack_from("<HH", content, at + 6)
        name_size, extra, comment = struct.unpack_from("<HHH", content, at + 28)
        (local,) = struct.unpack_from("<I", content, at + 42)
        local += start - offset
        if version > _NEWEST:
            struct.pack_into("<H", mended, at + 6, 20)
        if flags & _UTF8_NAME and not _is_utf8(content[at + 46 : at + 46 + name_size]):
            struct.pack_into("<H", mended, at + 8, flags & ~_UTF8_NAME)
            if 0 <= local <= len(content) - 30:
                (local_flags,) = struct.unpack_from("<H", content, local + 6)
                struct.pack_into("<H", mended, local + 6, local_flags & ~_UTF8_NAME)
        at += 46 + name_size + extra + comment
    return bytes(mended)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def entry_name(info: zipfile.ZipInfo) -> str:
    """The name of a zip entry (压缩包内文件名): UTF-8 when flagged, else tried as UTF-8, then GB18030."""
    if info.flag_bits & _UTF8_NAME:
        return info.orig_filename
    raw = info.orig_filename.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return info.orig_filename


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _is_name(name: str) -> bool:
    return bool(_parts(name)) and "\0" not in name


def _is_folder(name: str, info: zipfile.ZipInfo) -> bool:
    return name.endswith(("/", "\\")) or (bool(info.external_attr & 0x10) and not info.file_size)


def _why(error: BaseException) -> str:
    """The reason in Chinese; zipfile and zlib speak English to programmers."""
    if isinstance(error, NotImplementedError):
        return "用了不支持的压缩方式"
    if isinstance(error, FileNotFoundError):
        return "没有这个文件"
    if isinstance(error, PermissionError):
        return "没有读取权限"
    return "内容已损坏"
