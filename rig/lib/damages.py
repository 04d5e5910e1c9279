# SPDX-License-Identifier: GPL-2.0-only
"""
The table of tests/damages/damages, which says how it is written.
"""

import os
import re
from dataclasses import dataclass

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/damages/damages")
OUTCOMES = ("kept", "fresh", "stuck", "any")

# What differs from run to run. {meant} is the address of the device that is meant.
LINE_TOKENS = {"{n}": r"\d+", "{unit}": r"\S+", "{pa}": "0x[0-9a-f]+", "{bdf}": "[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}[.][0-7]",
               "{slot}": "[0-9a-f]{2}:[0-9a-f]{2}"}


@dataclass(frozen=True)
class Damage:
    name: str
    edits: str                  # with the device before them, of liveupdate.corrupt=
    group: str                  # the case that tries it
    meant: str                  # what becomes of the device that is meant
    other: str                  # and of the one that is not
    says: str = ""              # the line of the log, all of it; see LINE_TOKENS
    mode: str = ""              # only in that one
    target: str = ""            # only if that device is meant; audio is behind a bridge
    faults: bool = False        # the hardware may refuse the device's requests
    same: str = ""              # breaks the same rule as that one
    expect: tuple = ()          # what the checks say natively
    machine: str = ""           # why they do not say what the log does

    def line(self, meant):
        """What matches that line, if the device with the address MEANT is meant."""
        out = re.escape(self.says).replace(re.escape("{meant}"), re.escape(meant))
        for token, pattern in LINE_TOKENS.items():
            out = out.replace(re.escape(token), pattern)
        return re.compile(out)


class Wrong(Exception):
    pass


def _word(of):
    def take(now, text):
        if text not in of:
            raise Wrong(f"'{text}' is none of {', '.join(of)}")
        return text
    return take


def _then(now, text):
    meant, other = text.split()
    if not {meant, other} <= set(OUTCOMES):
        raise Wrong(f"'{text}' are no outcomes")
    return meant, other


FIELDS = {"mode": _word(("legacy", "scalable", "amd", "smmuv3")), "target": _word(("nic", "audio")), "then": _then,
          "faults": lambda now, text: True, "same": lambda now, text: text, "log": lambda now, text: text,
          "expect": lambda now, text: (*now, text), "machine": lambda now, text: text}


def _damage(head, group, then, fields):
    name, edits = head.split()
    fields = {"says" if word == "log" else word: value for word, value in fields.items()}
    meant, other = fields.pop("then", then)
    return Damage(name, edits, group, meant, other, **fields)


def read(path=TABLE):
    """All damages, in the order of the table."""
    damages, head, fields, group, then = [], None, {}, None, None

    def end():
        if head:
            damages.append(_damage(head, group, then, fields))

    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            word, _, rest = text.partition(" ")
            try:
                if line.startswith("\t"):
                    if word not in FIELDS:
                        raise Wrong(f"unknown word '{word}'")
                    fields[word] = FIELDS[word](fields.get(word, ()), rest)
                    continue
                end()
                head, fields = None, {}
                if word == "case":
                    group, _, rest = rest.partition(" ")
                    then = _then(None, rest)
                else:
                    head = text
            except (Wrong, ValueError) as e:
                raise Wrong(f"{path}:{number}: {e}") from e
    end()
    return damages


def of_case(group):
    return tuple(d for d in read() if d.group == group)
