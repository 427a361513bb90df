"""Encrypting single fields (字段加密): AES-256-GCM, keys in a file outside the database, each value bound to its place.

A sealed value is `<key>:<base64 of nonce and ciphertext>`; what it belongs to (register, field, row) is authenticated
with it, so that a value moved to another row does not open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ganbu.access.secrets import write_secret
from ganbu.errors import GanbuError

FILE = "field-keys.json"


class SealError(GanbuError):
    """A sealed value does not open (密文无法解开): the key is missing, or the value was changed or moved."""


class Keys:
    """The field keys (字段密钥): one is used for new values, all of them open old ones."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        if not self.path.exists():
            raise SealError(f"没有密钥文件 {self.path}：请从备份放回；新的安装先运行 ganbu migrate")
        self._read()

    @staticmethod
    def begin(folder: Path) -> None:
        """Make the first keys, unless there are some; of two processes that begin at once, one makes them."""
        path = folder / FILE
        if path.exists():
            return
        try:
            write_secret(path, json.dumps({"current": "1", "keys": {"1": _fresh()}, "marks": _fresh()}, indent=2) + "\n", fresh=True)  # fmt: skip
        except FileExistsError:
            return

    def _read(self) -> None:
        self.state = json.loads(self.path.read_text("utf-8"))
        self.ciphers = {name: AESGCM(base64.b64decode(key)) for name, key in self.state["keys"].items()}
        self.current = str(self.state["current"])
        self._marks = base64.b64decode(self.state["marks"])

    def _save(self, state: dict[str, object]) -> None:
        write_secret(self.path, json.dumps(state, indent=2) + "\n")

    def seal(self, text: str, place: str) -> str:
        """Encrypt a text that belongs to `place`."""
        nonce = os.urandom(12)
        sealed = self.ciphers[self.current].encrypt(nonce, text.encode(), place.encode())
        return f"{self.current}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """Decrypt. Raises SealError."""
        name, _, body = sealed.partition(":")
        if name not in self.ciphers:
            self._read()  # another process has begun a new key since
        cipher = self.ciphers.get(name)
        if cipher is None:
            raise SealError(f"{place}：没有第 {name} 号字段密钥，请检查密钥文件夹")
        raw = base64.b64decode(body)
        try:
            return cipher.decrypt(raw[:12], raw[12:], place.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SealError(f"{place}：密文无法解开，可能被改动或移动过") from error

    def mark(self, text: str) -> str:
        """A keyed fingerprint, to find a value without opening any (盲索引)."""
        return hmac.new(self._marks, text.encode(), hashlib.sha256).hexdigest()[:32]

    def rotate(self) -> str:
        """Begin a new key for what is sealed from now on; returns its name."""
        name = str(max(int(key) for key in self.state["keys"]) + 1)
        self.state["keys"][name] = _fresh()
        self.state["current"] = name
        self._save(self.state)
        _keys.cache_clear()
        return name


def _fresh() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


@lru_cache(maxsize=4)
def _keys(folder: Path) -> Keys:
    return Keys(folder)


def keys() -> Keys:
    """The keys of this installation. Raises SealError when they are not there."""
    from django.conf import settings

    return _keys(settings.KEYS)
