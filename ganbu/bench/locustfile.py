"""What people of a department do all day (日常使用): the users of a load test, for locust."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
from pathlib import Path
from typing import Any

from locust import HttpUser, between, task

TOLD: dict[str, Any] = json.loads(
    (Path(os.environ.get("GANBU_HOME", "ganbu-data")) / "bench-load.json").read_text("utf-8")
)
accounts = itertools.cycle(TOLD["accounts"])


class Clerk(HttpUser):
    """Somebody of the section: looks for people, opens them, their units and teams, asks, now and then corrects."""

    wait_time = between(1, 3)

    def on_start(self) -> None:
        """Sign in with an account of one's own."""
        username = next(accounts)
        page = self.client.get("/login/", name="login").text
        self.client.post("/login/", {"username": username, "password": TOLD["password"], "csrfmiddlewaretoken": _token(page)}, name="login")  # fmt: skip

    @task(6)
    def find(self) -> None:
        """By the first letters of a name."""
        self.client.get("/people/", params={"q": random.choice(TOLD["names"])}, name="search")

    @task(3)
    def people(self) -> None:
        """The list."""
        self.client.get("/people/", params={"page": random.randint(1, 40)}, name="people")

    @task(6)
    def person(self) -> None:
        """Somebody, and a register of theirs."""
        place = random.choice(TOLD["people"])
        self.client.get(place, name="person")
        self.client.get(place, params={"tab": "appointment"}, name="person tab")

    @task(3)
    def unit(self) -> None:
        """A unit."""
        self.client.get(random.choice(TOLD["units"]), name="unit")

    @task(3)
    def team(self) -> None:
        """A team."""
        self.client.get(random.choice(TOLD["teams"]), name="team")

    @task(2)
    def findings(self) -> None:
        """What the rules say."""
        self.client.get("/findings/", params={"page": random.randint(1, 20)}, name="findings")

    @task(1)
    def query(self) -> None:
        """People by a condition."""
        self.client.get("/query/", params={"condition": f"性别 = '女' and 年龄 <= {random.randint(30, 50)}"}, name="query")  # fmt: skip

    @task(1)
    def write(self) -> None:
        """An award is entered."""
        place = random.choice(TOLD["people"]) + "edit/award/"
        page = self.client.get(place, name="form").text
        told = {"name": "年度先进", "date": f"20{random.randint(10, 25)}-05-01", "reason": "load", "csrfmiddlewaretoken": _token(page)}  # fmt: skip
        with self.client.post(place, told, name="write", catch_response=True, allow_redirects=False) as answer:  # fmt: skip
            if answer.status_code == 302:
                answer.success()
            else:
                answer.failure(str(answer.status_code))


def _token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    return found.group(1) if found else ""
