# SPDX-License-Identifier: GPL-2.0-only
"""
The tables of docs/states.md: what is answered to each event in each state of a
preserved device, and which cases try it.

A table whose first heading is "event" has a column for each state. A cell is an
answer, "ok", "no effect", an errno or words, and then the letters of the cases that
try it, in brackets: "EBUSY [a]". The letters are in the list "- a: `CASE`".
"""

import errno
import os
import re
from dataclasses import dataclass

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "states.md")

_CELL = re.compile(r"^(?P<answer>.*?)(?: \[(?P<letters>[a-zA-Z]+)\])?$")
_CASE = re.compile(r"^- ([a-zA-Z]): `([a-z0-9-]+)`", re.M)


@dataclass
class Cell:
    text: str               # as it is in the table, without the letters
    letters: str            # cases that try it

    @property
    def answer(self):
        """As an ioctl or a write gives it."""
        return "ok" if self.text in ("ok", "no effect") else self.text

    @property
    def seen_otherwise(self):
        """The case that tries it judges by more than one errno."""
        return self.answer != "ok" and not hasattr(errno, self.answer)


def read():
    with open(PATH, encoding="utf-8") as f:
        return f.read()


def cells(text=None):
    """{(event, state): Cell} without those that cannot happen ("–")."""
    out, columns = {}, None
    for line in (text or read()).splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        row = [part.strip() for part in line.strip().strip("|").split("|")]
        if columns is None:
            columns = row[1:] if row[0] == "event" else []
            continue
        if set(line) <= set("|- :"):
            continue
        for state, cell in zip(columns, row[1:]):
            if cell == "–":
                continue
            found = _CELL.match(cell)
            key = row[0].strip("*"), state
            if key in out:
                raise ValueError(f"docs/states.md has '{key[0]}' in state '{state}' twice")
            out[key] = Cell(found["answer"], found["letters"] or "")
    return out


def cases(text=None):
    """{letter: case}"""
    return dict(_CASE.findall(text or read()))
