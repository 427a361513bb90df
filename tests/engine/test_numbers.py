"""Every number the engine computes is compared with exact fractions."""

from fractions import Fraction

import duckdb
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ganbu.engine import numbers
from ganbu.engine.numbers import Sql

small = st.fractions(min_value=-1000, max_value=1000, max_denominator=60)
connection = duckdb.connect(":memory:")


def value_of(sql: Sql) -> Fraction | None:
    top, bottom = connection.execute(f"SELECT {sql.text}, {sql.den or '1'}").fetchone()
    return None if top is None or bottom is None else Fraction(int(top), 10**sql.scale) / int(bottom)


@settings(max_examples=60, deadline=None)
@given(small, small)
def test_sums_products_and_quotients_are_exact(one, two):
    a, b = numbers.constant(one), numbers.constant(two)
    assert value_of(numbers.plus(a, b, "+")) == one + two
    assert value_of(numbers.plus(a, b, "-")) == one - two
    assert value_of(numbers.product(a, b)) == one * two
    assume(two != 0)
    column = Sql(f"CAST({b.text} AS BIGINT)", True, b.scale, b.digits, b.den, b.den_digits)
    assert value_of(numbers.quotient(a, column)) == one / two


def test_division_by_zero_is_not_known():
    assert value_of(numbers.quotient(numbers.constant(Fraction(1)), Sql("CAST(0 AS BIGINT)"))) is None


@settings(max_examples=60, deadline=None)
@given(small, small, st.sampled_from(["=", "<", "<=", ">", ">="]))
def test_comparisons_multiply_across(one, two, sign):
    wanted = {"=": one == two, "<": one < two, "<=": one <= two, ">": one > two, ">=": one >= two}[sign]
    found = connection.execute(
        f"SELECT {numbers.comparison(numbers.constant(one), sign, numbers.constant(two)).text}"
    ).fetchone()[0]
    assert found is wanted


def rounded(x: Fraction, digits: int, mode: str) -> Fraction:
    scaled = abs(x) * 10**digits
    whole, rest = divmod(scaled, 1)
    up = {
        "half_up": rest >= Fraction(1, 2), "half_even": rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1), "down": False,
        "up": rest > 0, "floor": x < 0 and rest > 0, "ceil": x > 0 and rest > 0,
    }[mode]  # fmt: skip
    return Fraction(int(whole + up) * (1 if x >= 0 else -1), 10**digits)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(small, st.integers(-2000, 2000).map(lambda n: Fraction(n, 8))),
    st.integers(0, 4),
    st.sampled_from(["half_up", "half_even", "down", "up", "floor", "ceil"]),
)
def test_rounding_is_exact_in_every_mode(x, digits, mode):
    assert value_of(numbers.rounded(numbers.constant(x), digits, mode)) == rounded(x, digits, mode)


def test_90_975_rounds_half_up_to_90_98():
    assert value_of(numbers.rounded(numbers.constant(Fraction("90.975")), 2, "half_up")) == Fraction("90.98")


def test_a_third_of_sixty_is_twenty():
    assert value_of(numbers.product(numbers.constant(Fraction(1, 3)), numbers.constant(Fraction(60)))) == 20


@settings(max_examples=60, deadline=None)
@given(
    st.fractions(min_value=0, max_value=10**6, max_denominator=10**6),
    st.fractions(min_value=0, max_value=10**6, max_denominator=10**6),
)
def test_sort_keys_order_as_the_values_do(one, two):
    keys = [
        connection.execute(
            f"SELECT {numbers.sort_key(Sql(str(x.numerator), True, 0, 12, str(x.denominator), 6))}"
        ).fetchone()[0]
        for x in (one, two)
    ]
    assert (keys[0] < keys[1]) == (one < two) and (keys[0] == keys[1]) == (one == two)
