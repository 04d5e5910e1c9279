# SPDX-License-Identifier: GPL-2.0-only
"""
continuo check says yes exactly when continuo update works: on each kind of host that the rig
has, and of each kind of device.

A host is asked, and then updated with a VM that has a device (examples/vmm.c). Where check
says no, continuo update refuses because of that, which proves nothing: there the same is done
without asking first, and must not work either. Whether it works is not written down here: only
check and what happens are compared.

A device is asked for, and then attached and preserved, and that is undone: "candidate" has to
be what the kernel says. To see "mixed" fail: without check's look for an IOMMU group, it says yes
of a device that no IOMMU translates for.
"""

import json
import time

from rig.cases.command import continuo, printed, program
from rig.cases.devices import ATS, BEHIND_BRIDGE, SECOND_IGB, WITH_RMRR, dmar
from rig.cases.library import agent_files
from rig.cases.operator import (AGENT, EXAMPLE, EXAMPLE_DEVICE, EXAMPLE_HARDWARE, EXAMPLE_OPTION, REPORT, UPDATE, WRITTEN, example_files,
                                jump, states, vms_of)
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, FRAMES_PER_S_SLOW, STEADY_S, bind, clean, errno_name, guarded

# Which case asks check of a host with this kernel, before an update that works or does not; or the kernel whose host is the
# same to check. The runner's self-test fails if there is a kernel that is not here.
ASKED = {
    "rig": "check-agrees-scalable", "host": "check-agrees-host", "vm": "vm-update", "systemd": "systemd-orderly",
    "arm": "check-agrees-arm", "stock-selftest": "check-agrees-stock",
    **dict.fromkeys(("debug", "lab", "prev", "next", "selftest", "bench", "kunit"), "rig"),
    "vm-debug": "vm", "vm-lab": "vm", "arm-debug": "arm", "arm-lab": "arm", "stock-vm": "stock-selftest", "stock-kunit": "stock-selftest",
}
ROOTS = ("vm-nic", "vm-audio")          # the tenants, as root's
RUN_AGENT = "/usr/sbin/continuo-agent --socket /tmp/agent.sock --record /tmp/update.json --list /tmp/vms --takeover /bin/init"
RUN_VM = f"/usr/bin/vmm --agent /tmp/agent.sock {EXAMPLE} {EXAMPLE_DEVICE}"


def comes(machine, what, condition, since):
    """Wait for it, or until one of the programs has ended that were begun after so many events."""
    deadline = time.monotonic() + machine.bound(60)
    while not condition():
        ended = {e["who"]: e["status"] for e in machine.events[since:] if e["ev"] == "ended"}
        if ended:
            machine.figures["answer"] = ended
            return False
        if time.monotonic() > deadline:
            raise Failed(f"{what} does not come, and nothing has ended")
    return True


def has_agent(machine):
    # It answers that there is nothing to abort, or nobody does.
    since = len(machine.events)
    machine.send(f"remote /usr/bin/continuo {AGENT} abort")
    machine.wait("ran", since=since)
    said = b"".join(bytes.fromhex(e["hex"]) for e in machine.events[since:] if e["ev"] == "printed")
    return b"no update is running" in said


def has_vm(machine):
    status, text = printed(machine, f"--json {AGENT} list")
    # On a kernel without the view it lists nothing.
    if status:
        return f"vmm {EXAMPLE}: running" in machine.console()
    return vms_of(json.loads(text)) == {EXAMPLE: "idle"}


def vm_comes(machine):
    """Can there be a VM with a device that the agent knows?"""
    for name, command, there in (("agent", RUN_AGENT, has_agent), ("vm", RUN_VM, has_vm)):
        since = len(machine.events)
        machine.send(f"held {name} - {command}")
        if not comes(machine, name, lambda there=there: there(machine), since):
            return False
    return True


def taken_over(machine, since):
    """The next kernel runs: is the VM in it?"""
    machine.wait("idle", since=since, timeout_s=60)
    machine.send(f"spawn {RUN_AGENT}")
    comes(machine, "the VM", lambda: has_vm(machine), since)
    status, report = continuo(machine, REPORT)
    found = vms_of(report)
    return not status and report["outcome"] == "complete" and found == {EXAMPLE: "taken over"}


def goes_over(machine, command, answers):
    """Does the update that the command begins work? Else it answers."""
    since = len(machine.events)
    machine.send(command)
    end = machine.wait(("boot", *answers), since=since, timeout_s=120)
    if end["ev"] == "boot":
        return taken_over(machine, since)
    machine.figures["answer"] = {key: end[key] for key in ("status", "step", "errno") if key in end}
    return False


def host(machine, write=(), expected=(), cpu=(), agent=True, **options):
    """write: (path, text) that makes it what it is; expected: what its kernel may say of itself;
    cpu: arguments of QEMU's; agent: does one run?"""
    machine.expected += expected
    machine.start(devices=[*EXAMPLE_HARDWARE, *cpu], files={**agent_files(machine.platform), **program(machine.platform), **example_files(machine.platform)},
                  append=f"rig.devs=none rig.idle=1 rig.debugfs=0 {EXAMPLE_OPTION} {options.pop('append', '')}".strip(),
                  quiet_s=150, limit_s=400, **options)
    machine.wait("ready", timeout_s=60)
    for path, text in write:
        machine.put(path, text)
    there = agent and vm_comes(machine)
    # The VM has its device: nothing of it is to come that check could not see.
    _, check = continuo(machine, f"{AGENT} check")
    says = check["ready"]
    if says:
        works = there and goes_over(machine, f"run /usr/bin/continuo --json {UPDATE} update", ("ran",))
    else:
        status, text = printed(machine, f"--json {UPDATE} update")
        # 3: what is no property of the host is asked for when it is due.
        if status != 1 and (status, json.loads(text)["outcome"]) != (3, "refused"):
            raise Failed(f"check says no, and update ends with {status}: {text[:200]}")
        works = there and goes_over(machine, "unasked", ("unasked",))
    machine.send("off")
    machine.finish()
    against = [f"{row['check']}: {row['found']}" for row in check["host"] if row["ok"] == "no"]
    machine.figures.update(tries=1, check=says, works=works, against=against, outcome=f"check says {'yes' if says else 'no'}, and it is so")
    if says != works:
        raise Failed(f"check says {'yes' if says else 'no'} ({'; '.join(against)}), and the update {'works' if works else 'does not work'}: "
                     f"{machine.figures.get('answer')}")
    if works and WRITTEN not in machine.console().rpartition("Linux version")[2]:
        raise Failed("the VM does not say what its device has written")


@guarded
def without_iommu(machine, begin):
    """
    A host that allows devices without an IOMMU. VMs there are root's processes, which give physical addresses to their
    devices: examples/vmm.c gives addresses of its own to the device, and is none of these.
    """
    run = begin(iommu="none", tenants=True, rate=FRAMES_PER_S_SLOW, files={**agent_files(), **program()},
                append="hugepages=120 rig.tenants=2 rig.library=replace rig.debugfs=0")
    for who in ROOTS:
        machine.wait("tenant_ready", who=who)
    states(run, dict.fromkeys(ROOTS, "idle"))
    run.rest(STEADY_S)
    jump(run, "", dict.fromkeys(ROOTS, "taken over"))
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=1, check=True, works=True, against=[], outcome="check says yes, and it is so")
    clean(run)


def candidates(machine):
    _, check = continuo(machine, "check")
    return {row["bdf"]: (row["candidate"], row.get("why")) for row in check["device"]}


def attempt(machine, command):
    """The device that was to be preserved, and the steps that failed."""
    since = len(machine.events)
    machine.send(f"try {command}")
    bdf = machine.wait("tried", since=since)["bdf"]
    return bdf, [(e["step"], errno_name(e["errno"])) for e in machine.events[since:] if e["ev"] == "try" and e["errno"]]


def set_vfs(machine, bdf, number):
    machine.put(f"/sys/bus/pci/devices/{bdf}/sriov_numvfs", number)


@guarded
def devices(machine, begin, tries, files=(), iommu="vtd-scalable", **options):
    """tries: arguments of "try". What check says of the device, and whether it can be preserved."""
    run = begin(iommu=iommu, sound=False, files={**program(), **dict(files)}, **options)
    run.rest(STEADY_S)
    found, said = [], []
    for command in tries:
        says = candidates(machine)
        bdf, failed = attempt(machine, command)
        candidate, why = says[bdf]
        said.append(f"{command}: check says {candidate}, " + (f"{failed[0][0]} fails" if failed else "preserved"))
        if (candidate == "yes") == bool(failed):
            found.append(f"check says {candidate} ({why}) of {bdf}; {failed or 'it was preserved'}")
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=len(tries), outcome="; ".join(said))
    if found:
        raise Failed("; ".join(found))
    clean(run)


def drive(machine, bdf, driver):
    """Give the device to that driver."""
    home = f"/sys/bus/pci/devices/{bdf}"
    for path, text in ((f"{home}/driver_override", driver), (f"{home}/driver/unbind", bdf), ("/sys/bus/pci/drivers_probe", bdf)):
        machine.put(path, text)


@guarded
def virtual_functions(machine, begin, iommu, drivers=("pci-pf-stub",)):
    """
    A device that has virtual functions, as long as it has them; and such a function, whose physical
    one is vfio-pci's, or that of one of these drivers.
    """
    run = begin(iommu=iommu, sound=False, files=program(), extra=SECOND_IGB, append="vfio_pci.enable_sriov=1")
    run.rest(STEADY_S)
    found, said, pf = [], [], None

    def compare(what, command):
        says = candidates(machine)
        bdf, failed = attempt(machine, command)
        # Who opens a virtual function of vfio-pci's has to know a token, so that it is made for the try.
        candidate, why = says.get(bdf, ("no", "it is made for the try"))
        said.append(f"{what}: {candidate}")
        if (candidate == "yes") == bool(failed):
            found.append(f"{what}: check says {candidate} ({why}) of {bdf}; {failed or 'it was preserved'}")
        return bdf

    for vfs in (0, 1, 0):
        if vfs:
            set_vfs(machine, pf, vfs)
            new = [row for bdf, row in candidates(machine).items() if bdf not in alone]
            if [candidate for candidate, _ in new] != ["no"]:
                found.append(f"check says {new} of the virtual functions of vfio-pci's")
        else:
            alone = candidates(machine)
        pf = compare(f"with {vfs} virtual functions", "8086:10c9 1")
        if vfs:
            set_vfs(machine, pf, 0)
    compare("a virtual function of vfio-pci's", "8086:10c9 1 vf=8086:10ca")
    for driver in drivers:
        drive(machine, pf, driver)
        set_vfs(machine, pf, 1)
        compare(f"a virtual function of {driver}'s", "8086:10ca")
        set_vfs(machine, pf, 0)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=len(said), outcome="; ".join(said))
    if found:
        raise Failed("; ".join(found))
    clean(run)


IGB = "igb,mac=52:54:00:c0:00:03"
PORT = "pcie-root-port,id=rp9,chassis=9,slot=9,addr=9.0"
BEHIND_PORT = ("-device", PORT, "-device", f"{IGB},bus=rp9")
BEHIND_SWITCH = ("-device", PORT, "-device", "x3130-upstream,id=up9,bus=rp9",
                 "-device", "xio3130-downstream,id=down9,bus=up9,chassis=10,slot=10", "-device", f"{IGB},bus=down9")
DISPLAY = ("-device", "bochs-display,addr=9.0")
# Not by vfio-pci.ids=, where it is a module.
TO_VFIO = ((f"/sys/bus/pci/devices/{EXAMPLE_DEVICE}/driver_override", "vfio-pci"), ("/sys/bus/pci/drivers_probe", EXAMPLE_DEVICE))


def _cases():
    for name, what, options in (
            ("legacy", "the IOMMU in legacy mode", {"iommu": "vtd-legacy"}),
            ("scalable", "the IOMMU in scalable mode", {}),
            ("first-stage", "an IOMMU that has nothing but first-stage tables", {"first_stage": True}),
            ("no-cx16", "a CPU without cmpxchg16b", {"cpu": ("-cpu", "max,cx16=off")}),
            ("amd", "AMD-Vi", {"iommu": "amd"}),
            ("amd-off", "AMD-Vi, and amd_iommu=off", {"iommu": "amd", "first": "amd_iommu=off"}),
            ("amd-pgtbl-v2", "AMD-Vi, and amd_iommu=pgtbl_v2", {"iommu": "amd", "first": "amd_iommu=pgtbl_v2"}),
            ("passthrough", "iommu.passthrough=1", {"iommu": "vtd-legacy", "append": "iommu.passthrough=1"}),
            ("iommu-off", "intel_iommu=off", {"first": "intel_iommu=off"}),
            ("liveupdate-off", "liveupdate=off", {"first": "liveupdate=off"}),
            ("no-iommu", "no IOMMU, and no devices are allowed without one", {"iommu": "none", "append": "vfio.enable_unsafe_noiommu_mode=0 rig.noiommu=0", "expected": ["probe with driver vfio-pci failed"]}),
            ("crashkernel", "crashkernel= without kho_scratch=",
             {"append": "crashkernel=192M", "expected": ["[Dd]isabling liveupdate", "KHO"]}),
            ("memory", "huge pages and guestmem= are set apart", {"append": "hugepages=64 guestmem=256M"}),
            ("kho-off", "kho=off", {"first": "kho=off", "expected": ["[Dd]isabling liveupdate"]}),
            ("kexec-off", "kexec was disabled", {"write": (("/proc/sys/kernel/kexec_load_disabled", "1"),)}),
            ("kexec-limit", "no kernel can be loaded any more", {"write": (("/proc/sys/kernel/kexec_load_limit_reboot", "0"),)})):
        yield Case(f"check-agrees-{name}", f"continuo check says whether an update works: {what}", bind(host, **options))
    yield Case("check-agrees-noiommu", "continuo check says whether an update works: devices are allowed without an IOMMU", without_iommu)
    yield Case("check-agrees-no-agent", "continuo check says whether an update works: no agent runs", bind(host, agent=False))
    yield Case("check-agrees-host", "continuo check says whether an update works: a distribution's options",
               bind(host, write=TO_VFIO), kernel="host")
    yield Case("check-agrees-stock", "continuo check says whether an update works: a kernel without our changes", host,
               kernel="stock-selftest")
    for name, what, options in (
            ("", "an SMMUv3", {}),
            ("-passthrough", "an SMMUv3, and iommu.passthrough=1", {"append": "iommu.passthrough=1"}),
            ("-liveupdate-off", "an SMMUv3, and liveupdate=off", {"first": "liveupdate=off"})):
        yield Case(f"check-agrees-arm{name}", f"continuo check says whether an update works: {what}",
                   bind(host, iommu="smmuv3", **options), kernel="arm")
    for name, what, options in (
            ("port", "behind a root port", {"extra": BEHIND_PORT, "tries": ["8086:10c9 1"]}),
            ("switch", "behind a switch without ACS", {"extra": BEHIND_SWITCH, "tries": ["8086:10c9 1"]}),
            ("bridge", "behind a PCIe-to-PCI bridge", {"extra": BEHIND_BRIDGE, "tries": ["8086:2668"]}),
            ("ats", "with ATS", {"extra": ATS, "ats": True, "tries": ["1af4:1041"]}),
            ("no-ats", "with ATS, and pci=noats", {"extra": ATS, "ats": True, "first": "pci=noats", "tries": ["1af4:1041"]}),
            ("rmrr", "with an RMRR", {"extra": WITH_RMRR, "files": {"/kernel/firmware/acpi/DMAR.aml": dmar(0x9, 0xa)},
                                      "tries": ["1b36:000d", "8086:2668"]}),
            ("none", "a host without an IOMMU", {"iommu": "none", "extra": BEHIND_PORT, "tries": ["8086:10c9 1"]}),
            ("mixed", "no IOMMU translates for it, and the host has one",
             {"append": "vfio.enable_unsafe_noiommu_mode=1", "extra": WITH_RMRR, "tries": ["1b36:000d own"],
              "files": {"/kernel/firmware/acpi/DMAR.aml": dmar(only=(0x4, 0x5))}}),
            ("display", "a display", {"extra": DISPLAY, "tries": ["1234:1111"]})):
        yield Case(f"check-agrees-{name}", f"continuo check says whether a device can be preserved: {what}", bind(devices, **options))
    yield Case("check-agrees-sriov", "continuo check says whether a device can be preserved: with virtual functions",
               bind(virtual_functions, iommu="vtd-scalable"))
    yield Case("check-agrees-sriov-igb", "continuo check says whether a device can be preserved: the kernel's igb has virtual functions",
               bind(virtual_functions, iommu="vtd-scalable", drivers=("pci-pf-stub", "igb")), kernel="vm")
    yield Case("check-agrees-none-sriov", "continuo check says whether a device can be preserved: virtual functions without an IOMMU",
               bind(virtual_functions, iommu="none"))


CASES = list(_cases())
