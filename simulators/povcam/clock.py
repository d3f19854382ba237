"""The recorder's clock: the machine's time, moved by what was set, in the recorder's own zone and season.

It keeps UTC; setting the date sets what the recorder shows (its local time). NTP puts it right when it is switched on,
and after that once per interval: a date set by hand meanwhile lasts until then.
"""

from __future__ import annotations

import calendar
import time
from datetime import UTC, datetime, timedelta

from simulators.povcam.settings import Settings

HOUR = timedelta(hours=1)
ZONES = (
    *("-11:00", "-10:00", "-09:00", "-08:00", "-07:00", "-06:00", "-05:00", "-04:30", "-04:00", "-03:30", "-03:00"),
    *("-02:00", "-01:00", "+00:00", "+01:00", "+02:00", "+03:00", "+03:30", "+04:00", "+04:30", "+05:00", "+05:30"),
    *("+05:45", "+06:00", "+06:30", "+07:00", "+08:00", "+09:00", "+09:30", "+10:00", "+11:00", "+12:00", "+12:45"),
)
"""What `timezone` 1 to 33 stand for."""


class RunningClock:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._skew = timedelta()
        self._set_at = time.monotonic()

    def utc(self) -> datetime:
        ntp = self._settings.ntp
        if ntp.time_adjust == "1" and time.monotonic() - self._set_at >= int(ntp.ntp_interval) * 3600:
            self.synchronise()
        return datetime.now(UTC).replace(tzinfo=None) + self._skew

    def local(self) -> datetime:
        standard = self.utc() + self._zone()
        return standard + HOUR if self._summer_at(standard) else standard

    def ago(self, seconds: float) -> datetime:
        """What was shown then; a negative number is in the future."""
        return self.local() - timedelta(seconds=seconds)

    @property
    def is_summer(self) -> bool:
        return self._summer_at(self.utc() + self._zone())

    def set_local(self, wall: datetime) -> None:
        standard = wall - HOUR if self._summer_at(wall - HOUR) else wall
        self.skew(standard - self._zone() - datetime.now(UTC).replace(tzinfo=None))

    def skew(self, skew: timedelta) -> None:
        """Go wrong by so much."""
        self._skew, self._set_at = skew, time.monotonic()

    def synchronise(self) -> None:
        self.skew(timedelta())

    def _zone(self) -> timedelta:
        zone = ZONES[int(self._settings.clock.timezone) - 1]
        minutes = int(zone[1:3]) * 60 + int(zone[4:])
        return timedelta(minutes=-minutes if zone[0] == "-" else minutes)

    def _summer_at(self, standard: datetime) -> bool:
        """Whether it is summer at a moment told in standard time."""
        clock = self._settings.clock
        if clock.summer_time != "2":
            return clock.summer_time == "1"
        start = turn(standard.year, clock.start_month, clock.start_week, clock.start_dotw, clock.start_hour)
        end = turn(standard.year, clock.end_month, clock.end_week, clock.end_dotw, clock.end_hour) - HOUR
        if start <= end:
            return start <= standard < end
        return not end <= standard < start  # the south: summer spans the new year


def turn(year: int, month: str, week: str, day_of_the_week: str, hour: str) -> datetime:
    """The moment of e.g. the last (5) Sunday (0) of March at one o'clock."""
    first = datetime(year, int(month), 1)
    day = 1 + (int(day_of_the_week) - first.isoweekday()) % 7 + 7 * (int(week) - 1)
    if day > calendar.monthrange(year, int(month))[1]:
        day -= 7
    return datetime(year, int(month), day, int(hour))
