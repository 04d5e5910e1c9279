# SPDX-License-Identifier: GPL-2.0-only
"""The agent below systemd 261 or later as process 1, which keeps its sessions."""

import errno
import os
import subprocess

from rig.cases.library import agent_files
from rig.lib import initramfs, programs
from rig.lib.case import Case
from rig.lib.machine import Failed, Skipped
from rig.lib.run import bind

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNIT = f"{TOP}/packaging/debian/continuo.continuo-agent.service"
MOST_SESSIONS = 2048                    # of the agent's
OWN = 1                                 # that root has of it meanwhile

VM = """[Unit]
{more}
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/guest vm {name}
LUOSession=vm
NotifyAccess=main
FileDescriptorStorePreserve=yes
"""
UNITS = {
    "vm-early.service": VM.format(name="early", more="Before=continuo-agent.service"),
    "vm-late.service": VM.format(name="late", more=""),
    "taken.service": "[Service]\nExecStart=/usr/bin/guest taken\n",
    # Started in the agent's sandbox, as what --takeover names.
    "continuo-agent.service.d/rig.conf": "[Service]\nExecStartPost=/usr/bin/systemctl --no-block start taken.service\n",
    # Stays when everything else has been ended, as a daemon of the root's storage does.
    "hold.service": "[Unit]\nDefaultDependencies=no\nSurviveFinalKillSignal=yes\nIgnoreOnIsolate=yes\n"
                    "[Service]\nExecStart=/usr/bin/guest hold\n",
    "drive.service": "[Unit]\nAfter=continuo-agent.service vm-early.service\n[Service]\nExecStart=/usr/bin/guest drive\n",
    "multi-user.target.d/rig.conf": "[Unit]\nWants=continuo-agent.service vm-early.service drive.service\n",
}

# What systemd hands over comes to the agent when it starts; else the agent has nothing
# until it is asked, and gets it from the kernel.
KEPT, FROM_KERNEL = "vm-1", ""


def base(suite="sid"):
    made = subprocess.run([f"{TOP}/rig/systemd/root", suite], stdout=subprocess.PIPE, text=True, check=False)
    said = made.stdout.strip()
    if made.returncode == 77:
        raise Skipped(said)
    if made.returncode:
        raise Failed("rig/systemd/root failed; see above")
    with open(said, "rb") as f:
        return f.read()


def guest():
    with programs.folder("rig-systemd") as out:
        programs.make("lib", f"{out}/lib")
        subprocess.run(["cc", "-O2", "-g", "-std=gnu11", "-Wall", "-Wextra", f"-I{TOP}/lib", "-static", "-o", f"{out}/guest",
                        f"{TOP}/rig/systemd/guest.c", f"{out}/lib/libcontinuo.a"], check=True)
        return programs.read(f"{out}/guest")


def expected(jump):
    """What has to be heard: (what, its members)."""
    here, there = {"stage": 1}, {"stage": 2}
    good = {"errno": 0, "bytes": 64 * 4096, "bad": 0}
    by_systemd = jump == "systemd"
    held = {"fds": 1, "names": "vm"}
    out = [
        ("sandbox", {"no_new_privs": 1, "seccomp": 2, "network": 1, "view": 0, "other_device": errno.EPERM}),
        # Somebody else has /dev/liveupdate: who asks for a session hears so, or gets it when that one has closed it.
        ("lent", {"errno": errno.EBUSY, "named": 1}),
        ("agent", {"when": "held", "sessions": "vm-1"}),
        ("free", {"errno": 0}),
        ("again", {"taken": 0}),
        ("many", {"made": MOST_SESSIONS - OWN, "errno": errno.ENOSPC, "stored": MOST_SESSIONS}),
        ("many_gone", {"gone": MOST_SESSIONS - OWN, "stored": OWN}),
        ("reserved", {"errno": errno.EINVAL}),
        ("agent", {"when": "created", "stored": 1, "restarts": 0}),
        # It was killed, and another one has what it had.
        ("agent", {"when": "killed", "sessions": "vm-1", "stored": 1, "restarts": 1}),
        ("survived", {"twice": errno.EEXIST, "more": 0}),
        # The agent does not keep /dev/liveupdate. Whoever does keeps systemd from starting units that want
        # sessions of it, even those that it has one for.
        ("started", {**here, "agent": "runs", "early": 0, "late": 0}),
        ("started", {**here, "agent": "held", "early": 1, "late": 1}),
        ("started", {**here, "agent": "stopped", "early": 0, "late": 0}),
        ("unit_preserve", {**here, "who": "early", "errno": 0}),
        ("unit_preserve", {**here, "who": "early", "errno": errno.EEXIST}),
        ("unit_preserve", {**here, "who": "late", "errno": 0}),
        ("agent", {"when": "stopped", "sessions": "vm-1", "stored": 1}),
        ("taken", here), ("taken", there),

        ("agent", {"when": "arrived", "sessions": KEPT if by_systemd else FROM_KERNEL,
                   "stored": 1 if by_systemd else 0}),
        ("memory", {"who": "vm-1", "token": 1, **good}),
        ("memory", {"who": "vm-1", "token": 2, **good}),
        ("back", {"session": "vm-1", "errno": 0}),
        ("agent", {"when": "released", "sessions": "", "stored": 0}),
        ("unit", {**there, "who": "early", **held}),
        ("started", {**there, "agent": "runs", "early": 0, "late": 0}),
        ("started", {**there, "agent": "stopped", "early": 0, "late": 0}),
    ]
    for who in ("early", "late"):
        if by_systemd:
            # The same session, for what is in it; for the next update it takes another.
            out += [("memory", {"who": who, "token": 7, **good}),
                    ("unit_finish", {"who": who, "errno": 0, "more": errno.EINVAL})]
        else:
            # A new session, of the same name in another list of the kernel's.
            out += [("memory", {"who": who, "token": 7, "errno": errno.EINVAL})]
    out.append(("unit_preserve", {**there, "who": "early", "errno": 0}))
    return out


def said(event, ev, members):
    return event["ev"] == ev and all(
        (sorted(event.get(k, "").split()) == sorted(v.split())) if k == "sessions" else event.get(k) == v
        for k, v in members.items())


def systemd(machine, jump):
    """
    jump: by "systemd"; "direct", without its shutdown, as continuo update does, while somebody
    has /dev/liveupdate; or "held": by systemd, when somebody still has it.
    Seen to fail: with the unit as it was before Type=notify; without each of
    FileDescriptorStoreMax=, FileDescriptorStorePreserve= and LimitNOFILE= in it; when
    systemd.c gives up what systemd has no room for (of 1022 sessions that were released,
    351 stayed with systemd), and when it takes none of what it inherits; with other
    contents expected in the next kernel.
    """
    with open(UNIT, "rb") as f:
        unit = f.read()
    program = guest()
    root = base() + initramfs.archive({
        "/usr/bin/guest": program, **agent_files(),
        "/usr/lib/systemd/system/continuo-agent.service": unit,
        **{f"/etc/systemd/system/{name}": text.encode() for name, text in UNITS.items()},
    })
    # What is loaded has to fit into a scratch area, and the estimate is too large to be had.
    machine.start(iommu="vtd-scalable", memory="4G", init_files={"/init": program, "/root.cpio": root},
                  append=f"rig.jump={jump} kho_scratch=32M,64M,512M printk.devkmsg=on "
                         "systemd.log_target=kmsg systemd.show_status=0",
                  quiet_s=120, limit_s=900)
    machine.wait("boot", stage=1, timeout_s=120)
    machine.wait("jump", timeout_s=300)
    machine.wait("boot", stage=2, timeout_s=200)
    machine.wait("done", timeout_s=300)
    machine.finish(timeout_s=120)

    wanted = expected(jump)
    machine.figures["checks"] = len(wanted)
    machine.figures["names_free_late"] = next(e["late"] for e in machine.events if e["ev"] == "again")
    for ev, members in wanted:
        if not any(said(e, ev, members) for e in machine.events):
            heard = [{k: v for k, v in e.items() if not k.startswith("host")} for e in machine.events if e["ev"] == ev]
            raise Failed(f"expected {ev} with {members}, heard {heard or 'nothing'}")


CASES = [
    Case("systemd", "systemd keeps the agent's sessions, and hands them over at its own kexec",
         bind(systemd, jump="systemd"), kernel="systemd"),
    Case("systemd-direct", "a jump that systemd knows nothing of", bind(systemd, jump="direct"), kernel="systemd"),
    Case("systemd-held", "systemd jumps, and cannot have /dev/liveupdate", bind(systemd, jump="held"), kernel="systemd"),
]
