from datetime import date

import pytest

from ganbu.synthetic import build_district

DAY = date(2026, 6, 30)


@pytest.fixture(scope="session")
def district():
    return build_district(1200)


@pytest.fixture(scope="session")
def large_district():
    return build_district(5000)
