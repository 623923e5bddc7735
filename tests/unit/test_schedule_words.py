"""Schedules in plain words."""

from datetime import timedelta

import pytest
from celery.schedules import BaseSchedule, crontab, schedule

from tasks.beat.words import in_words


class AtSunrise(BaseSchedule):
    """A schedule of somebody's own."""

    def __repr__(self) -> str:
        return "at sunrise"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (30, "every 30 seconds"),
        (1, "every second"),
        (0.5, "every 0.5 seconds"),
        (90, "every 90 seconds"),
        (60, "every minute"),
        (900, "every 15 minutes"),
        (3_600, "every hour"),
        (86_400, "every day"),
        (7 * 86_400, "every 7 days"),
    ],
)
def test_an_interval_is_told_in_its_largest_whole_unit(seconds: float, words: str) -> None:
    assert in_words(schedule(timedelta(seconds=seconds))) == words


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (crontab(), "every minute"),
        (crontab(minute="*/15"), "every 15 minutes"),
        (crontab(minute="0"), "every hour"),
        (crontab(minute="0", hour="*/6"), "at 00:00, 06:00, 12:00 and 18:00 every day"),
        (crontab(minute="0", hour="*/2"), "every 2 hours"),
        (crontab(minute="5"), "at minute 05 of every hour"),
        (crontab(minute="5,35"), "at minute 05 and 35 of every hour"),
        (crontab(minute="*/10", hour="9-17"), "every 10 minutes of the hours 09-17"),
        (crontab(minute="0", hour="2"), "at 02:00 every day"),
        (crontab(minute="30", hour="2,14"), "at 02:30 and 14:30 every day"),
        (crontab(minute="0", hour="2", day_of_week="mon-fri"), "at 02:00 from Monday to Friday"),
        (crontab(minute="0", hour="2", day_of_week="sun,6"), "at 02:00 on Saturdays and Sundays"),
        (crontab(minute="0", hour="2", day_of_month="1"), "at 02:00 on day 1 of the month"),
        (
            crontab(minute="0", hour="2", day_of_month="1-7,15", month_of_year="1,7"),
            "at 02:00 on day 1-7 and 15 of the month, in January and July",
        ),
        (crontab(minute="*/15", day_of_week="1"), "every 15 minutes on Mondays"),
        (
            crontab(minute="1-7", hour="0"),
            "at minute 01, 02, 03, 04, 05, 06 and 07 of the hour 00",
        ),
    ],
)
def test_a_crontab_is_told_as_a_person_would(when: crontab, words: str) -> None:
    assert in_words(when) == words


def test_what_has_no_words_is_told_as_python_does() -> None:
    assert in_words(AtSunrise()) == "at sunrise"
