"""Secrets on disk (密钥文件): made when first needed, readable by the owner only, never in the database."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ganbu.errors import MisuseError


def secret_text(path: Path) -> str:
    """The text of a secret file, made if it is not there. Raises MisuseError when it cannot be read."""
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(48))
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise MisuseError(f"{path}：密钥文件无法读取：{error.strerror}") from error


def write_secret(path: Path, text: str, fresh: bool = False) -> None:
    """Write a secret whole or not at all, readable by the owner only; a `fresh` one only where none is.

    Raises MisuseError, and FileExistsError for a fresh one that is there already.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if fresh:
            try:
                os.link(part, path)
            finally:
                part.unlink()
        else:
            part.replace(path)
    except FileExistsError:
        raise
    except OSError as error:
        raise MisuseError(f"{path}：密钥文件无法写入：{error.strerror}") from error
