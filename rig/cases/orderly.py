# SPDX-License-Identifier: GPL-2.0-only
"""
An update below systemd as process 1 ends the services of the host in their order, and what VMs
use stays: two file systems are clean in the next kernel, and no frame is lost. Each step has a
line in the journal, with one id in both kernels. One VM is the unit of docs/real-machine.md.
"""

import os
import re
import shutil
import subprocess
import textwrap
import time

from rig.cases import systemd
from rig.cases.command import both_ways, continuo, output, program, says_ready
from rig.cases.library import agent_files
from rig.cases.operator import EXAMPLE_DEVICE, EXAMPLE_HARDWARE, EXAMPLE_OPTION, TENANTS, example_files, states, vms_of
from rig.lib import initramfs
from rig.lib.case import Case
from rig.lib.machine import Failed, Skipped
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded, wall_us

TOP = systemd.TOP
DISK_BYTES = 64 << 20
# Of the unit that the VMs are in. Each of them has it in the next kernel, too.
MEMORY_MAX = 3 << 30
EXT4_MAGIC = 0xef53
EXT4_VALID_FS = 1

AGENT = "--agent /tmp/agent.sock"
UPDATE = f"{AGENT} --kernel /next/bzImage --initrd /next/initramfs --append @/next/cmdline"
REPORT = "--record /tmp/update.json --history /srv/vm/continuo"
# The VM of docs/real-machine.md, its user's id, and its unit in the next kernel.
WEB1, WEB1_UID = "web1", 1002
WEB1_CARRIED = f"continuo-vm-{WEB1_UID}-{WEB1}.service"
VMS = {*TENANTS, f"u{WEB1_UID}.{WEB1}"}
# Of an update that arrives, in the order in which they come.
STEPS = ["sync", "services", "sync again", "preserve", "suspend", "flush", "count", "seal", "jump", "kernel boot", "take over"]

MOUNT = """[Unit]
Requires=disks.service
After=disks.service
[Mount]
What=/disk/{name}
Where=/srv/{name}
Type=ext4
"""
SERVICE = "[Unit]\n{unit}\n[Service]\n{service}\n"
UNITS = {
    # Before anything of the disks is mounted.
    "disks.service": SERVICE.format(unit="DefaultDependencies=no", service="Type=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/guest disks"),
    "srv-data.mount": MOUNT.format(name="data"),
    "srv-vm.mount": MOUNT.format(name="vm"),
    "writer.service": SERVICE.format(unit="RequiresMountsFor=/srv/data", service="ExecStart=/usr/bin/guest writer"),
    "stubborn.service": SERVICE.format(unit="", service="ExecStart=/usr/bin/guest stubborn\nTimeoutStopSec=infinity"),
    # It takes a while until it is there again, which is waited for.
    "slow.service": SERVICE.format(unit="", service="Type=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/sleep 5"),
    # What the VMs use: it stays since their unit wants it.
    "bridge.service": SERVICE.format(unit="", service="Type=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/guest say bridge\n"
                                                     "ExecStop=/usr/bin/guest say bridge_gone"),
    "disk.service": SERVICE.format(unit="RequiresMountsFor=/srv/vm", service="ExecStart=/usr/bin/guest disk"),
    # It would end with what it is part of, which stays because of that.
    "vms.target": "[Unit]\n",
    "vms.service": SERVICE.format(unit="PartOf=vms.target\nRequires=bridge.service disk.service\nAfter=bridge.service disk.service continuo-agent.service\n"
                                       "RequiresMountsFor=/tmp\nSuccessAction=poweroff-immediate\nFailureAction=poweroff-immediate",
                                  service=f"ExecStart=/usr/bin/init\nSlice=tenants.slice\nMemoryMax={MEMORY_MAX}\nTasksMax=400\nNice=-1\n"
                                          "CPUQuota=350.5%\nCPUWeight=200\nLimitMEMLOCK=2G:4G\nOOMScoreAdjust=-100\nDevicePolicy=auto\n"
                                          "DeviceAllow=char-* rwm\nDeviceAllow=block-* rwm"),
    # In place of what the package has in /run: the rig's tenants expect it there.
    "continuo-agent.service.d/rig.conf":
        "[Unit]\nRequiresMountsFor=/tmp\n[Service]\nReadWritePaths=/tmp\nExecStart=\n"
        "ExecStart=/usr/sbin/continuo-agent --services /usr/lib/continuo/services --socket /tmp/agent.sock --group vmm "
        "--record /tmp/update.json --list /tmp/vms --takeover /usr/lib/continuo/takeover\n"
        "Environment=CONTINUO_TAKE=/usr/bin/init\n",
    # The record is elsewhere, too, and what is kept of it on a disk that is there in both kernels.
    "continuo-record.path.d/rig.conf": "[Path]\nPathChanged=\nPathChanged=/tmp/update.json\n",
    "continuo-record.service.d/rig.conf":
        "[Unit]\nRequiresMountsFor=/tmp /srv/vm\nConditionPathExists=\nConditionPathExists=/tmp/update.json\n"
        f"[Service]\nExecStart=\nExecStart=/usr/bin/continuo {REPORT} --keep --wait report\n",
    # Its device, which its user may open here.
    "web1.service.d/rig.conf": f"[Service]\nExecStartPre=+/bin/sh -c 'chown {WEB1} /dev/iommu /dev/vfio/devices/*'\nExecStart=\n"
                               f"ExecStart=/usr/bin/vmm {AGENT} {WEB1} {EXAMPLE_DEVICE}\n",
    "multi-user.target.d/rig.conf": "[Unit]\nWants=continuo-agent.service vms.target vms.service writer.service stubborn.service slow.service "
                                    "continuo-record.path continuo-record.service\n",
}


def guide_unit():
    """The unit of the VM, as docs/real-machine.md has it."""
    with open(f"{TOP}/docs/real-machine.md", encoding="utf-8") as f:
        return textwrap.dedent(re.search(r"/etc/systemd/system/web1\.service <<'END'\n(.*?)^    END$", f.read(), re.M | re.S)[1])


def filesystem_tool(name):
    path = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin")
    if not path:
        raise Skipped(f"no {name} (package e2fsprogs)")
    return path


def disks(machine):
    """Two of them, and QEMU's arguments for them."""
    mkfs = filesystem_tool("mkfs.ext4")
    out = []
    for slot, name in ((8, "data"), (9, "vm")):
        path = machine.path(f"{name}.img")
        with open(path, "wb") as f:
            f.truncate(DISK_BYTES)
        subprocess.run([mkfs, "-q", "-F", path], check=True)
        out += ["-drive", f"file={name}.img,if=none,id={name},format=raw", "-device", f"virtio-blk-pci,drive={name},addr={slot}.0,romfile="]
    return out


def files(machine, suite):
    """The initramfs: the root of that Debian is in it, with the rig's program as a service."""
    guest = systemd.guest()
    packaging = f"{TOP}/packaging"
    inside = {"/usr/bin/guest": guest, "/srv/data/": b"", "/srv/vm/": b"", **agent_files(), **program(), **example_files()}
    with open(f"{machine.programs}/init", "rb") as f:
        inside["/usr/bin/init"] = f.read()
    for to, source in {
            "/usr/lib/continuo/services": "services", "/usr/lib/continuo/takeover": "takeover",
            "/usr/lib/continuo/keep": "keep",
            "/usr/lib/systemd/system/continuo-agent.service": "debian/continuo.continuo-agent.service",
            "/usr/lib/systemd/system/continuo-update.target": "debian/continuo.continuo-update.target",
            "/usr/lib/systemd/system/continuo-back.target": "debian/continuo.continuo-back.target",
            "/usr/lib/systemd/system/continuo-record.path": "debian/continuo.continuo-record.path",
            "/usr/lib/systemd/system/continuo-record.service": "debian/continuo.continuo-record.service"}.items():
        with open(f"{packaging}/{source}", "rb") as f:
            inside[to] = f.read()
    # What is in the journal can be read on the console.
    inside["/etc/systemd/journald.conf.d/rig.conf"] = b"[Journal]\nForwardToKMsg=yes\nMaxLevelKMsg=info\n"
    inside |= {f"/etc/systemd/system/{name}": text.encode() for name, text in {**UNITS, "web1.service": guide_unit()}.items()}
    # The folders of a cpio archive are in it twice; the second one changes nothing.
    return {"/init": guest, "/root.cpio": systemd.base(suite) + initramfs.archive(inside)}


def heard(machine, since, ev, **members):
    """Where an event is, from there on; or None."""
    return next((i for i, e in enumerate(machine.events) if i >= since and e["ev"] == ev and
                 all(e.get(k) == v for k, v in members.items())), None)


def must_be(machine, since, *events):
    """These events, in this order."""
    for ev, members in events:
        at = heard(machine, since, ev, **members)
        if at is None:
            raise Failed(f"there is no {ev} with {members} where one has to be")
        since = at + 1


def kernels(machine):
    """The console's text, of each kernel."""
    return re.split(r"^.*\] Linux version .*$", machine.console(), flags=re.M)[1:]


def journal(machine):
    """What continuo has said in the journal of each kernel: a dict of each line."""
    return [[{key: value.strip('"') for key, value in re.findall(r'(\w+)=("[^"]*"|\S*)', line)}
             for line in re.findall(r"\bcontinuo\[\d+\]: (update=.*)", text)] for text in kernels(machine)]


def ended(machine, verdict):
    """Wait until the journal has it."""
    deadline = time.monotonic() + machine.bound(60)
    while not any(line.get("ended") == verdict for kernel in journal(machine) for line in kernel):
        if time.monotonic() > deadline:
            raise Failed(f"the journal has no update that has ended as {verdict}: {journal(machine)}")
        time.sleep(0.2)


def judge_journal(machine):
    """Both updates have a line for each step of the host's, and an id of their own in all of them."""
    first, *rest = journal(machine)
    if len(rest) != 1:
        raise Failed(f"the console has {1 + len(rest)} kernels")
    undone = {line["update"] for line in first if line.get("ended") == "undone"}
    # Each of the next kernel's is of the one that came over.
    over = {line["update"] for line in rest[0]}
    if len(undone) != 1 or len(over) != 1 or {line["update"] for line in first} != undone | over or undone & over:
        raise Failed(f"an update does not have one id: {first}, and in the next kernel {rest[0]}")
    steps = {line.get("step") for line in first if line["update"] in undone and "vm" not in line} - {None}
    if steps != {"sync", "services", "undo"}:
        raise Failed(f"of the update that was undone the journal has the steps {steps}")
    early = [line for line in first if line["update"] in over]
    lines = [line for line in early + rest[0] if "step" in line and "vm" not in line]
    times = {line["step"]: line["time"] for line in lines}
    # A line can be there twice if what was kept stood still before it was written.
    if sorted(times, key=times.get) != STEPS or len({(line["step"], line["time"]) for line in lines}) != len(STEPS):
        raise Failed(f"the journal has the steps {lines}, expected {STEPS}")
    # Long before the jump: the kernel that it is of says so itself.
    if "sync" not in {line.get("step") for line in early}:
        raise Failed(f"the first kernel says no more of the update than {early}")
    blackouts = {line["vm"] for line in rest[0] if line.get("step") == "blackout"}
    if blackouts != VMS:
        raise Failed(f"the journal has the blackouts of {blackouts}")
    machine.figures["lines_of_each_kernel"] = [len(early), len(rest[0])]


def judge_unmounted(machine):
    """
    The file system that nobody uses any more was unmounted, once, before the jump; the VM's was not. On the disks that
    cannot be seen: one that is frozen has the superblock of one that is unmounted.
    """
    gone = [re.findall(r"EXT4-fs \((\w+)\): unmounting filesystem", text) for text in kernels(machine)]
    if gone != [["vda"], []]:
        raise Failed(f"of each kernel's file systems these were unmounted: {gone}, expected that of vda, in the first")


def judge_file_systems(machine):
    """
    The rig has switched off without unmounting: what is in the journal is written, and then nothing is to be wrong. In a
    second step, since the first one's status is the same whether the journal is replayed or an error is mended.
    """
    for name in ("data", "vm"):
        for options in (["-y", "-E", "journal_only"], ["-f", "-n"]):
            done = subprocess.run([filesystem_tool("e2fsck"), *options, machine.path(f"{name}.img")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, check=False)
            if done.returncode > ("-n" not in options):
                raise Failed(f"e2fsck {' '.join(options)} of the disk {name} ends with {done.returncode}: {done.stdout}")


def judge_report(report):
    """Each step follows the one before; what files take is a part of the pause, and of each VM's blackout."""
    if [p["phase"] for p in report["phase"]] != STEPS:
        raise Failed(f"the report has the phases {report['phase']}")
    phase = {p["phase"]: p for p in report["phase"]}
    for a, b in zip(report["phase"], report["phase"][1:]):
        # Of figures that are rounded.
        if a["begin_ms"] + a["ms"] > b["begin_ms"] + 0.2:
            raise Failed(f"{a['phase']} is not over when {b['phase']} begins: {report['phase']}")
    pause = phase["kernel boot"]["begin_ms"] - phase["suspend"]["begin_ms"]
    for vm in report["vm"]:
        if not vm.get("blackout_ms", 0) > pause > phase["flush"]["ms"] > 0:
            raise Failed(f"the blackout of {vm} is not longer than {pause}, of which flush is {phase['flush']['ms']}")


def judge_history(machine):
    """What was kept on the disk has both updates, and which boot they were of."""
    status, data = continuo(machine, f"{REPORT} --list report")
    undone, over = [{key: row.get(key) for key in ("ended", "boot_from", "boot_to")} for row in data["update"]]
    if status or (undone["ended"], over["ended"], undone["boot_to"]) != ("undone", "complete", None) or \
            undone["boot_from"] != over["boot_from"] or over["boot_to"] in (None, over["boot_from"]):
        raise Failed(f"the history ends with {status}, and has {data['update']}")


def must_say(machine, text, status, *patterns):
    """A program of the host ends so, and has these lines."""
    ended_with, said = output(machine, text)
    said = said.decode(errors="replace")
    if ended_with != status or not all(re.search(pattern, said, re.M) for pattern in patterns):
        raise Failed(f"{text} ends with {ended_with}, expected {status} and {patterns}: {said}")


def start_web1(machine):
    """As docs/real-machine.md has it started; its user is in no package here."""
    must_say(machine, f"/usr/sbin/useradd --uid {WEB1_UID} --gid vmm --no-create-home {WEB1}", 0)
    must_say(machine, "/usr/bin/systemctl daemon-reload", 0)
    must_say(machine, "/usr/bin/systemctl start web1", 0)


def judge_web1(machine):
    """What docs/real-machine.md says of both units after an update."""
    must_say(machine, f"/usr/bin/systemctl status {WEB1}", 3, r"^ *Active: inactive \(dead\)")
    must_say(machine, f"/usr/bin/systemctl status continuo-vm-*-{WEB1}.service", 0, f"{WEB1_CARRIED} - VM {WEB1}", r"^ *Active: active \(running\)",
             f"^ *CGroup: /machine.slice/{WEB1_CARRIED}$")


@guarded
def orderly(machine, begin, suite="sid"):
    """
    First a service does not stop: it is named, the update is undone, and the services that had
    ended run again. Then it is left: the others end, and the VMs go over.
    Seen to fail: without the freeze (agent/still.c) the disk of the VM needs recovery; with --now
    the writer does not end; with a line, an id or a blackout taken out of what a run had said; with
    "back" not waiting (packaging/services without After=) slow.service is said to be missing;
    with unmount() of packaging/services empty no file system is unmounted.
    """
    # Many units start beside the VMs' processes, which at 2000/s have to run every 128 ms for a ring of 256.
    run = begin(iommu="vtd-scalable", tenants=True, extra=[*EXAMPLE_HARDWARE, *disks(machine)], ready_s=240, init_files=files(machine, suite), memory="4G", rate=500,
                append=f"rig.tenants=1 rig.library=replace rig.debugfs=0 rig.agent_unit=1 {EXAMPLE_OPTION} kho_scratch=32M,64M,512M "
                       "printk.devkmsg=on systemd.log_target=kmsg systemd.show_status=0",
                quiet_s=120, limit_s=1200)
    for who in ("vm-nic", "vm-audio"):
        machine.wait("tenant_ready", who=who, timeout_s=120)
    machine.wait("writer", stage=1, timeout_s=60)
    machine.wait("stubborn", timeout_s=60)
    # The agent runs, below each of these systemds, and does not keep it.
    since = len(machine.events)
    machine.send("run /usr/bin/guest device")
    machine.wait("ran", since=since, timeout_s=60)
    if heard(machine, since, "device", errno=0) is None:
        raise Failed("/dev/liveupdate cannot be opened while the agent runs")
    start_web1(machine)
    idle = dict.fromkeys(VMS, "idle")
    states(run, idle)
    run.rest(STEADY_S)

    since = len(machine.events)
    status, data = continuo(machine, f"{UPDATE} --timeout 60 --services-timeout 60 update", timeout_s=300)
    if status != 4 or data["outcome"] != "undone":
        raise Failed(f"an update with a service that does not stop ends with {status}: {data}")
    if "stubborn.service hangs" not in machine.console():
        raise Failed("the service that does not stop is not named")
    must_be(machine, since, ("ended", {"who": "writer"}))
    # It has found what it had written: it was started again on the same file system.
    machine.wait("writer", since=since, last="ended", timeout_s=60)
    if heard(machine, since, "obeyed", want="preserve") is not None:
        raise Failed("a VM was asked, although services had not ended")
    states(run, idle)
    ended(machine, "undone")

    says_ready(machine, AGENT)
    since, start = len(machine.events), wall_us()
    machine.send(f"run /usr/bin/continuo --json {UPDATE} --timeout 60 --services-timeout 240 --leave stubborn.service update")
    machine.wait("boot", stage=2, since=since, timeout_s=400)
    for uid, who in ((1000, "vm-nic"), (1001, "vm-audio")):
        end = machine.wait("tenant_back", who=who, since=since, timeout_s=240)
        unit = {"uid": uid, "no_new_privs": 0, "cgroup": f"/tenants.slice/continuo-vm-{uid}-{who}.service", "memory_max": str(MEMORY_MAX)}
        if {key: end[key] for key in unit} != unit:
            raise Failed(f"VM {who} is not a unit of its own in the next kernel, with what its unit had: {end}")
    run.updates.append((start, end["host_real_ns"] // 1000))
    missing = set(re.findall(r"continuo: not started again: *(.*)", machine.console()))
    if missing != {"stubborn.service"}:
        raise Failed(f"services that are said not to run again after the first update: {missing}")
    must_be(machine, since, ("ended", {"who": "writer"}), ("obeyed", {"want": "preserve"}), ("obeyed", {"want": "suspend"}),
            ("boot", {"stage": 2}))
    gone = [e for e in machine.events if e["ev"] == "bridge_gone" or (e["ev"] == "ended" and e["who"] == "vm_disk")]
    if gone:
        raise Failed(f"what the VMs use has ended before the jump: {gone}")
    for name in ("/disk/data", "/disk/vm"):
        disk = machine.wait("disk", stage=2, disk=name, timeout_s=120)
        machine.figures[f"needs_recovery_{name.rpartition('/')[2]}"] = disk["needs_recovery"]
        if (disk["magic"], disk["state"] & EXT4_VALID_FS, disk["needs_recovery"]) != (EXT4_MAGIC, EXT4_VALID_FS, 0):
            raise Failed(f"{name} is not clean in the next kernel: {disk}")
    machine.wait("writer", stage=2, last="ended", timeout_s=120)
    machine.wait("vm_disk", stage=2, found=1, timeout_s=120)
    status, report = both_ways(machine, "--record /tmp/update.json report")
    if status or report["outcome"] != "complete" or vms_of(report) != dict.fromkeys(VMS, "taken over"):
        raise Failed(f"continuo report ends with {status}: {report}")
    machine.figures["report"] = report
    ended(machine, "complete")
    judge_report(report)
    judge_journal(machine)
    judge_history(machine)
    judge_unmounted(machine)
    judge_web1(machine)
    run.rest(AFTER_S)
    states(run, idle)
    run.stop()
    clean(run)
    judge_file_systems(machine)
    for name in ("data", "vm"):
        os.unlink(machine.path(f"{name}.img"))


CASES = [
    Case("systemd-orderly", "below systemd services end before the jump, file systems are clean, no frame is lost", bind(orderly),
         kernel="systemd", alone=True),
    *(Case(f"systemd-orderly-{suite}", f"the same below the systemd of Debian {version} ({suite})", bind(orderly, suite=suite),
           kernel="systemd", alone=True) for suite, version in (("trixie", 13), ("bookworm", 12))),
]
