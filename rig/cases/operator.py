# SPDX-License-Identifier: GPL-2.0-only
"""
continuo update: VMs of several users are carried over by the command and the agent, as an
operator would do it.
"""

import os
import signal
import subprocess

from rig.cases.command import continuo, program
from rig.cases.library import agent_files
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded, wall_us
from rig.referee import phases

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

AGENT = "--agent /tmp/agent.sock"
UPDATE = f"{AGENT} --kernel /next/bzImage --initrd /next/initramfs --append @/next/cmdline"
TENANTS = {"u1000.vm-nic", "u1001.vm-audio"}
EXAMPLE = "vm-edu"
WRITTEN = "written by the device while no kernel was there"


def example_files():
    """examples/vmm.c, linked statically."""
    folder = f"{TOP}/build/examples-static"
    subprocess.run(["make", "-s", "-C", f"{TOP}/examples", f"O={folder}", "STATIC=1"], check=True)
    with open(f"{folder}/vmm", "rb") as f:
        return {"/usr/bin/vmm": f.read()}


def start(begin, mode):
    """Two tenants with a device each, and the example with a third device."""
    run = begin(mode=mode, tenants=True, extra=["-device", "edu,addr=7.0"],
                files={**agent_files(), **program(), **example_files()},
                append="rig.tenants=1 rig.library=replace vfio-pci.ids=1234:11e8")
    for who in ("vm-nic", "vm-audio"):
        run.machine.wait("tenant_ready", who=who)
    run.machine.send(f"spawn /usr/bin/vmm --agent /tmp/agent.sock {EXAMPLE} 0000:00:07.0")
    states(run, {**dict.fromkeys(TENANTS, "idle"), EXAMPLE: "idle"})
    return run


def vms_of(data):
    return {row["vm"]: row["state"] for row in data["vm"]}


def states(run, expected, tries=100):
    """Wait until the agent says so: what a process is about to do, nobody announces."""
    for _ in range(tries):
        status, data = continuo(run.machine, f"{AGENT} list")
        if not status and vms_of(data) == expected:
            return data
    raise Failed(f"list ends with {status} and says {data}, expected the VMs {expected}")


def jump(run, options, expected):
    """An update that succeeds: what the command printed before the jump."""
    machine, since, begin = run.machine, len(run.machine.events), wall_us()
    machine.send(f"run /usr/bin/continuo --json {UPDATE} {options} update".replace("  ", " "))
    machine.wait("boot", stage=2, since=since, timeout_s=60)
    for who in ("vm-nic", "vm-audio"):
        end = machine.wait("tenant_back", who=who, since=since, timeout_s=60)
    run.updates.append((begin, end["host_real_ns"] // 1000))
    run.spans.append(phases.spans(machine.events, run.clock.lines, since, end["host_ns"]))
    status, report = continuo(machine, "--record /tmp/update.json report")
    if status:
        raise Failed(f"continuo report ends with {status}")
    run.machine.figures["report"] = report
    found = {row["vm"]: row["state"] for row in report["vm"]}
    if found != expected:
        raise Failed(f"the report says {found}, expected {expected}")
    if report["axis"] != "counter":
        raise Failed(f"the axis of both kernels is by {report['axis']}")
    return report


@guarded
def carried(machine, begin, mode):
    """
    All answer: two users' VMs, and the example of examples/, whose device writes to memory
    while no kernel is there.
    Seen to fail: with the example's mapping 4 KiB off in preserve().
    """
    run = start(begin, mode)
    run.rest(STEADY_S)
    report = jump(run, "", {**dict.fromkeys(TENANTS, "taken over"), EXAMPLE: "taken over"})
    if report["outcome"] != "complete":
        raise Failed(f"the update is {report['outcome']}")
    run.rest(AFTER_S)
    # The VMs of the next kernel are registered again.
    states(run, {**dict.fromkeys(TENANTS, "idle"), EXAMPLE: "idle"})
    run.stop()
    if WRITTEN not in machine.console():
        raise Failed("the example does not say what its device has written")
    clean(run)


@guarded
def silent(machine, begin, mode):
    """
    One does not answer: the update is given up, and everything is as before; then it is
    left behind, on purpose, and the others are carried over.
    Seen to fail: with the undo left out of cmd_update().
    """
    run = start(begin, mode)
    run.rest(STEADY_S)
    machine.send(f"signal {signal.SIGSTOP}")
    status, data = continuo(machine, f"{UPDATE} --timeout 3 update")
    if status != 3 or data["outcome"] != "undone":
        raise Failed(f"an update with a silent VM ends with {status} and {data['outcome']}")
    _, view = continuo(machine, "list")
    if view["session"] or view["device"]:
        raise Failed(f"after an update that was undone there are {view}")
    for who in ("vm-nic", "vm-audio"):
        if [e["want"] for e in machine.events if e["ev"] == "obeyed" and e["who"] == who] != ["preserve", "undo"]:
            raise Failed(f"{who} was asked something else than to preserve and to undo")
    run.rest(1)
    report = jump(run, "--timeout 3 --leave-silent", {**dict.fromkeys(TENANTS, "taken over"), EXAMPLE: "left"})
    if report["outcome"] != "complete":
        raise Failed(f"the update is {report['outcome']}")
    run.rest(AFTER_S)
    run.stop()
    if WRITTEN in machine.console():
        raise Failed("a VM that was left behind has come over")
    machine.figures["outcome"] = "undone; with --leave-silent the two others go over"
    machine.figures["tries"] = 2
    clean(run)


CASES = [
    Case("update-command", "continuo update carries three VMs over, one of them examples/vmm.c",
         bind(carried, mode="scalable"), debug=True),
    Case("update-silent", "continuo update with a VM that does not answer",
         bind(silent, mode="legacy"), fault="a VM does not answer when the host is updated"),
]
