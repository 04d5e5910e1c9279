# SPDX-License-Identifier: GPL-2.0-only
"""The role of fleet/ on two hosts at once, which are machines of the rig, with VMs in both."""

import functools

from rig.cases.command import continuo
from rig.cases.operator import EXAMPLE, IDLE, REPORT, TENANTS, arrived, as_before, start, states, tell
from rig.lib.case import Case, kernel_release
from rig.lib.fleet import Fleet, Host, ansible
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded, wall_us

GOES_OVER = {**dict.fromkeys(TENANTS, "taken over"), EXAMPLE: "taken over"}
REFUSING = "vm-audio"
REFUSAL = "VM u1001.vm-audio could not preserve: it has no disk"
# Two machines share the processors with each other and with Ansible. Nobody asks the second
# host anything while the first one's turn lasts.
OPTIONS = {"rate": 500, "quiet_s": 1200, "limit_s": 2400, "ready_s": 300}


BOTH = {"a": "vtd-scalable", "b": "vtd-legacy"}


def hosts_of(machine, begin, **options):
    """The runs, by the names of the hosts. options: {name: what only that one has}"""
    return {name: start(begin if name == "a" else functools.partial(begin, machine=machine.another(name)), iommu=iommu,
                        **OPTIONS, **options.get(name, {}))
            for name, iommu in BOTH.items()}


def stop_all(runs):
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


def boots(run):
    return sum(e["ev"] == "boot" for e in run.machine.events)


def began(run, since):
    """When the update began, after so many events, that the machine jumped in last: wall clock."""
    return next(e["host_real_ns"] for e in run.machine.events[since:] if e["ev"] == "obeyed") // 1000


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
    runs = hosts_of(machine, begin)
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
    stop_all(runs)


HEALTHY = "/etc/rig-healthy"
HEALTH = f"cat {HEALTHY}"
PLAN = ("outcome: nothing was done", "step: preserve", "step: jump")


def untouched(run, what):
    """No VM was asked for anything, and the host is as before."""
    as_before(run, what)
    asked = [e for e in run.machine.events if e["ev"] == "obeyed"]
    if asked:
        raise Failed(f"{what}: {asked[0]['who']} was asked to {asked[0]['want']}")


def reported(run, was, now):
    """What the host says of its last update: from which kernel to which."""
    _, report = continuo(run.machine, REPORT)
    if (report["from"], report["to"]) != (was, now):
        raise Failed(f"the report has an update from {report['from']} to {report['to']}, and not from {was} to {now}")


@guarded
def there_and_back(machine, begin):
    """
    First a dry run. Then an update with a check of the operator's that the canary, a, does not
    pass: the roll stops there, twice, and nobody asks b. When a is well, the same command passes
    it over and updates b. At last back.yml takes both back to the kernel that they came from;
    once more, it finds nothing to do. Kernels are in /boot, and found by the role's own defaults.
    """
    ansible()
    old, new = (kernel_release(image) for image in (machine.kernel, machine.next_kernel))
    runs = hosts_of(machine, begin, a={"installed": True}, b={"installed": True, "files": {HEALTHY: b"it is"}})
    hosts = {name: Host(run.machine) for name, run in runs.items()}
    common = {"continuo_append": "@/boot/cmdline", "continuo_poll_seconds": 1}

    with Fleet(machine.path("fleet"), hosts) as fleet:
        def play(what, book, *options, stops="", **more):
            """stops: what it has to say then."""
            for host in hosts.values():
                host.asked.clear()
            status, said = fleet.play(book, hosts, ["a"], *options, **common, **more)
            if bool(status) != bool(stops) or stops not in said:
                raise Failed(f"{what}: Ansible ends with {status}; see fleet/log")
            return said

        def roll(what, *options, **more):
            return play(what, "update.yml", *options, continuo_kernel=f"/boot/vmlinuz-{new}", **more)

        def asked(what, **expected):
            """expected: by host, the first two words of each command."""
            for name, words in expected.items():
                found = [" ".join(command.split()[:2]) for command in hosts[name].asked]
                if found != words:
                    raise Failed(f"{what}: host {name} is asked to {hosts[name].asked}")

        for run in runs.values():
            run.rest(STEADY_S)
        said = roll("a dry run", "--check")
        asked("a dry run", **dict.fromkeys(hosts, ["uname -r", "continuo check", "continuo update"]))
        for name, host in hosts.items():
            if "--dry-run" not in host.asked[-1]:
                raise Failed(f"a dry run asks host {name} to {host.asked[-1]}")
            untouched(runs[name], f"host {name}, a dry run")
        missing = [text for text in PLAN if said.count(text) < len(hosts)]
        if missing:
            raise Failed(f"a dry run does not say {missing} of each host; see fleet/log")

        since, begun = len(machine.events), wall_us()
        roll("the canary is ill", continuo_health_command=HEALTH, stops=f"{HEALTH}: status 1")
        gone_over(runs["a"], since, begun)
        reported(runs["a"], old, new)
        roll("the canary is still ill", continuo_health_command=HEALTH, stops=f"{HEALTH}: status 1")
        asked("the canary is still ill", a=["uname -r", HEALTH], b=[])
        untouched(runs["b"], "host b, the canary is ill")

        machine.send(f"install /boot/cmdline {HEALTHY}")
        machine.wait("installed", errno=0)
        since, begun = len(runs["b"].machine.events), wall_us()
        roll("the canary is well", continuo_health_command=HEALTH)
        asked("the canary is well", a=["uname -r", HEALTH])
        gone_over(runs["b"], since, begun)
        if boots(runs["a"]) != 2:
            raise Failed("a host that has the release has jumped")

        since = {name: len(run.machine.events) for name, run in runs.items()}
        play("back, a dry run", "back.yml", "--check", continuo_leave_release=new)
        play("back", "back.yml", continuo_leave_release=new)
        for name, run in runs.items():
            gone_over(run, since[name], began(run, since[name]))
            reported(run, new, old)
        play("back once more", "back.yml", continuo_leave_release=new)
        asked("back once more", **dict.fromkeys(hosts, ["uname -r"] * 2))
        if [boots(run) for run in runs.values()] != [3, 3]:
            raise Failed("a host that is back has jumped")
    machine.figures["tries"] = 7
    machine.figures["outcome"] = "the roll stops at the host that the operator's check fails on, the other one is not asked; both go back, too"
    stop_all(runs)


CASES = [
    Case("fleet-two", "the Ansible role on two hosts at once, of which one has a VM that refuses", bind(two),
         kernel="lab", next_kernel="rig", setup="fleet", alone=True, fault="a VM refuses on one of two hosts that Ansible updates"),
    Case("fleet-back", "the Ansible role on two hosts: a dry run, a health check that fails on one, and the way back", bind(there_and_back),
         kernel="lab", next_kernel="rig", setup="fleet", alone=True, fault="the operator's own check fails on one of two hosts that Ansible updates"),
]
