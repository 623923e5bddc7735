"""A schedule of Celery's in plain words: `every 30 seconds`, `at 02:00 every day`."""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from celery.schedules import crontab, schedule

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
WORKING_DAYS = {1, 2, 3, 4, 5}

MOST_TIMES = 6
"""Times of day that are listed one by one; more than that are told as hours and minutes."""

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def in_words(when: object) -> str:
    """Return the schedule of an entry as a person would say it; what is unknown as Python does."""
    if isinstance(when, crontab):
        return _crontab(when)
    if isinstance(when, schedule):
        return _interval(when.run_every)  # type: ignore[attr-defined] # not in the stubs
    return str(when)


def _interval(every: timedelta) -> str:
    seconds = every.total_seconds()
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            return _every(int(seconds // size), unit)
    return f"every {seconds:g} seconds"


def _crontab(when: Any) -> str:  # noqa: ANN401 (the stubs lack the parsed fields)
    parts = (_time(when.hour, when.minute), _day(when))
    return " ".join(part for part in parts if part)


def _time(hours: Collection[int], minutes: Collection[int]) -> str:
    if len(hours) * len(minutes) <= MOST_TIMES:
        times = [f"{hour:02}:{minute:02}" for hour in sorted(hours) for minute in sorted(minutes)]
        return f"at {_list(times)}"
    every_hour, every_minute = _step(hours, 24), _step(minutes, 60)
    if every_hour == 1 and every_minute:
        return _every(every_minute, "minute")
    if every_hour and set(minutes) == {0}:
        return _every(every_hour, "hour")
    minute = (
        _every(every_minute, "minute")
        if every_minute
        else f"at minute {_list([f'{minute:02}' for minute in sorted(minutes)])}"
    )
    if every_hour:
        return f"{minute} of {_every(every_hour, 'hour')}"
    hour = "hour" if len(hours) == 1 else "hours"
    return f"{minute} of the {hour} {_list(_ranges(hours, lambda hour: f'{hour:02}'))}"


def _day(when: Any) -> str:  # noqa: ANN401 (likewise)
    weekdays, days, months = set(when.day_of_week), when.day_of_month, set(when.month_of_year)
    parts = []
    if len(weekdays) < len(DAYS):
        is_working = weekdays == WORKING_DAYS
        named = _list([f"{DAYS[day]}s" for day in sorted(weekdays, key=lambda day: day or 7)])
        parts.append("from Monday to Friday" if is_working else f"on {named}")
    if len(days) < 31:
        parts.append(f"on day {_list(_ranges(days, str))} of the month")
    if len(months) < 12:
        parts.append(f"in {_list([MONTHS[month - 1] for month in sorted(months)])}")
    if parts:
        return ", ".join(parts)
    is_often = len(when.hour) * len(when.minute) > MOST_TIMES
    return "" if is_often else "every day"


def _step(values: Collection[int], size: int) -> int | None:
    """Return n if the values are every n-th from 0 on; None if they are not."""
    ordered = sorted(values)
    if len(ordered) < 2 or size % ordered[1] != 0:
        return None
    step = ordered[1]
    return step if ordered == list(range(0, size, step)) else None


def _ranges(values: Collection[int], text: Callable[[int], str]) -> list[str]:
    """Return values as text, three or more in a row as `1-5`."""
    found: list[list[int]] = []
    for value in sorted(values):
        if found and found[-1][-1] == value - 1:
            found[-1].append(value)
        else:
            found.append([value])
    return [
        part
        for row in found
        for part in ([f"{text(row[0])}-{text(row[-1])}"] if len(row) > 2 else map(text, row))
    ]


def _every(count: int, unit: str) -> str:
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def _list(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
