# SPDX-License-Identifier: GPL-2.0-only
"""When what happened: one model of an update's times, taken on the host's clock.

The guest's events are stamped when they arrive; what the kernels do in between
is known from the lines on their console, which a thread looks at every 2 ms.
"""

import threading
import time

# Name, where it begins, where it ends. "console:TEXT" is the first such line
# after the phase before; "NAME.begin" and ".end" are the guest's own phases.
PHASES = (
    ("load", "load.begin", "load.end"),
    ("preserve", "preserve.begin", "preserve.end"),
    ("freeze", "jump", "console:Starting new kernel"),
    ("jump", "console:Starting new kernel", "console:Linux version"),
    ("kernel boot", "console:Linux version", "console:Run /init as init process"),
    ("user space", "console:Run /init as init process", "retrieve.begin"),
    ("retrieve", "retrieve.begin", "retrieve.end"),
    ("rebuild", "rebuild.begin", "rebuild.end"),
    ("verify", "verify.begin", "verify.end"),
    ("replace", "replace.begin", "replace.end"),
    ("finish", "finish.begin", "finish.end"),
)


class ConsoleClock:
    """Notes when each line of a console log was written (host's monotonic ns)."""

    def __init__(self, path):
        self.lines = []
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self):
        rest = b""
        with open(self._path, "rb") as f:
            while not self._over.is_set():
                new = f.read()
                if not new:
                    time.sleep(0.002)
                    continue
                now = time.monotonic_ns()
                *whole, rest = (rest + new).split(b"\n")
                self.lines += [(now, line.decode(errors="replace")) for line in whole]

    def stop(self):
        self._over.set()
        self._thread.join()


def spans(events, lines, since=0, resumed=None):
    """[(phase, begin ns, end ns)] of the update whose events start at `since`."""
    marks = {}
    for e in events[since:]:
        if resumed is not None and e["host_ns"] > resumed:
            break
        key = f"{e['name']}.{e['edge']}" if e["ev"] == "phase" else e["ev"]
        marks.setdefault(key, e["host_ns"])
    out, at = [], marks.get("jump", 0)
    for name, begin, end in PHASES:
        ends = []
        for mark in (begin, end):
            if mark.startswith("console:"):
                found = next((t for t, line in lines if t >= at and mark[8:] in line), None)
                if found is not None:
                    at = found
                ends.append(found)
            else:
                ends.append(marks.get(mark))
        if None not in ends:
            out.append((name, ends[0], max(ends)))
    return out


def phases_ms(spans_ns):
    return {name.replace(" ", "_"): round((end - begin) / 1e6, 1) for name, begin, end in spans_ns}
