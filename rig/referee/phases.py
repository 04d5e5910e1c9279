# SPDX-License-Identifier: GPL-2.0-only
"""When what happened: one model of an update's times, taken on the host's clock.

The guest's events are stamped when they arrive; what the kernels do in between
is known from the lines on their console, which a thread looks at every 2 ms.
"""

import threading
import time

# Name, where it begins, where it ends. "console:TEXT" is the first such line
# after the phase before; "qemu:STEP" is the line of continuo-qemu about that step; "NAME.begin"
# and ".end" are the guest's own phases.
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

# Those of a VM that continuo-qemu carries over.
VM_PHASES = (
    ("preserve", "qemu:preserve", "qemu:preserved"),
    ("suspend", "qemu:suspend", "qemu:suspended"),
    ("freeze", "qemu:suspended", "console:Starting new kernel"),
    ("jump", "console:Starting new kernel", "console:Linux version"),
    ("kernel boot", "console:Linux version", "console:Run /init as init process"),
    ("user space", "console:Run /init as init process", "qemu:take"),
    ("retrieve", "qemu:take", "qemu:retrieved"),
    ("rebuild", "qemu:retrieved", "qemu:rebuilt"),
    ("wire", "qemu:rebuilt", "qemu:wired"),
    # What is left of the new QEMU's own start, which began when the session had been retrieved.
    ("start", "qemu:wired", "qemu:given"),
    ("give", "qemu:given", "qemu:accepted"),
    ("run", "qemu:accepted", "qemu:running"),
    ("finish", "qemu:running", "qemu:finished"),
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


def says(line, mark):
    """Is this the line of the console that a mark means?"""
    kind, _, text = mark.partition(":")
    if kind == "console":
        return text in line
    # continuo-qemu NAME SECONDS STEP ...
    words = line.split()
    return len(words) >= 4 and words[0] == "continuo-qemu" and words[3] == text


def spans(events, lines, since=0, resumed=None, table=PHASES, begin=0):
    """[(phase, begin ns, end ns)] of the update whose events start at `since`, and whose lines
    on the console come after `begin`."""
    marks = {}
    for e in events[since:]:
        if resumed is not None and e["host_ns"] > resumed:
            break
        key = f"{e['name']}.{e['edge']}" if e["ev"] == "phase" else e["ev"]
        marks.setdefault(key, e["host_ns"])
    out, at = [], marks.get("jump", begin)
    for name, first, last in table:
        ends = []
        for mark in (first, last):
            if mark.startswith(("console:", "qemu:")):
                found = next((t for t, line in lines if t >= at and says(line, mark)), None)
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
