# SPDX-License-Identifier: GPL-2.0-only
"""
Cost sits where nobody waits: what the freeze and the boot do does not grow with
the memory that a device can reach. The machine's clock counts instructions, so
that work is compared, and not time.
"""

import re

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import bind, guarded

TABLES = 4000                   # 8 GB of IOVA space, in 4 KiB pages it would be
FEW = 64                        # instructions for each table; what looks at one takes more
INITCALL = re.compile(r"initcall pci_iommu_init\S* returned 0 after (\d+) usecs")
STAMP = re.compile(r"\[ *(\d+)\.(\d{6})\]")


def stamp_us(line):
    seconds, microseconds = STAMP.search(line).groups()
    return int(seconds) * 1000000 + int(microseconds)


def costs(lines):
    """Of each update, in thousands of instructions: {what: [first, second]}."""
    freeze, restore, begin = [], [], None
    for line in lines:
        if "rig: reboot into the next kernel" in line:
            begin = stamp_us(line)
        elif "Starting new kernel" in line:
            freeze.append(stamp_us(line) - begin)
        elif INITCALL.search(line):
            restore.append(int(INITCALL.search(line)[1]))
    # The first boot takes nothing over.
    return {"freeze": freeze, "restore": restore[1:]}


@guarded
def cost(machine, begin, mode, append="", grows=None):
    """
    Two updates, the second one with 4,000 tables more. grows: what is to be found to
    grow, with the law broken: the freeze by liveupdate.break=cost, the boot by
    liveupdate.check_tables=1, which is just what it has to do without.
    """
    # Without the mouse: its probe sleeps, and a shutdown during the probe waits for it.
    run = begin(mode=mode, sound=False, rate=50, count=True, limit_s=300,
                append=f"rig.updates=2 initcall_debug loglevel=8 i8042.noaux {append}".strip())
    run.update(2)
    since = len(machine.events)
    machine.send(f"tables {TABLES}")
    machine.wait("tables", since=since, timeout_s=60)
    run.update(3)
    run.stop()
    figures = costs(machine.console().splitlines())
    machine.figures["thousand_instructions"] = figures
    found = []
    for what, values in figures.items():
        if len(values) != 2:
            raise Failed(f"{what}: {len(values)} values, expected 2: {values}")
        more = (values[1] - values[0]) * 1000 / TABLES
        machine.figures[f"{what}_instructions_per_table"] = round(more, 1)
        if more > FEW:
            found.append(what)
    if found != [grows] * bool(grows):
        raise Failed(f"grows with the number of tables: {', '.join(found) or 'nothing'}; expected {grows or 'nothing'}: {figures}")
    machine.figures["tries"] = 1
    machine.figures["outcome"] = f"found: the {grows} grows with the number of tables" if grows else ""


CASES = [
    Case("cost", "freeze and boot do no work for each table", bind(cost, mode="scalable")),
    Case("cost-legacy", "freeze and boot do no work for each table, legacy mode", bind(cost, mode="legacy")),
    Case("cost-freeze", "negative: the freeze preserves all tables once more",
         bind(cost, mode="scalable", append="liveupdate.break=cost", grows="freeze"),
         fault="the freeze does work in proportion to memory"),
    Case("cost-boot", "negative: the boot looks at all tables",
         bind(cost, mode="scalable", append="liveupdate.check_tables=1", grows="restore"),
         fault="the boot does work in proportion to memory"),
]
