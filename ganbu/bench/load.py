"""Many people at once (并发): the server of an installation under the users of `locustfile.py`."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from ganbu.bench.installation import WHO, opened
from ganbu.errors import MisuseError

PASSWORD = f"{WHO} {WHO} {WHO}"
FILE = Path(__file__).with_name("locustfile.py")


def load_bench(folder: Path, people: int, users: int, seconds: int) -> dict[str, Any]:
    """Requests per second, and by page the median and p95 of the milliseconds that users waited. Raises MisuseError.

    They sign in one a second, and are counted once all of them have.
    """
    try:
        import locust
    except ImportError as error:
        raise MisuseError("并发测试要用 locust：pip install 'ganbu[load]'") from error
    assert locust.__version__
    found = opened(folder, people)
    told = folder / "bench-load.json"
    told.write_text(json.dumps(_told(users)), "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {
        **os.environ,
        "GANBU_HOME": str(folder),
        "GANBU_SECOND_FACTOR": "no",
    }
    asked = [sys.executable, "-m", "ganbu.cli", "serve", "--port", port]
    server = subprocess.Popen(asked, env=environment, stdout=subprocess.DEVNULL)  # it says its address
    place = f"http://127.0.0.1:{port}"
    try:
        _wait(place)
        done = subprocess.run(
            [
                sys.executable, "-m", "locust", "-f", str(FILE), "--host", place, "--headless", "-u", str(users),
                "-r", "1", "-t", f"{users + seconds}s", "--reset-stats", "--json", "--loglevel", "ERROR", "--csv", str(folder / "bench-load"),
            ],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        server.terminate()
        server.wait(30)
        told.unlink()
    pages = json.loads(done.stdout[done.stdout.index("[") :])
    requests = sum(page["num_requests"] for page in pages)
    found |= {"users": users, "seconds": seconds, "requests_per_s": round(requests / seconds, 1), "failures": sum(page["num_failures"] for page in pages)}  # fmt: skip
    kept = sorted(folder.glob("bench-load_*.csv"))
    for file in kept:
        if file.stem.endswith("_failures"):
            with file.open(encoding="utf-8") as lines:
                found["errors"] = [
                    f"{row['Name']} {row['Error']} × {row['Occurrences']}" for row in csv.DictReader(lines)
                ]
        file.unlink()
    for page in sorted(pages, key=lambda page: str(page["name"])):
        found[f"{page['method']} {page['name']}"] = _times(page["response_times"])
    return found


def _times(told: dict[str, int]) -> dict[str, Any]:
    times = sorted((float(ms), count) for ms, count in told.items())
    total = sum(count for _ms, count in times)

    def at(share: float) -> float:
        left = share * total
        for ms, count in times:
            left -= count
            if left <= 0:
                return ms
        return times[-1][0] if times else 0.0

    return {
        "requests": total,
        "median_ms": at(0.5),
        "p95_ms": at(0.95),
        "most_ms": times[-1][0] if times else 0,
    }


def _told(users: int) -> dict[str, Any]:
    """Accounts for everybody, and addresses to look at."""
    from django.urls import reverse

    from ganbu.access.current import acting
    from ganbu.access.models import Account
    from ganbu.access.services import create_account, grant
    from ganbu.records.models import MODELS, Card, UnitNode

    names = [f"{WHO}{at}" for at in range(users)]
    with acting(name=WHO):
        for name in set(names) - set(Account.objects.filter(username__in=names).values_list("username", flat=True)):  # fmt: skip
            grant(create_account(name, name, PASSWORD, must_change=False), "cadre_section")
    cards = list(Card.objects.exclude(node=None).order_by("pinyin")[:4000:13])
    teams = MODELS["team"].objects.filter(superseded_at__isnull=True)[:200]  # type: ignore[attr-defined]
    return {
        "accounts": names,
        "password": PASSWORD,
        "names": sorted({card.pinyin[:4] for card in cards}),
        "people": [reverse("person", args=[card.pk]) for card in cards],
        "units": [
            reverse("unit", args=[node.unit]) for node in UnitNode.objects.order_by("-people_under")[:200]
        ],
        "teams": [reverse("team", args=[row.f_team_id]) for row in teams],
    }


def _wait(place: str) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{place}/login/", timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(place)
