"""The time zone of this machine, with its daylight saving time."""

import calendar
import contextlib
import time
from datetime import datetime, timedelta, tzinfo


class LocalZone(tzinfo):
    """The local time zone: the offset depends on the date, unlike that of `datetime.astimezone()`."""

    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(seconds=self._local(when).tm_gmtoff)

    def dst(self, when: datetime | None) -> timedelta:
        return timedelta(hours=self._local(when).tm_isdst > 0)

    def tzname(self, when: datetime | None) -> str:
        return self._local(when).tm_zone

    def fromutc(self, when: datetime) -> datetime:
        seconds = calendar.timegm(_fields(when))
        local = time.localtime(seconds)
        fold = time.localtime(seconds - 3600)[:6] == local[:6]
        return datetime(*local[:5], min(local.tm_sec, 59), when.microsecond, tzinfo=self, fold=fold)

    def _local(self, when: datetime | None) -> time.struct_time:
        if when is None:
            return time.localtime()
        local = time.localtime(0)
        for daylight in (not when.fold, -1):  # an hour that occurs twice is first in daylight saving time
            with contextlib.suppress(OverflowError, ValueError):
                local = time.localtime(time.mktime((*_fields(when), 0, 0, daylight)))
            if local[:6] == _fields(when):
                break
        return local


def _fields(when: datetime) -> tuple[int, int, int, int, int, int]:
    return when.year, when.month, when.day, when.hour, when.minute, when.second
