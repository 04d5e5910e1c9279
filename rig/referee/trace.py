# SPDX-License-Identifier: GPL-2.0-only
"""
A line of QEMU's trace log: when, which event, and its values.

QEMU 11 begins a line with an ISO time, QEMU 10 with its process and seconds. Both are
the host's wall clock, in microseconds here. The ISO time of a whole second has no fraction.
"""

import calendar
import functools
import re

_LINE = re.compile(r"^(?:(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d)(?:\.(\d{6}))?Z |(?:\d+@)?(\d+)\.(\d{6}):)(\w+) (.*)$")


@functools.lru_cache(16)
def _minute(text):
    """Seconds since 1970 of 2026-11-25T20:56."""
    return calendar.timegm((int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16]), 0))


def parse(line):
    """(time in us, event, its values as text), or None if it is no trace line."""
    found = _LINE.match(line)
    if not found:
        return None
    minute, second, micro, seconds, micro_10, event, values = found.groups()
    if minute:
        return (_minute(minute) + int(second)) * 1_000_000 + int(micro or 0), event, values
    return int(seconds) * 1_000_000 + int(micro_10), event, values
