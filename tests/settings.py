"""Settings of the tests: an installation of its own in a temporary folder, on SQLite or what DATABASE_URL names."""

import os
import tempfile

os.environ["GANBU_HOME"] = tempfile.mkdtemp(prefix="ganbu-test-")
os.environ.setdefault("GANBU_SECOND_FACTOR", "no")

from ganbu.settings import *  # noqa: F403
from ganbu.settings import DATABASES, HOME

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher"
]  # so that a thousand log-ins take no time
if "sqlite" in str(DATABASES["default"]["ENGINE"]):
    # A file, as in use: the snapshot reads it by a connection of its own.
    DATABASES["default"]["TEST"] = {"NAME": str(HOME / f"test-{os.getpid()}.sqlite3")}
