"""The values that a filter compares with: numbers with units, dates to any precision, digits of a hash."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta

_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([a-z]*)", re.IGNORECASE)
_BYTES = {"": 1.0, "b": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_BYTES |= {f"{unit}b": factor for unit, factor in _BYTES.items() if unit and unit != "b"}
_BYTES |= {f"{unit}ib": 1024.0**power for power, unit in enumerate("kmgt", 1)}
_PIXELS = {"": 1.0, "px": 1.0}
_UNITS = {
    "size": _BYTES,
    "width": _PIXELS,
    "height": _PIXELS,
    "megapixels": {"": 1.0, "mp": 1.0},
    "altitude": {"": 1.0, "m": 1.0, "km": 1e3},
    "degrees": {"": 1.0},
    "radius": {"m": 1.0, "km": 1e3, "mi": 1609.344},
}
_DATE = "a date such as 2023, 2023-05, 2023-05-14, 2023-05-14T18:30, today, yesterday or today-30d"
WANTED = {
    "date": _DATE,
    "added": _DATE,
    "size": "a number of bytes such as 500kB, 2MB or 1GiB",
    "width": "a number of pixels such as 1920",
    "height": "a number of pixels such as 1080",
    "megapixels": "a number of megapixels such as 12",
    "altitude": "a number of metres such as 1500 or 1.5km",
    "degrees": "a number of degrees such as 52.52",
    "radius": "a radius with its unit such as 800m, 5km or 3mi",
}
"""What is said to be expected where a value cannot be read."""
_PRECISE = 2.0**53

_CALENDAR = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_RELATIVE = re.compile(r"today(?:-(\d{1,5})([dwmy]))?|yesterday", re.ASCII | re.IGNORECASE)


def amount(field: str, text: str) -> float:
    """A number in the unit that the catalog has. Raises ValueError, which says what is wanted."""
    found = _NUMBER.fullmatch(text)
    factor = _UNITS[field].get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise ValueError(f"expected {WANTED[field]}")
    value = float(found[1]) * factor
    if not math.isfinite(value) or abs(value) > _PRECISE:
        raise ValueError(f"the number is too large; expected {WANTED[field]}")
    return value


def period(text: str, *, today: date) -> tuple[str, str]:
    """The stretch of time that a date names, as the bounds of a `Moment`: 2023 is the whole year.

    Raises ValueError, which says what is wanted.
    """
    relative = _RELATIVE.fullmatch(text)
    if relative is not None:
        return _day(_back(today, text.lower(), relative))
    found = _CALENDAR.fullmatch(text)
    if found is None:
        raise ValueError(f"expected {_DATE}")
    if found[7] is not None:
        raise ValueError("dates are those of the clock where the picture was taken; leave off the time zone")
    try:
        return _period([int(part) for part in found.groups()[:6] if part is not None])
    except (ValueError, OverflowError) as error:
        raise ValueError(f"no calendar has this date; expected {_DATE}") from error


def _period(parts: list[int]) -> tuple[str, str]:
    match parts:
        case [year]:
            return _bound(datetime(year, 1, 1)), _bound(datetime(year + 1, 1, 1))
        case [year, month]:
            return _bound(datetime(year, month, 1)), _bound(_next_month(year, month))
        case [year, month, day]:
            return _day(date(year, month, day))
    start = datetime(*parts)  # type: ignore[arg-type]
    return _bound(start), _bound(start + timedelta(minutes=1) if len(parts) == 5 else start + _SECOND)


_SECOND = timedelta(seconds=1)


def _next_month(year: int, month: int) -> datetime:
    return datetime(year + month // 12, month % 12 + 1, 1)


def _day(day: date) -> tuple[str, str]:
    return day.isoformat(), (day + timedelta(days=1)).isoformat()


def _bound(moment: datetime) -> str:
    """To the day where it is midnight, since a picture that is dated to the day counts as of its midnight."""
    at_midnight = (moment.hour, moment.minute, moment.second) == (0, 0, 0)
    return moment.date().isoformat() if at_midnight else moment.isoformat(timespec="seconds")


def _back(today: date, text: str, found: re.Match[str]) -> date:
    count = int(found[1] or 0)
    try:
        if text == "yesterday":
            return today - timedelta(days=1)
        if found[2] is None or found[2].lower() in "dw":
            return today - timedelta(days=count * (7 if found[2] in ("w", "W") else 1))
        return _months_back(today, count * (12 if found[2].lower() == "y" else 1))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"no calendar reaches back that far; expected {_DATE}") from error


def _months_back(day: date, count: int) -> date:
    """The same day of an earlier month, or the last one that the month has."""
    year, month = divmod(day.year * 12 + day.month - 1 - count, 12)
    last = (_next_month(year, month + 1) - timedelta(days=1)).day
    return date(year, month + 1, min(day.day, last))
