# SPDX-License-Identifier: GPL-2.0-only
"""
Discovery: at each step of an update the kernel shows the true state, in the words of
docs/discovery.md. Objects that were refused stay on show, with the reason.

How the checks were seen to fail, each by a line of the kernel changed by hand:

- discovery-scalable, discovery-legacy: "attached" in place of "left" in
  show_device_state() (replaced: devices, and the domain contradicts them);
  reclaimed always false in hwpt_find_restored() (restored: hwpts); no bind to
  wait for in vfio_pci_liveupdate_show() (session: cdevs).
- discovery-other-mode: no liveupdate_refused_pci() in
  iommu_liveupdate_drop_incoming(): no device is refused by the IOMMU code.
- discovery-iommu-off: no schedule_work() in pci_liveupdate_stop(): no reset.
- discovery-update-off: no liveupdate_refused() in pci_liveupdate_load(): no list.
- discovery-watched: no liveupdate_show_end() in liveupdate_show_side(): views that are
  not whole. A wrong order of locks, which the case is also for, is found by the debug kernel.
- discovery-holder: still_runs() always true: "orphaned" is alive; seq_puts() in
  place of the escape in liveupdate_show_text(): malformed.
"""

import errno

from rig.lib.case import Case
from rig.lib.iommu import NAMED
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, bind, clean, guarded, must_see
from rig.referee import discovery

# As rig/guest/update/names.h has them.
SESSION = "continuo"
MEMFD, IOMMUFD, NIC, AUDIO = 0x6d656d, 0x696f, 0x6e6963, 0x617564
ROOT_PORT = "0000:00:08.0"      # as rig/lib/run.py places it
HWPT_NIC, HWPT_AUDIO = 0x11000000000001, 0x11000000000002

# Of each step after the jump: state and what is waited for, of the session, the
# memfd and the iommufd, the HWPTs, the domains, the cdevs and the devices.
F, RF, XF = ("finish",), ("retrieve", "finish"), ("replace", "finish")
NOT_ON = ("not-retrieved", ("retrieve", "restore", "replace", "finish"))
OFF_CDEV = ("not-retrieved", ("retrieve", "bind", "finish"))
NOBODYS, OWNED, EMPTY = ("restored", ("retrieve", "replace")), ("restored", ("replace",)), ("restored", ())
ON, LEFT = ("attached", XF), ("left", F)
STEPS = {
    "session": (("retrieved", F), ("not-retrieved", RF), NOT_ON, NOBODYS, OFF_CDEV, ON),
    "retrieved": (("retrieved", F), ("retrieved", F), ("restored", ("restore", *XF)), OWNED, OFF_CDEV, ON),
    "bound": (("retrieved", F), ("retrieved", F), ("restored", ("restore", *XF)), OWNED, ("retrieved", F), ON),
    "restored": (("retrieved", F), ("retrieved", F), ("reclaimed", XF), OWNED, ("retrieved", F), ON),
    "replaced": (("retrieved", F), ("retrieved", F), ("reclaimed", F), EMPTY, ("retrieved", F), LEFT),
    "destroyed": (("retrieved", F), ("retrieved", F), ("left", F), ("freed", ()), ("retrieved", F), LEFT),
}


class Look:
    """The views of one step, and what is wrong with them."""

    def __init__(self, machine, at):
        self.at, self.found = at, []
        done = next(e for e in machine.events if e["ev"] == "viewed" and e["at"] == at)
        self.views = self.read(machine, done, "view", discovery.sides)
        for name in ("outgoing", "incoming"):
            self.found += [f"{at}: {name}: {text}" for text in
                           discovery.contradictions(self.views[name], name == "incoming")]
            if not done[name]:
                continue
            # Programs of before the device read debugfs, which has the same, and more.
            old = self.read(machine, done, name, lambda view: view)
            if discovery.without(old, discovery.COUNTS) != discovery.without(self.views[name], ()):
                self.found.append(f"{at}: {name}: debugfs and the device say other things")
        self.outgoing, self.incoming = self.views["outgoing"], self.views["incoming"]
        if self.views["state"] != "whole":
            self.found.append(f"{at}: nothing happens, and the view is {self.views['state']}")
        if done["mode"] != 0o440:
            self.found.append(f"{at}: the device has mode {done['mode']:o}, not 440")

    def read(self, machine, done, name, take):
        text = discovery.texts(machine.events).get(self.at, {}).get(name, "")
        with open(machine.path(f"{self.at}.{name}"), "w", encoding="utf-8", errors="backslashreplace") as f:
            f.write(text)
        if len(text) != done[name]:
            raise Failed(f"{self.at}: {name} has {done[name]} bytes, {len(text)} arrived")
        try:
            return take(discovery.parse(text))
        except discovery.Malformed as error:
            raise Failed(f"{self.at}: {name}: {error}") from None

    def expect(self, what, records, *expected):
        """The records are these: (state, waits) each, in any order."""
        got = sorted((r["state"], r.waits) for r in records)
        if got != sorted(expected):
            self.found.append(f"{self.at}: {what}: {got}, expected {sorted(expected)}")

    def expect_keys(self, what, records, key, expected):
        got = sorted(r.get(key, "") for r in records)
        if got != sorted(expected):
            self.found.append(f"{self.at}: {what}: {key} {got}, expected {sorted(expected)}")

    def empty(self, name):
        if self.views[name].records:
            self.found.append(f"{self.at}: {name} has {[r.type for r in self.views[name].records]}, expected nothing")


def named(look, view, bdfs, hwpts):
    """The objects are those of this rig: not one more, not one less."""
    look.expect_keys("sessions", view.of("session"), "name", [SESSION])
    look.expect_keys("files", view.of("file"), "token", [MEMFD, IOMMUFD, NIC, AUDIO])
    look.expect_keys("hwpts", view.of("hwpt"), "token", hwpts)
    for token, bdf in zip((NIC, AUDIO), bdfs):
        look.expect_keys(f"cdev {token:#x}", view.of("file", token=token), "device", [bdf])


def devices(look, view, iommu, bdfs, hwpts, bridges):
    look.expect_keys("bridges", view.of("bridge", devices=1, bus_master="on"), "bdf", bridges)
    look.expect_keys("devices", view.of("device"), "bdf", bdfs)
    look.expect_keys("domains", view.of("domain"), "index", range(len(hwpts)))
    key, value = NAMED[iommu].shown
    look.expect_keys("iommus", view.of("iommu"), key, [value])


def each(look, at, hwpts):
    session, files, hwpt, domain, cdev, device = STEPS[at]
    view = look.incoming
    look.expect("session", view.of("session"), session)
    look.expect("memfd and iommufd", view.of("file", token=MEMFD) + view.of("file", token=IOMMUFD), files, files)
    look.expect("hwpts", view.of("hwpt"), *[hwpt] * len(hwpts))
    look.expect("domains", view.of("domain"), *[domain] * len(hwpts))
    look.expect("cdevs", view.of("file", token=NIC) + view.of("file", token=AUDIO), cdev, cdev)
    look.expect("devices", view.of("device"), device, device)
    look.expect("bridges", view.of("bridge"), *[("running", F)] * len(view.of("bridge")))
    look.expect("iommu", view.of("iommu"), ("adopted", ()))
    for record in view.of("session") + view.of("file", state="retrieved"):
        if (record.get("pid"), record.get("comm"), record.get("alive")) != (1, "init", "yes"):
            look.found.append(f"{at}: {record.type} is not held by init")


@guarded
def steps(machine, begin, iommu, shared, behind="bus"):
    """Each step of an update with two devices; then the clean run's own verdict."""
    run = begin(iommu=iommu, behind=behind, append="rig.view=both" if shared else "rig.view=1 rig.hwpt=each")
    bdfs = [run.ready["nic"], run.ready["audio"]]
    bridges = [ROOT_PORT] if behind == "port" else []
    hwpts = [HWPT_NIC] if shared else [HWPT_NIC, HWPT_AUDIO]
    machine.send("view before")
    machine.wait("viewed", at="before")
    run.rest(1)
    run.update(2)
    machine.send("view after")
    machine.wait("viewed", at="after")
    run.rest(AFTER_S)
    run.stop()

    looks = {at: Look(machine, at) for at in ("before", "preserved", "came", *STEPS, "finished", "after")}
    for at in looks:
        if at != "preserved":
            looks[at].empty("outgoing")
    for at in ("before", "preserved", "after"):
        looks[at].empty("incoming")

    look = looks["preserved"]
    named(look, look.outgoing, bdfs, hwpts)
    devices(look, look.outgoing, iommu, bdfs, hwpts, bridges)
    look.expect("session", look.outgoing.of("session"), ("outgoing", ()))
    for kind in ("file", "hwpt", "domain", "iommu", "device", "bridge"):
        records = look.outgoing.of(kind)
        look.expect(kind, records, *[("preserved", ())] * len(records))

    look = looks["came"]
    devices(look, look.incoming, iommu, bdfs, hwpts, bridges)
    look.expect_keys("sessions", look.incoming.of("session", files=4), "name", [SESSION])
    look.expect("session", look.incoming.of("session"), ("not-read", RF))
    look.expect("files", look.incoming.of("file"))
    look.expect("devices", look.incoming.of("device"), ON, ON)
    for at in STEPS:
        look = looks[at]
        named(look, look.incoming, bdfs, hwpts)
        devices(look, look.incoming, iommu, bdfs, hwpts, bridges)
        each(look, at, hwpts)
        before, after = discovery.carried(looks["preserved"].outgoing), discovery.carried(look.incoming)
        look.found += [f"{at}: {kind}: {after[kind]}, but preserved was {before[kind]}"
                       for kind in before if before[kind] != after[kind]]

    look = looks["finished"]
    look.expect("session", look.incoming.of("session"), ("finished", ("close",)))
    look.expect("others", [r for r in look.incoming.records if r.type != "session"])
    found = [text for look in looks.values() for text in look.found]
    machine.figures["views"] = len(looks)
    if found:
        raise Failed("; ".join(found))
    clean(run)


@guarded
def refused(machine, begin, parameter, by, why, lists=(), iommus=(), domains=()):
    """The next kernel refuses what came: the devices stand still, and the view says why."""
    run = begin(iommu="vtd-scalable", append="rig.view=1 rig.idle=1")
    bdfs = [run.ready["nic"], run.ready["audio"]]
    since = len(machine.events)
    machine.send(f"update next={parameter}")
    machine.wait("jump", since=since)
    machine.wait("idle", since=since, timeout_s=60)
    # The devices are reset before user space starts.
    machine.send("view refused")
    machine.wait("viewed", at="refused")
    machine.send("off")
    machine.finish()

    look = Look(machine, "refused")
    view = look.incoming
    look.empty("outgoing")
    look.expect_keys("refused devices", view.of("device", state="refused", bus_master="off", by=by, why=why),
                     "bdf", bdfs)
    # QEMU's igb can be reset, its intel-hda on the root bus cannot: the log says so, too.
    look.expect_keys("devices that were reset", view.of("device", reset="done"), "bdf", bdfs[:1])
    look.expect_keys("devices that cannot be reset", view.of("device", reset="failed", errno=errno.ENOTTY),
                     "bdf", bdfs[1:])
    look.expect_keys("devices in all", view.of("device"), "bdf", bdfs)
    look.expect_keys("lists", view.of("list"), "name", lists)
    look.expect_keys("iommus", view.of("iommu", state="refused"), "why", iommus)
    look.expect("domains", view.of("domain"), *domains)
    console = machine.console()
    for bdf in bdfs:
        if not any(bdf in line and why in line for line in console.splitlines()):
            look.found.append(f"the log does not say of {bdf} that '{why}'")
    if look.found:
        raise Failed("; ".join(look.found))


ODD_NAME = 'a "b" \\c\nü=\udcff'        # as rig/guest/update/view.c has it


def holder(machine):
    """Whose a session is, and whether it still lives; a name of odd bytes."""
    machine.start(append="rig.devs=none")
    machine.wait("ready")
    machine.send("holder")
    machine.wait("viewed", at="closed")
    machine.send("off")
    machine.finish()
    pid = next(e["pid"] for e in machine.events if e["ev"] == "holder")
    looks = {at: Look(machine, at) for at in ("held", "orphaned", "closed")}
    for at, alive in (("held", "yes"), ("orphaned", "no")):
        expected = {"name": ODD_NAME, "state": "outgoing", "files": 0, "pid": pid, "comm": "holder x", "alive": alive}
        got = [dict(r) for r in looks[at].outgoing.records]
        if got != [expected]:
            looks[at].found.append(f"{at}: {got}, expected {[expected]}")
        looks[at].empty("incoming")
    looks["closed"].empty("outgoing")
    found = [text for look in looks.values() for text in look.found]
    if found:
        raise Failed("; ".join(found))


@guarded
def others(machine, begin, iommu):
    """
    The view without debugfs, while another process has /dev/liveupdate, of a user whose
    group may read it, and of one who may not; a text that is read in pieces is of one moment.
    To see it fail: .physical = true in look_once(): "member"; look_twice() at each read in
    view_read(): "kept".
    """
    run = begin(iommu=iommu, append="rig.debugfs=0")
    bdfs = [run.ready["nic"], run.ready["audio"]]
    since = len(machine.events)
    machine.send("preserve")
    machine.wait("preserved", since=since, timeout_s=60)
    machine.send("others")
    kept = machine.wait("kept", since=since, timeout_s=30)
    machine.send("off")
    machine.finish()

    found = []
    got = next(e for e in machine.events if e["ev"] == "others")
    expected = {"held": 0, "second": errno.EBUSY, "debugfs": errno.ENOENT, "written": errno.EINVAL}
    for what, number in expected.items():
        if got[what] != number:
            found.append(f"{what}: {errno.errorcode.get(got[what], got[what])}, expected {errno.errorcode.get(number, number)}")
    root, member = Look(machine, "held"), Look(machine, "member")
    named(root, root.outgoing, bdfs, [HWPT_NIC])
    for kind, key in discovery.PHYSICAL:
        for look, there in ((root, True), (member, False)):
            records = look.outgoing.of(kind)
            if not records or any((key in record) != there for record in records):
                found.append(f"{look.at}: {key} of {kind}: {[r.get(key) for r in records]}")
    if discovery.without(member.outgoing, ()) != discovery.without(root.outgoing, discovery.PHYSICAL):
        found.append("a member of the group sees something else than root without physical addresses")
    stranger = next(e for e in machine.events if e["ev"] == "viewed" and e["at"] == "stranger")
    if stranger["view"] != -errno.EACCES:
        found.append(f"a stranger reads {stranger['view']}, expected {-errno.EACCES}")
    if (kept["session"], kept["rest"], kept["next"]) != (1, 0, 1):
        found.append(f"a session that was made between two reads: {kept}, expected in the next text only")
    found += root.found + member.found
    machine.figures["tries"] = len(expected) + 4
    if found:
        raise Failed("; ".join(found))


@guarded
def watched(machine, begin, iommu, n=20):
    """
    Somebody reads all the time while preserve is done and undone, and all through an update.
    To see it fail: return after the first look() of look_twice(): torn.
    """
    run = begin(iommu=iommu, nic=False, append="rig.reader=1")
    run.rest(1)
    since = len(machine.events)
    machine.send("reader")
    machine.send(f"undo {n}")
    machine.wait("undone", since=since, timeout_s=60)
    machine.send("reader")
    both = [machine.wait("reader", since=since)]
    since = len(machine.events)
    run.update(2)                       # which rig.reader=1 starts one for, in both kernels
    machine.send("reader")
    both.append(machine.wait("reader", since=since))
    run.stop()
    must_see("views read while preserve is done and undone", both[0]["reads"] >= n)
    must_see("views read in the next kernel", both[1]["reads"])
    read = {key: sum(e[key] for e in both) for key in ("reads", "bad", "busy", "changing", "torn")}
    machine.figures.update({f"views_{key}": number for key, number in read.items()})
    # The reader keeps the CPUs of the host busy, too: what is late says nothing here.
    run.judge()
    found = [f"{machine.figures[key]} {key}" for key in
             ("iommu_faults", "dma_misdirected", "translation_switched_off") if machine.figures[key]]
    if read["bad"]:
        found.append(f"{read['bad']} of {read['reads']} views are not whole")
    if read["torn"]:
        found.append(f"{read['torn']} of {read['reads']} views are not of one moment, and do not say so")
    if read["changing"] > read["reads"] / 10:
        found.append(f"{read['changing']} of {read['reads']} views do not come to rest")
    if found:
        raise Failed("; ".join(found))


OTHER_MODE = "this kernel uses another mode; see intel_iommu=sm_on and sm_off"
IOMMU_OFF = "the IOMMU is turned off by the command line"
UPDATE_OFF = "Live Update is switched off"

CASES = [
    Case("discovery-scalable", "the view at each step of an update, scalable mode, a HWPT for each device",
         bind(steps, iommu="vtd-scalable", shared=False), debug=True),
    Case("discovery-legacy", "the view at each step of an update, legacy mode, one HWPT for both devices, a bridge; debugfs says the same",
         bind(steps, iommu="vtd-legacy", shared=True, behind="port")),
    Case("discovery-watched", "the view is read all the time, while preserve is undone and all through an update",
         bind(watched, iommu="vtd-scalable"), debug=True),
    Case("discovery-others", "the view without debugfs, while /dev/liveupdate is another's, of users who may not know all",
         bind(others, iommu="vtd-scalable")),
    Case("discovery-holder", "the view says who holds a session, dead or alive", holder),
    Case("discovery-other-mode", "the view says why a next kernel with the IOMMU in another mode refused all",
         bind(refused, parameter="intel_iommu=sm_off", by="iommu", why=OTHER_MODE, iommus=[OTHER_MODE],
              domains=[("unused", ())]),
         fault="the next kernel has the IOMMU in another mode"),
    Case("discovery-iommu-off", "the view says why a next kernel without IOMMU refused all",
         bind(refused, parameter="intel_iommu=off", by="pci", why=IOMMU_OFF, domains=[("unused", ())]),
         fault="the next kernel has the IOMMU off"),
    Case("discovery-update-off", "the view says why a next kernel without live update refused all",
         bind(refused, parameter="liveupdate=off", by="pci", why=UPDATE_OFF, lists=["pci-v5"],
              iommus=["translation is on, but was not handed over"]),
         fault="the next kernel has live update off"),
]
