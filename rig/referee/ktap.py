# SPDX-License-Identifier: GPL-2.0-only
"""
Reads the report of tests in the kernel's format (Documentation/dev-tools/ktap.rst), as
KUnit and the self-tests write it, and compares two of them.
"""

import re

SUBTEST = re.compile(r"^( *)# Subtest: (.+?)\s*$")
RESULT = re.compile(r"^( *)(not )?ok \d+(?: -)?(?: (.*?))?(?: *# ?(SKIP|XFAIL|TODO|ERROR|TIMEOUT)\b.*)?\s*$", re.I)


def verdicts(text):
    """
    {name: verdict}, in the order of the report. A test within another one has the names of
    both, "outer/inner"; the verdict is ok, not ok, or what its line says in place of that.
    """
    outer, found = {}, {}
    for line in text.splitlines():
        subtest = SUBTEST.match(line)
        result = RESULT.match(line)
        if not subtest and not result:
            continue
        indent = len((subtest or result)[1])
        # Whatever is further to the right has ended.
        outer = {at: name for at, name in outer.items() if at < indent or at == indent and result}
        if subtest:
            outer[indent] = subtest[2]
            continue
        name = "/".join([*(outer[at] for at in sorted(outer)), result[3] or ""])
        verdict = (result[4] or "").lower() or ("not ok" if result[2] else "ok")
        while name in found:
            name += "'"
        found[name] = verdict
    return found


def differences(ours, stock):
    """What is not the same in two results of verdicts(), one text for each test."""
    return [f"{name}: {ours.get(name, 'did not run')}, without our changes: {stock.get(name, 'did not run')}"
            for name in {**stock, **ours} if ours.get(name) != stock.get(name)]
