"""Exact numbers in SQL (精确数): whole numbers with a scale known beforehand, and a denominator where one is needed.

A number is `text / 10**scale / den`. Nothing here becomes a floating-point number; ratios are compared by
cross-multiplication and rounded only by `rounded`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

NARROW, SMALL = 18, 9


@dataclass(frozen=True)
class Sql:
    """An SQL expression; for numbers the scale, a bound on its digits, and the denominator."""

    text: str
    nullable: bool = True
    scale: int = 0
    digits: int = 9
    den: str = ""
    den_digits: int = 0

    @property
    def missing(self) -> str:
        """The condition that the value is not known."""
        if not self.nullable:
            return "FALSE"
        if self.den and not self.den.isdigit():
            return f"({self.text} IS NULL OR {self.den} IS NULL)"
        return f"({self.text} IS NULL)"


def constant(value: Fraction) -> Sql:
    """A literal, decimal where it has a finite decimal form, else with a denominator."""
    for scale in range(0, 16):
        scaled = value * 10**scale
        if scaled.denominator == 1:
            return Sql(str(scaled.numerator), False, scale, len(str(abs(scaled.numerator))))
    return Sql(
        str(value.numerator),
        False,
        0,
        len(str(abs(value.numerator))),
        str(value.denominator),
        len(str(value.denominator)),
    )


def wide(text: str, digits: int) -> str:
    """The text, computed in 128 bits where 64 may not do; beyond 128 bits DuckDB refuses, it never wraps."""
    if digits > NARROW:
        return f"CAST({text} AS HUGEINT)"
    return f"CAST({text} AS BIGINT)" if digits > SMALL and text.startswith("(CASE") else text


def literal(text: str) -> bool:
    """Whether the text is a whole number."""
    return text.lstrip("-").isdigit()


def times(one: str, two: str, digits: int) -> str:
    """The product of two whole-number expressions."""
    if literal(one) and literal(two):
        return str(int(one) * int(two))
    if one == "1":
        return two
    if two == "1":
        return one
    return f"({wide(one, digits)} * {two})"


def at_scale(value: Sql, scale: int) -> Sql:
    """The same number with a larger scale."""
    if scale == value.scale:
        return value
    digits = value.digits + scale - value.scale
    return replace(
        value, text=times(value.text, str(10 ** (scale - value.scale)), digits), scale=scale, digits=digits
    )


def aligned(one: Sql, two: Sql) -> tuple[Sql, Sql]:
    """Both numbers with one scale and one denominator."""
    scale = max(one.scale, two.scale)
    one, two = at_scale(one, scale), at_scale(two, scale)
    if one.den == two.den:
        return one, two
    left, right = one.den or "1", two.den or "1"
    den_digits = one.den_digits + two.den_digits
    den = (
        times(left, right, den_digits) if left != "1" and right != "1" else (left if right == "1" else right)
    )
    new_one = replace(
        one,
        text=times(one.text, right, one.digits + two.den_digits),
        digits=one.digits + two.den_digits,
        den=den,
        den_digits=den_digits,
    )
    new_two = replace(
        two,
        text=times(two.text, left, two.digits + one.den_digits),
        digits=two.digits + one.den_digits,
        den=den,
        den_digits=den_digits,
    )
    return new_one, new_two


def plus(one: Sql, two: Sql, sign: str) -> Sql:
    """Sum or difference."""
    one, two = aligned(one, two)
    digits = max(one.digits, two.digits) + 1
    if literal(one.text) and literal(two.text):
        text = str(int(one.text) + (int(two.text) if sign == "+" else -int(two.text)))
    elif two.text == "0":
        text = one.text
    else:
        text = f"({wide(one.text, digits)} {sign} {two.text})"
    return replace(one, text=text, digits=digits, nullable=one.nullable or two.nullable)


def product(one: Sql, two: Sql) -> Sql:
    """Product."""
    digits = one.digits + two.digits
    den = times(one.den or "1", two.den or "1", one.den_digits + two.den_digits)
    return Sql(
        times(one.text, two.text, digits), one.nullable or two.nullable, one.scale + two.scale, digits,
        "" if den == "1" else den, one.den_digits + two.den_digits,
    )  # fmt: skip


def quotient(one: Sql, two: Sql) -> Sql:
    """Quotient; division by zero is not known."""
    if literal(two.text) and (not two.den or literal(two.den)):
        value = Fraction(int(two.text), 10**two.scale) / (int(two.den) if two.den else 1)
        return product(one, constant(1 / value))
    # a/10^s/d : b/10^t/e = (a * 10^t * e) / (b * 10^s * d), with the sign moved to the numerator
    top = times(one.text, str(10**two.scale), one.digits + two.scale)
    top = times(top, two.den or "1", one.digits + two.scale + two.den_digits)
    bottom = times(two.text, one.den or "1", two.digits + one.den_digits)
    digits = one.digits + two.scale + two.den_digits
    return Sql(
        f"({top} * {_sign(two.text)})",
        True,
        one.scale,
        digits,
        f"NULLIF(abs({bottom}), 0)",
        two.digits + one.den_digits,
    )


def _sign(text: str) -> str:
    """-1, 0 or 1, wide enough to go on computing with: DuckDB gives eight bits."""
    return f"CAST(sign({text}) AS BIGINT)"


def comparison(one: Sql, sign: str, two: Sql) -> Sql:
    """A comparison, exact: ratios by cross-multiplication."""
    one, two = aligned(one, two)
    digits = max(one.digits, two.digits)
    text = f"({wide(one.text, digits)} {sign} {two.text})"
    if one.den and not literal(one.den):
        # Equal denominators cancel out, but one that is not known leaves the whole not known.
        text = f"CASE WHEN {one.den} IS NULL THEN NULL ELSE {text} END"
    return Sql(text, one.nullable or two.nullable)


def rounded(value: Sql, digits: int, mode: str) -> Sql:
    """The number rounded to `digits` decimals: half_up (away from zero), half_even, down, up, floor, ceil."""
    power = digits - value.scale
    if not value.den and power >= 0:
        return value
    top = times(value.text, str(10**power), value.digits + power) if power > 0 else value.text
    bottom = value.den or "1"
    if power < 0:
        bottom = times(bottom, str(10**-power), value.den_digits - power)
    size = value.digits + max(power, 0) + 2
    top, bottom = wide(top, size), wide(bottom, size)
    absolute, sign = f"abs({top})", _sign(top)
    whole = f"({absolute} // {bottom})"
    rest = f"({absolute} % {bottom})"
    match mode:
        case "half_up":
            text = f"({sign} * ((2 * {absolute} + {bottom}) // (2 * {bottom})))"
        case "down":
            text = f"({sign} * {whole})"
        case "up":
            text = f"({sign} * ({whole} + CASE WHEN {rest} > 0 THEN 1 ELSE 0 END))"
        case "floor":
            text = f"({sign} * ({whole} + CASE WHEN {top} < 0 AND {rest} > 0 THEN 1 ELSE 0 END))"
        case "ceil":
            text = f"({sign} * ({whole} + CASE WHEN {top} > 0 AND {rest} > 0 THEN 1 ELSE 0 END))"
        case _:
            up = f"2 * {rest} > {bottom} OR (2 * {rest} = {bottom} AND {whole} % 2 = 1)"
            text = f"({sign} * ({whole} + CASE WHEN {up} THEN 1 ELSE 0 END))"
    result = max(value.digits + power + (0 if value.den else 1), 1)
    if result <= NARROW and size > NARROW:
        text = f"CAST({text} AS BIGINT)"
    return Sql(text, value.nullable, digits, min(max(result, 2), NARROW))


def sort_key(value: Sql) -> str:
    """A whole number that sorts as the exact value does (equal values stay equal)."""
    if not value.den:
        return value.text
    return f"(CAST({value.text} AS HUGEINT) * {10 ** max(0, min(18, 36 - value.digits))} // {value.den})"


def digits_of(value: Fraction | None, scale: int) -> int | None:
    """An exact value as a whole number of `10**-scale`, rounded half-up (away from zero)."""
    if value is None:
        return None
    top, bottom = abs(value.numerator) * 10**scale, value.denominator
    whole: int = (2 * top + bottom) // (2 * bottom)
    return -whole if value < 0 else whole
