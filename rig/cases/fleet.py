# SPDX-License-Identifier: GPL-2.0-only
"""The role of fleet/ on two hosts at once, which are machines of the rig, with VMs in both."""

import functools

from rig.cases.operator import EXAMPLE, IDLE, TENANTS, arrived, as_before, start, states, tell
from rig.lib.case import Case, kernel_release
from rig.lib.fleet import Fleet, Host, ansible
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded, wall_us

GOES_OVER = {**dict.fromkeys(TENANTS, "taken over"), EXAMPLE: "taken over"}
REFUSING = "vm-audio"
REFUSAL = "VM u1001.vm-audio could not preserve: it has no disk"
# Two machines share the processors with each other and with Ansible. Nobody asks the second
# host anything while the first one's turn lasts.
OPTIONS = {"rate": 500, "quiet_s": 1200, "limit_s": 2400}


def boots(run):
    return sum(e["ev"] == "boot" for e in run.machine.events)


def gone_over(run, since, begun):
    """The host is in its next kernel, and all VMs have been taken over."""
    arrived(run, since, begun, GOES_OVER)
    states(run, IDLE)


@guarded
def two(machine, begin):
    """
    A VM of host b refuses. With b as the canary the roll stops there, and nobody asks a. Both
    at once: a goes over, and the roll stops because of b. When the VM has changed its mind,
    the same command passes a over and updates b.
    """
    ansible()
    runs = {"a": start(begin, iommu="vtd-scalable", **OPTIONS),
            "b": start(functools.partial(begin, machine=machine.another("b")), iommu="vtd-legacy", **OPTIONS)}
    hosts = {name: Host(run.machine) for name, run in runs.items()}
    release = kernel_release(machine.next_kernel)
    if release == kernel_release(machine.kernel):
        raise Failed(f"both kernels say that they are {release}: the role would pass every host over")
    variables = {"continuo_kernel": "/next/bzImage", "continuo_release": release, "continuo_initrd": "/next/initramfs",
                 "continuo_append": "@/next/cmdline", "continuo_poll_seconds": 1}

    with Fleet(machine.path("fleet"), hosts) as fleet:
        def roll(what, stops, canaries=(), **more):
            for host in hosts.values():
                host.asked.clear()
            status, said = fleet.play("update.yml", hosts, canaries, **variables, **more)
            if bool(status) != stops or stops and REFUSAL not in said:
                raise Failed(f"{what}: Ansible ends with {status}; see fleet/log")

        for run in runs.values():
            run.rest(STEADY_S)
        tell(runs["b"], REFUSING, "refuse")
        roll("the canary refuses", True, canaries=["b"])
        if hosts["a"].asked:
            raise Failed(f"the canary refuses, and the other host is asked to {hosts['a'].asked}")
        for name, run in runs.items():
            as_before(run, f"host {name}, the canary refuses")

        since, begun = len(machine.events), wall_us()
        roll("both at once", True, continuo_serial=2)
        gone_over(runs["a"], since, begun)
        as_before(runs["b"], "host b, both at once")

        tell(runs["b"], REFUSING, "agree")
        since, begun = len(runs["b"].machine.events), wall_us()
        roll("once more", False)
        if hosts["a"].asked != ["uname -r"] or boots(runs["a"]) != 2:
            raise Failed(f"a host that has the release is asked to {hosts['a'].asked}")
        gone_over(runs["b"], since, begun)
    machine.figures["tries"] = 3
    machine.figures["outcome"] = "the roll stops at the host whose VM refuses; that host is as before, the others are not asked or go to their end"
    for run in runs.values():
        run.rest(AFTER_S)
        run.stop()
    found = []
    for name, run in runs.items():
        try:
            clean(run)
        except Failed as error:
            found.append(f"host {name}: {error}")
    if found:
        raise Failed("; ".join(found))


CASES = [
    Case("fleet-two", "the Ansible role on two hosts at once, of which one has a VM that refuses", bind(two),
         kernel="lab", next_kernel="rig", setup="fleet", alone=True, fault="a VM refuses on one of two hosts that Ansible updates"),
]
