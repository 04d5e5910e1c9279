# SPDX-License-Identifier: GPL-2.0-only
"""
Abort before the jump, and updates in a row: whatever fails before the jump
leaves nothing behind, and nothing adds up over many of them.
"""

import contextlib
import errno
import os
import re
import statistics
import subprocess

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded
from rig.referee import memory

SECOND_DEVICE = ("-device", "igb,addr=6.0,mac=52:54:00:c0:00:03")
PARTS = ("mark", "session", "memfd", "iommufd", "nic", "audio",
         "freeze, audio last", "freeze, nic last", "undo")
# What the kernel of the next stage is asked, each until no place of it is left to fail.
COMING = ("session", "retrieve-iommufd", "retrieve-nic", "retrieve-audio", "bind-nic", "bind-audio", "restore-nic",
          "attach-nic", "attach-audio", "finish")
# Those that allocate nothing, or get over everything.
NEVER_FAIL = ("restore-nic", "finish")
SITES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sweep-sites")

# What is between a place that can fail and who asked for it: fault injection, kprobes, allocators.
BETWEEN = re.compile(
    r"dump_stack|should_fail|__should_fail|fail_dump|fei_|kprobe_|arch_ftrace|ftrace_|opt_|0x|_?_?_?slab|"
    r"(__)?k[mvz]*alloc|kmem_|__kvm|vmalloc|__vmalloc|(__)?alloc_|(__)?get_free|new_slab|allocate_slab|"
    r"get_partial|refill_|kmemdup|kstrdup|krealloc|xas_|__?xas_|xa_|__xa_|idr_|ida_|radix_tree|prep_|"
    r"get_page_from|memdup|strndup|kvasprintf|kasprintf|liveupdate_require")
# Allocations that come and go with what was allocated before.
NOT_OURS = re.compile(r"stack_depot|kasan|kmemleak|create_object|allocate_slab|new_slab|alloc_slab|lockdep|debug_object")


# Prefixes of ACPI's interpreter (drivers/acpi/acpica), which is linked in one piece.
ACPICA = re.compile(r"acpi_(ds|ev|ex|hw|ns|ps|rs|tb|ut)_")

# So that the addresses are those of System.map.
FIXED = "nokaslr"


def acpica_of(kernel):
    """Where ACPI's interpreter is, as an option: it dereferences NULL for want of memory
    (7.3, acpi_ut_update_object_reference() below the first pci_enable_device())."""
    with open(os.path.join(os.path.dirname(kernel), "System.map"), encoding="ascii") as f:
        symbols = [(int(address, 16), name) for address, _, name in (line.split() for line in f)]
    text = next(address for address, name in symbols if name == "_etext")
    inside = [i for i, (address, name) in enumerate(symbols) if address < text and ACPICA.match(name)]
    return f"rig.fault_reject={symbols[inside[0]][0]:x}-{symbols[inside[-1] + 1][0]:x}"


def rules_of(kernel):
    """The names of the rules by their addresses: from the System.map beside the kernel."""
    with open(os.path.join(os.path.dirname(kernel), "System.map"), encoding="ascii") as f:
        symbols = (line.split() for line in f)
        return {int(address, 16): name.removeprefix("rule_") for address, _, name in symbols
                if name.startswith("rule_")}


def site(event, rules):
    """The name of a place that was made to fail: "rule NAME" or "KIND in FUNCTION"; None for what
    depends on what was allocated before, or was allocated without a word (__GFP_NOWARN)."""
    if not event["kind"]:
        return None
    if event["kind"] == "fail_function" and event["stack"].startswith("liveupdate_require"):
        return f"rule {rules[int(event['rule'], 16)]}"
    frames = [re.sub(r"\..*", "", name) for name in event["stack"].split(",")]
    if any(NOT_OURS.match(name) for name in frames):
        return None
    callee = next((name for name in frames if name.startswith(("kho_preserve_folio", "intel_preserve_domain", "amd_preserve_domain"))), None)
    who = next((name for name in frames if not BETWEEN.match(name) and name != callee), "?")
    if event["kind"] == "fail_function":
        return f"{callee} in {who}"
    return f"{event['kind']} in {who}"


def sites(machine, case):
    """The places that were made to fail, into the folder of the case; what of the list is missing."""
    rules = rules_of(machine.kernel)
    got = {(e["step"], site(e, rules)) for e in machine.events if e["ev"] == "site"}
    got = sorted(f"{case}: {step}: {name}" for step, name in got if name)
    with open(machine.path("sites"), "w", encoding="utf-8") as f:
        f.write("".join(line + "\n" for line in got))
    with open(SITES, encoding="utf-8") as f:
        listed = {line.strip() for line in f if line.startswith(case + ": ")}
    if not listed:
        raise Failed(f"{os.path.basename(SITES)} lists no place of '{case}', so that none can be missing")
    machine.figures["sites"] = len(got)
    machine.figures["sites_listed"] = len(listed)
    machine.figures["sites_not_listed"] = sorted(set(got) - listed)
    return [f"'{line}' was not made to fail" for line in sorted(listed - set(got))]


# 7.3's own (kernel/liveupdate/kexec_handover.c), of one place: no memory for the file in debugfs that shows
# what was handed over. The call works all the same, and only the file is missing.
ADD_SUBTREE = r"WARNING: \S*kernel/liveupdate/kexec_handover\.c:\d+ at kho_add_subtree\+0x"


@guarded
def sweep(machine, begin, iommu, memory="", append="", complaint=""):
    """
    Each place that can fail does, one by one; then a real update. memory: what
    the VM's memory is, if it is not a memfd of ordinary pages; the steps of the devices are left out then.
    complaint: what 7.3 itself has to say in it, once.

    Seen to fail: on a mistake of our own. preserve() in iommu_pt_liveupdate.h
    undid its work from where its walk had ended, not from the start: "a step
    that failed: 16476 pages are preserved, 16475 were before it". The twins
    undo-undo and late-undo-page break what it looks at on purpose.
    """
    if complaint:
        machine.expected.append(complaint)
    run = begin(iommu=iommu, limit_s=240, append=f"{FIXED} {append}".strip() + (" rig.swept=memory" if memory else ""))
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send("sweep")
    if machine.wait("sweep_over", since=since, timeout_s=200).get("unswept"):
        raise Failed("this kernel has no fault injection")
    run.rest(1)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    parts = {e["step"]: e for e in machine.events if e["ev"] == "swept"}
    figures = machine.figures
    figures["swept"] = {name: {key: e[key] for key in ("points", "failed", "enomem", "ebusy", "einval", "other", "ms")}
                        for name, e in parts.items()}
    figures["tries"] = figures["points"] = sum(e["points"] for e in parts.values())
    figures["points_that_failed_the_call"] = sum(e["failed"] for e in parts.values())
    figures["outcome"] = (f"{figures['points_that_failed_the_call']} calls failed and left nothing behind, "
                          "the others did without; then a clean update")
    for name in PARTS:
        if memory and name in ("nic", "audio"):
            continue
        if name not in parts:
            raise Failed(f"'{name}' was not swept")
        if name != "undo" and not parts[name]["failed"]:
            raise Failed(f"'{name}': no fault made it fail, so that nothing was shown")
    missing = sites(machine, f"sweep {iommu} {memory}".strip())
    complaints = len(re.findall(complaint, machine.console())) if complaint else 0
    if complaint and complaints != 1:
        missing.append(f"the kernel has complained {complaints} times of what is 7.3's own, expected once")
    if missing:
        raise Failed("; ".join(missing))
    clean(run)


@guarded
def coming(machine, begin, iommu, calls, n=60, append=""):
    """
    The places at which a call of the next kernel can fail do, one by one; the call done
    again works, and in the end the devices run on.

    A fault that the call gets over ends its part of an update; the next update goes
    on one place further, so that it takes as many updates as a call has such places. What
    slabs allocate moves the count, so that one or two allocations can be passed over. Each huge page has
    an allocation that the call gets over, and so takes an update.

    Seen to fail: "not swept to the end", as the guest did not let the retrieve of huge pages fail.
    """
    run = begin(iommu=iommu, limit_s=30 * n, append=f"{FIXED} {acpica_of(machine.kernel)} rig.sweep=1 rig.updates={n} {append}".strip())
    run.rest(1)
    done, figures, updates = {}, machine.figures, 0
    while any(not done.get(name, {}).get("whole") for name in calls):
        updates += 1
        if updates > n:
            raise Failed(f"after {n} updates not swept to the end: " +
                         ", ".join(name for name in calls if not done.get(name, {}).get("whole")))
        since = len(machine.events)
        run.update(updates + 1)
        for e in machine.events[since:]:
            if e["ev"] == "swept":
                whole = done.setdefault(e["step"], {"points": 0, "failed": 0, "whole": False})
                whole["points"] += e["points"]
                whole["failed"] += e["failed"]
                whole["whole"] = bool(e["whole"])
    run.rest(AFTER_S)
    run.stop()
    figures["swept"] = done
    figures["updates"] = updates
    figures["tries"] = figures["points"] = sum(e["points"] for e in done.values())
    figures["points_that_failed_the_call"] = sum(e["failed"] for e in done.values())
    figures["outcome"] = (f"{figures['points_that_failed_the_call']} calls failed and were done again, the others did "
                          f"without; {updates} updates")
    for name in calls:
        if name in NEVER_FAIL and done[name]["failed"]:
            raise Failed(f"'{name}' failed, and nothing of it can")
        if name not in NEVER_FAIL and not done[name]["failed"]:
            raise Failed(f"'{name}': no fault made it fail, so that nothing was shown")
    missing = sites(machine, "adopt" if "adopt-nic" in calls else "coming")
    if missing:
        raise Failed("; ".join(missing))
    clean(run)


# name: what reboot(2) has to return
LATE = {"no kernel loaded": errno.EINVAL, "kernel is being loaded": errno.EBUSY,
        "device sleeps": errno.EBUSY, "second session: device sleeps": errno.EBUSY,
        "second session: device in D3": errno.EBUSY, "second session: device detached": errno.EBUSY,
        "device of the later session sleeps": errno.EBUSY}


@guarded
def late(machine, begin, iommu):
    """
    reboot(2) fails after the preserve, in each way there is; then a real update.

    Seen to fail: with liveupdate.break=undo-page (late-undo-page), and by hand
    with vfio_pci_liveupdate_unfreeze() emptied ("reset of the second device
    after the jump failed: Device or resource busy").
    """
    run = begin(iommu=iommu, extra=SECOND_DEVICE)
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send("late")
    machine.wait("late_over", since=since, timeout_s=60)
    run.rest(1)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    answers = {e["name"]: e for e in machine.events if e["ev"] == "late"}
    machine.figures["late"] = {name: errno.errorcode.get(e["errno"], "none") for name, e in answers.items()}
    machine.figures["tries"] = len(answers)
    machine.figures["outcome"] = "reboot(2) says why, DMA goes on, undo and the next update work"
    found = [f"'{name}': {answers[name]['text'] if name in answers else 'not tried'}, expected {errno.errorcode[number]}"
             for name, number in LATE.items() if name not in answers or answers[name]["errno"] != number]
    if found:
        raise Failed("; ".join(found))
    clean(run)


@guarded
def says_no(machine, begin, iommu, law, command, text, extra=()):
    """With the law about undoing broken, the case that shows it has to say no, and why."""
    run = begin(iommu=iommu, extra=extra, append=f"liveupdate.break={law}")
    run.rest(1)
    since = len(machine.events)
    machine.send(command)
    try:
        machine.wait("never", since=since, timeout_s=60)
    except Failed as error:
        if text not in str(error):
            raise
    machine.figures["tries"] = 1
    machine.figures["outcome"] = f"found: {text}"


@guarded
def many_updates(machine, begin, iommu, updates, limit_s, rate=500, loaded=False):
    """
    Updates in a row with DMA running, and the memory in use after each. loaded: each
    processor of the host has something else to do all the while.

    What decides about the memory is rig/referee/memory.py, whose tests have
    leaks of all sizes. DMA and frames are judged as in any update.
    """
    with busy_host() if loaded else contextlib.nullcontext():
        samples, took, run = updates_in_a_row(machine, begin, iommu, updates, limit_s, rate)
    figures = machine.figures
    # With no translations in the log there is nothing to say about where DMA went, and when.
    run.updates, run.steady, run.spans = [], [], []
    run.traced, run.late = False, loaded
    found = run.judge()
    for key in ("dma_misdirected", "nic_dma_gap_steady_us", "audio_dma_gap_steady_us"):
        del figures[key]
    figures["updates"] = figures["tries"] = updates
    figures["update_median_ms"] = round(statistics.median(took), 1)
    figures["update_longest_ms"] = round(max(took), 1)
    figures["memory"], leaks = memory.judge(samples, updates)
    figures["memory_series"] = {name: [s[name] for s in samples] for name in figures["memory"]}
    done = next(e for e in reversed(machine.events) if e["ev"] == "resumed")["updates_done"]
    figures["outcome"] = f"{done} updates, {figures.get('frames_lost', '?')} frames lost, memory in use constant"
    if done != updates:
        found.append(f"{done} updates were done, not {updates}")
    if found + leaks:
        raise Failed("; ".join(found + leaks))


@contextlib.contextmanager
def busy_host():
    """A process for each processor that does nothing but work."""
    burners = [subprocess.Popen(["sha256sum", "/dev/zero"]) for _ in range(os.cpu_count())]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def updates_in_a_row(machine, begin, iommu, updates, limit_s, rate):
    """The memory in use after each of them, how long each took in ms, and the Run."""
    run = begin(iommu=iommu, append=f"rig.updates={updates}", rate=rate, limit_s=limit_s)
    run.rest(STEADY_S)
    # Hundreds of megabytes; faults are still there, and frames carry checksums.
    machine.trace(machine.iommu.referee.DMA, False)
    samples, took = [], []
    for stage in range(2, updates + 2):
        run.update(stage)
        took.append((run.updates[-1][1] - run.updates[-1][0]) / 1e3)
        run.rest(0.5)
        since = len(machine.events)
        machine.send("memory")
        samples.append(machine.wait("memory", since=since))
    run.stop()
    return samples, took, run


CASES = [
    Case("sweep", "each place that can fail before the jump does, one by one (fail-nth)",
         bind(sweep, iommu="vtd-scalable"), kernel="debug", fault="each allocation and each step of mark, preserve, freeze and undo fails"),
    Case("sweep-legacy", "the same in legacy mode",
         bind(sweep, iommu="vtd-legacy"), kernel="debug",
         fault="each allocation and each step fails, legacy mode"),
    Case("sweep-coming", "each place that can fail in the next kernel does, one by one: retrieve to finish",
         bind(coming, iommu="vtd-scalable", calls=(*COMING, "verify-nic")), kernel="selftest", alone=True,
         fault="allocations and steps of retrieve, bind, restore, verify and finish fail, one by one"),
    Case("sweep-adopt", "the same with the tables adopted",
         bind(coming, iommu="vtd-scalable", calls=(*COMING, "adopt-nic"), append="rig.adopt=1"), kernel="selftest", alone=True,
         fault="allocations and steps of retrieve, bind, restore, adopt and finish fail, one by one"),
    Case("sweep-guestmem", "the same with a file of guestmemfs",
         bind(coming, iommu="vtd-scalable", calls=("retrieve-memfd", *COMING, "verify-nic"), append="guestmem=256M rig.guestmem=1"), kernel="selftest",
         alone=True, fault="allocations and steps of retrieve to finish fail, one by one, with a file of guestmemfs"),
    Case("sweep-hugetlb", "the same with memory of huge pages",
         bind(coming, iommu="vtd-scalable", calls=("retrieve-memfd", *COMING, "verify-nic"), n=100,
              append="hugepages=80 rig.hugetlb=21"),
         kernel="selftest", alone=True, fault="allocations and steps of retrieve to finish fail, one by one, with huge pages"),
    *(Case(f"sweep-{memory}-preserve", f"each place that can fail before the jump does, one by one, with {what}",
           bind(sweep, iommu="vtd-scalable", memory=memory, append=append, complaint=complaint), kernel="debug",
           fault=f"each allocation and each step of mark, preserve, freeze and undo fails, with {what}")
      for memory, what, append, complaint in (("guestmem", "a file of guestmemfs", "guestmem=256M rig.guestmem=1", ""),
                                              ("hugetlb", "huge pages", "hugepages=80 rig.hugetlb=21", ADD_SUBTREE))),
    Case("late", "reboot(2) fails after the preserve, in each way",
         bind(late, iommu="vtd-scalable"), debug=True, fault="reboot(2) fails: nothing loaded, lock taken, a device changed, in either session"),
    Case("undo-undo", "negative: unpreserve leaves the IOAS frozen",
         bind(says_no, iommu="vtd-scalable", law="undo", command="undo 2",
              text="map after a preserve was undone: Device or resource busy"),
         kernel="lab",
         fault="law broken: unpreserve leaves the IOAS frozen"),
    Case("late-undo-page", "negative: unpreserve leaves a page with KHO",
         bind(says_no, iommu="vtd-scalable", law="undo-page", command="late",
              text="pages are preserved", extra=SECOND_DEVICE),
         kernel="lab",
         fault="law broken: unpreserve leaves a page with KHO"),
    Case("ten-updates", "10 live updates in a row, memory in use compared",
         bind(many_updates, iommu="vtd-scalable", updates=10, limit_s=300), alone=True),
    Case("thirty-updates", "30 live updates in a row, a tenth of soak-idle",
         bind(many_updates, iommu="vtd-scalable", updates=30, limit_s=900), alone=True),
    Case("thirty-updates-loaded", "30 live updates on a busy host, a tenth of soak-loaded",
         bind(many_updates, iommu="vtd-scalable", updates=30, limit_s=1800, loaded=True)),
    Case("soak-idle", "300 live updates in a row, memory in use compared",
         bind(many_updates, iommu="vtd-scalable", updates=300, limit_s=9000), soak=True, alone=True),
    Case("soak-loaded", "300 live updates in a row on a busy host",
         bind(many_updates, iommu="vtd-scalable", updates=300, limit_s=18000, loaded=True), soak=True),
]
