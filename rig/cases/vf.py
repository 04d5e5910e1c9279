# SPDX-License-Identifier: GPL-2.0-only
"""
Virtual functions: the network device is a VF of an igb whose physical function pci-pf-stub
has. QEMU's igb delivers to a VF only as long as its PF has SR-IOV on and is a bus master, so
what becomes of the PF shows at the VF.

In the cases vf-owned the PF is user space's as well, that of another owner with a session of its
own, and gets the frames that the VF gets. In the cases vf-driven it is the host's own, with the
kernel's driver, and gets them, too.
"""

from rig.cases import update
from rig.cases.devices import BUS_MASTER, pci_command
from rig.cases.handover import edits_of
from rig.cases.host import DEVICES, read, write
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, errno_name, guarded, must_see, wall_us
from rig.lib.vm import VFS
from rig.referee import dmalog, frames

OTHER = "0000:00:1f.2"
STUB = "/sys/bus/pci/drivers/pci-pf-stub"


def pf_of(machine):
    """Its address."""
    return f"0000:00:{machine.iommu.nic_slot:02x}.0"


def ends(machine):
    """What would take the VFs from who has them"""
    bdf = pf_of(machine)
    return {
        "SR-IOV off": (f"{DEVICES}/{bdf}/sriov_numvfs", "0"),
        "PF reset": (f"{DEVICES}/{bdf}/reset", "1"),
        "PF removed": (f"{DEVICES}/{bdf}/remove", "1"),
        "driver taken": (f"{STUB}/unbind", bdf),
    }


def take_pf(run):
    """The PF's driver comes in the next kernel, too."""
    bdf = pf_of(run.machine)
    for path, text in ((f"{DEVICES}/{bdf}/driver_override", "pci-pf-stub"), ("/sys/bus/pci/drivers_probe", bdf)):
        error = write(run, path, text)
        if error:
            raise Failed(f"{text} into {path}: {error}")


@guarded
def carried(machine, begin, iommu, append="", **options):
    """One update or more; each frame arrives in the VF, and nothing is refused."""
    update.carry(machine, begin, iommu, append=f"rig.vf=1 {append}", **options)


@guarded
def to_older(machine, begin, iommu):
    """One update to a kernel that reads no flags of a PF: the VF goes on, and the log says what does not come over."""
    update.carry(machine, begin, iommu, append="rig.vf=1")
    must_see("the log say so of sriov_drivers_autoprobe",
             f"{pf_of(machine)}: liveupdate: the loaded kernel does not know of sriov_drivers_autoprobe" in machine.console())


@guarded
def kept(machine, begin, iommu):
    """
    Whatever would take a VF from who has it is refused: before the jump from the preserve on,
    in the next kernel until the session is finished; then it is not any more.

    To see it fail: without pci_liveupdate_keeps_vfs() in sriov_numvfs_store(), in remove_store()
    or in unbind_store(), or in pci_liveupdate_held().
    """
    def all_refused(when):
        answers = {what: write(run, *attempt) for what, attempt in ends(machine).items()}
        machine.figures[f"answers_{when}"] = answers
        return [f"{when}: {what}: {answer or 'done'}" for what, answer in answers.items() if answer != "EBUSY"]

    run = begin(iommu=iommu, sound=False, append="rig.vf=1")
    run.rest(STEADY_S)
    machine.send("undo 1")
    machine.wait("undone")
    found = []
    error = write(run, *ends(machine)["driver taken"])
    if error:
        found.append(f"undone: the driver cannot be taken from the PF: {error}")
    take_pf(run)
    machine.send("preserve idle=1")
    machine.wait("preserved")
    found += all_refused("preserved")
    run.update(2, command="jump", until="idle")
    take_pf(run)
    found += all_refused("incoming")
    since = len(machine.events)
    machine.send("resume")
    machine.wait("resumed", since=since, timeout_s=60)
    error = write(run, *ends(machine)["driver taken"])
    if error:
        found.append(f"finished: the driver cannot be taken from the PF: {error}")
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=2 * len(ends(machine)), outcome="EBUSY for each, before the jump and after it; frames arrive")
    if found:
        raise Failed("; ".join(found))
    clean(run)


def power_off(machine, run):
    """Frames first; nobody has resumed. What QEMU reported of the IOMMU."""
    for sender in run.senders.values():
        sender.stop()
    machine.send("off")
    machine.finish()
    return machine.dma_log()


@guarded
def without_iommu(machine, begin, options):
    """
    The next kernel has no IOMMU: the VF is stopped, and so is its PF, which only an IOMMU kept from memory.

    Seen to fail: if __pci_liveupdate_refuse() leaves a PF that is there for its VFs as it is.
    """
    run = begin(iommu="vtd-scalable", sound=False, append="rig.vf=1")
    run.rest(STEADY_S)
    masters = {bdf: pci_command(machine, bdf) & BUS_MASTER for bdf in (pf_of(machine), run.ready["nic"])}
    must_see("PF and VF be bus masters before", all(masters.values()))
    run.update(2, f"idle=1 next={options}", until="idle")
    left = [bdf for bdf in masters if pci_command(machine, bdf) & BUS_MASTER]
    power_off(machine, run)
    machine.figures.update(tries=1, outcome="neither the VF nor its PF is a bus master in the next kernel")
    if left:
        raise Failed(f"{' and '.join(left)}: still a bus master, without an IOMMU")


@guarded
def passthrough(machine, begin, append="rig.vf=1"):
    """
    With iommu.passthrough=1 devices begin with the identity, but not a PF that is a bus master for its VFs, and is that
    also when its owner has closed it.

    To see it fail: without pci_liveupdate_begins_empty() in iommu_get_default_domain_type().
    """
    def begins_with(bdf):
        return read(run, f"{DEVICES}/{bdf}/iommu_group/type")

    run = begin(iommu="vtd-legacy", sound=False, append=append)
    run.rest(STEADY_S)
    run.update(2, "next=iommu.passthrough=1")
    kinds = {bdf: begins_with(bdf) for bdf in (OTHER, pf_of(machine))}
    must_see("another device begin with the identity", kinds[OTHER] == "identity")
    must_see("the PF be a bus master", pci_command(machine, pf_of(machine)) & BUS_MASTER)
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=1, domains=kinds, outcome="the PF begins with an empty domain")
    clean(run)
    if not kinds[pf_of(machine)].startswith("DMA"):
        raise Failed(f"the PF begins with {kinds[pf_of(machine)]}")


@guarded
def stray(machine, begin):
    """
    The IOMMU still has an entry of the PF, which the handover does not know: the PF is refused. Its VF is finished,
    and somebody has it: the PF is not reset below it.

    Seen to fail: without pci_liveupdate_iov_in_use() in pci_liveupdate_reset_locked().
    """
    run = begin(iommu="vtd-legacy", sound=False, append="rig.vf=1 liveupdate.break=scrub")
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    command = pci_command(machine, pf_of(machine))
    power_off(machine, run)
    must_see("the PF be refused", f"{pf_of(machine)}: liveupdate: not taken over" in machine.console())
    machine.figures.update(tries=1, outcome="the PF is stopped, and not reset as long as a driver has its VF")
    if command & BUS_MASTER:
        raise Failed("the PF is a bus master")
    if f"{pf_of(machine)}: liveupdate: was reset" in machine.console():
        raise Failed("the PF was reset below its VF")
    must_see("the PF wait for its reset", f"{pf_of(machine)}: liveupdate: cannot be reset" in machine.console())


TOKEN = b"a common secret\0"            # as rig/guest/devices/pf_owner.c has it
# vfio-pci switches SR-IOV on only if it is told to.
OWNED = "vfio_pci.enable_sriov=1 rig.vf=1 rig.pf=vfio"
TOKENS = {"bind {} without a token": "EACCES", "bind {} with a wrong token": "EACCES"}


def pf(run, what):
    """That to the PF's owner, and the name of the errno; None for success."""
    since = len(run.machine.events)
    run.machine.send(f"pf {what}")
    event = run.machine.wait("pf", since=since, what=what.replace("resume-wrong", "resume"))
    return errno_name(event["errno"])


def answers(machine):
    """What came of each step of the PF's owner, the last time."""
    return {e["what"]: errno_name(e["errno"]) for e in machine.events if e["ev"] == "pf"}


def expect(found, what, answer, expected):
    if answer != expected:
        found.append(f"{what}: {answer or 'done'}, expected {expected or 'done'}")


def judge_pf(run):
    """The PF's own DMA: each frame arrived there, too, and nothing was refused."""
    sid, log = dmalog.source_id(pf_of(run.machine)), run.log
    values, found = frames.judge(run.machine.events, run.senders["nic"].log, "pf")
    run.machine.figures["pf_frames"] = values
    faults = log.faults_of([sid])
    if faults:
        found.append(f"IOMMU faults: {dmalog.fault_kinds(faults)}")
    if any(m[1] == sid for m in log.misdirected):
        found.append("DMA misdirected")
    must_see("DMA of the PF before the update", log.times(sid, None, run.updates[0][0]))
    for begin, end in run._phases("kernel boot"):
        if not log.times(sid, begin, end):
            found.append("no DMA while the next kernel boots")
    return [f"PF: {text}" for text in found]


def clean_but(run, found):
    """Nothing is wrong with the run, nor was anything found."""
    try:
        clean(run)
    except Failed as error:
        found = [*found, str(error)]
    if found:
        raise Failed("; ".join(found))


def clean_both(run, found=()):
    clean_but(run, [*found, *judge_pf(run)])


@guarded
def owned(machine, begin, iommu, first, updates=1, **options):
    """
    The PF and its VF go on, with two owners and two sessions. first: the PF's owner comes first; else
    last, and everybody has tried to bind with a wrong token before.

    To see it fail: without vfio_pci_liveupdate_adopt(); the tokens without pci_liveupdate_keeps_vfs() in
    vfio_pci_core_match_token_uuid() if the PF comes first, and without pci_liveupdate_waits_for_pf() and
    the bind of the PF in vfio_pci_liveupdate_reopen() if it comes last.
    """
    run = begin(iommu=iommu, sound=False,
                append=f"{OWNED} rig.tokens=1 rig.updates={updates}{' rig.pf_first=1' if first else ''}", **options)
    run.rest(STEADY_S)
    found = []
    for stage in range(2, updates + 2):
        run.update(stage)
        if not first:
            expect(found, "the PF is retrieved last", pf(run, "resume-wrong"), None)
        run.rest(AFTER_S)
        said = answers(machine)
        for what, answer in TOKENS.items():
            for name in ("nic", "pf"):
                expect(found, what.format(name), said.get(what.format(name)), answer)
    run.stop()
    machine.figures.update(tries=updates, outcome="both go on; who does not know the token has neither")
    clean_both(run, found)


@guarded
def by_library(machine, begin, iommu, updates=2):
    """
    libcontinuo has the VF, and binds it with the token that was said of it, before the PF's owner is back.
    To see it fail: without continuo_vm_device_token() in library_preserve_vm(): "it asks for the token".
    """
    run = begin(iommu=iommu, sound=False, append=f"{OWNED} rig.library=replace rig.updates={updates}")
    run.rest(STEADY_S)
    found = []
    for stage in range(2, updates + 2):
        run.update(stage)
        expect(found, "the PF is retrieved last", pf(run, "resume"), None)
        run.rest(AFTER_S)
    run.stop()
    clean_both(run, found)


@guarded
def pf_refused(machine, begin, iommu):
    """
    The PF is refused in the next kernel, so that nobody asks for its token: libcontinuo takes the VF over all the same. Its
    frames are not judged: they come by way of the PF, which is no bus master any more.
    To see it fail: without the second bind in bind_retrieved() of lib/vm.c: "it asks for no token".
    """
    run = begin(iommu=iommu, sound=False, append=f"{OWNED} rig.library=replace")
    run.rest(STEADY_S)
    run.update(2, f"corrupt={pf_of(machine)},{edits_of('device_iommu')}")
    power_off(machine, run)
    machine.figures.update(tries=1, outcome="the VF is bound without a token, and finished")
    must_see("the PF be refused", f"{pf_of(machine)}: liveupdate: not taken over" in machine.console())
    must_see("the kernel be asked with the token", "VF token incorrectly provided" in machine.console())
    must_see("the VF be finished", f"{run.ready['nic']}: liveupdate: finished" in machine.console())


def ends_refused(run, found, when, driver=None):
    """Nothing takes the VFs away. driver: that the PF has, if any."""
    for what, (path, text) in ends(run.machine).items():
        if what == "driver taken" and not driver:
            continue
        answer = write(run, path.replace(STUB, f"/sys/bus/pci/drivers/{driver}"), text)
        expect(found, f"{when}: {what}", answer, "EBUSY")


def opens_vf(run, found, when):
    for how, answer in (("none", "EACCES"), ("wrong", "EACCES"), ("right", None)):
        expect(found, f"{when}: a VF opened with token: {how}", pf(run, f"open-vf {how}"), answer)


@guarded
def owned_kept(machine, begin, iommu):
    """
    What the PF's owner, and who else, may not do: before the jump from the preserve on, and in the next kernel.
    The PF comes first; if it is undone alone, there is no jump.
    """
    found = []
    run = begin(iommu=iommu, sound=False, append=f"{OWNED} rig.vf=2 rig.tokens=1")
    run.rest(STEADY_S)
    opens_vf(run, found, "before")
    expect(found, "the VF is preserved before its PF", pf(run, "vf-first"), "ENOENT")
    machine.send("preserve idle=1")
    machine.wait("preserved")
    opens_vf(run, found, "preserved")
    ends_refused(run, found, "preserved", "vfio-pci")
    expect(found, "preserved: the PF is reset by its owner", pf(run, "reset"), "EBUSY")
    expect(found, "preserved: another token", pf(run, "token"), "EACCES")
    pf(run, "undo")
    expect(found, "undone: the PF is reset by its owner", pf(run, "reset"), "EBUSY")
    since = len(machine.events)
    machine.send("jump")
    expect(found, "jump without the PF", errno_name(machine.wait("stays", since=since)["errno"]), "ENOENT")
    expect(found, "the PF is preserved again", pf(run, "preserve"), None)
    run.update(2, command="jump", until="idle")
    ends_refused(run, found, "incoming")
    expect(found, "a VF before its PF has a driver", pf(run, "open-vf right"), "ENOENT")
    expect(found, "the PF is retrieved", pf(run, "resume-wrong"), None)
    opens_vf(run, found, "the PF is finished")
    ends_refused(run, found, "the PF is finished", "vfio-pci")
    expect(found, "the PF is finished: reset by its owner", pf(run, "reset"), "EBUSY")
    expect(found, "the PF is finished: another token", pf(run, "token"), "EACCES")
    run.rest(AFTER_S)
    machine.send("resume")
    machine.wait("resumed", timeout_s=60)
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=len(answers(machine)) + 3 * len(ends(machine)),
                           outcome="refused by name; without the PF there is no jump; both go on")
    clean_both(run, found)


@guarded
def pf_never(machine, begin, iommu):
    """The VF's owner comes back, and the PF's never does: the VF is used as ever, and the PF goes on."""
    run = begin(iommu=iommu, sound=False, append=f"{OWNED} rig.tokens=1")
    run.rest(STEADY_S)
    run.update(2)
    resumed = run.updates[-1][1]
    run.rest(AFTER_S)
    run.stop()
    sid = dmalog.source_id(pf_of(machine))
    landed, faults = run.log.times(sid, resumed, run.end), run.log.faults_of([sid])
    machine.figures.update(tries=1, dmas_after=len(landed),
                           outcome="the VF goes on and is used; the PF goes on into its memory, and keeps SR-IOV")
    if len(landed) < 1000 or faults:
        raise Failed(f"{len(landed)} DMAs of the PF after the update, {sum(faults.values())} IOMMU faults")
    clean(run)


@guarded
def vf_late(machine, begin, iommu):
    """
    The PF's owner is finished, and the VF's has not come: the PF keeps SR-IOV and is not reset, and whoever closes
    it cannot have it again. Then the VF's owner comes.

    To see it fail: with pci_liveupdate_running() in place of pci_liveupdate_incoming() in vfio_liveupdate_may_open().
    """
    found = []
    run = begin(iommu=iommu, sound=False, append=OWNED)
    run.rest(STEADY_S)
    run.update(2, "idle=1", until="idle")
    expect(found, "the PF is retrieved", pf(run, "resume"), None)
    ends_refused(run, found, "the PF is finished", "vfio-pci")
    run.rest(AFTER_S)
    pf(run, "close")
    expect(found, "the PF is opened again", pf(run, "open"), "EBUSY")
    run.rest(AFTER_S)
    since = len(machine.events)
    machine.send("resume")
    machine.wait("resumed", since=since, timeout_s=60)
    run.rest(AFTER_S)
    expect(found, "the PF is opened when all is finished", pf(run, "open"), None)
    run.stop()
    machine.figures.update(tries=len(ends(machine)) + 2, outcome="the VF goes on; its PF waits for it")
    clean(run)
    if found:
        raise Failed("; ".join(found))


@guarded
def nobody_asks(machine, begin, iommu):
    """
    Negative: vfio-pci has the PF and does not know of its VFs: who does not know the token has the VF.

    Seen to fail: with no law broken the answers are those of vf-owned.
    """
    run = begin(iommu=iommu, sound=False, append=f"{OWNED} rig.tokens=1 liveupdate.break=token")
    run.rest(STEADY_S)
    run.update(2)
    said = answers(machine)
    power_off(machine, run)
    machine.figures.update(tries=1, outcome="found: the VF is opened without a token")
    must_see("the VF opened without a token", said["bind nic without a token"] is None)


@guarded
def token_damaged(machine, begin, iommu, pf_first):
    """
    The token that came with the VF is not the one that came with the PF: the second file is refused, and both
    functions go on.

    To see it fail: without the comparison at the end of vfio_pci_core_liveupdate_came().
    """
    found = []
    run = begin(iommu=iommu, sound=False, append=OWNED)
    run.rest(STEADY_S)
    run.update(2, f"idle=1 corrupt={run.ready['nic']},vfio.vf_token[0]+=1", until="idle")
    if pf_first:
        expect(found, "the PF is retrieved", pf(run, "resume"), None)
        expect(found, "the VF is retrieved", pf(run, "retrieve-vf"), "EINVAL")
    else:
        expect(found, "the VF is retrieved", pf(run, "retrieve-vf"), None)
        expect(found, "the VF is opened", errno_name(machine.wait("pf", what="bind-vf")["errno"]), "EACCES")
        expect(found, "the PF is retrieved", pf(run, "resume"), "EINVAL")
    back = wall_us()
    run.rest(AFTER_S)
    power_off(machine, run)
    must_see("the refusal in the log", "its token is not that of its physical function" in machine.console())
    log = machine.dma_log()
    for bdf in (pf_of(machine), run.ready["nic"]):
        sid = dmalog.source_id(bdf)
        if len(log.times(sid, back)) < 1000 or log.faults_of([sid]):
            found.append(f"{bdf}: {len(log.times(sid, back))} DMAs afterwards, {log.faults_of([sid])} refused")
    machine.figures.update(tries=1, outcome="the file that comes second is refused (EINVAL); both functions go on")
    if found:
        raise Failed("; ".join(found))


def jump_refused(run, found):
    """reboot(2) says that the loaded kernel does not read what was preserved."""
    machine = run.machine
    machine.send("preserve")
    machine.wait("preserved")
    since = len(machine.events)
    machine.send("jump")
    expect(found, "jump", errno_name(machine.wait("stays", since=since)["errno"]), "ENOEXEC")


@guarded
def owned_unread(machine, begin, iommu):
    """The loaded kernel does not know of tokens: reboot(2) says so, and all goes on."""
    found = []
    run = begin(iommu=iommu, sound=False, append=OWNED)
    run.rest(STEADY_S)
    jump_refused(run, found)
    run.rest(AFTER_S)
    run.stop()
    must_see("the format in the log", 'does not read the handover format "vfio-pci-v2"' in machine.console())
    machine.figures.update(tries=1, outcome="reboot(2): ENOEXEC, the log names the format; both go on")
    run.judge()
    for name in ("nic", "pf"):
        found += [f"{name}: {text}" for text in frames.judge(machine.events, run.senders["nic"].log, name)[1]]
    if found:
        raise Failed("; ".join(found))


@guarded
def stands_still(machine, begin, law, iommu="vtd-scalable", append="rig.vf=1"):
    """
    Negative: the PF is not left as it is, and the referee sees no DMA of the VF in the next kernel.

    Seen to fail: with no law broken the VF goes on.
    """
    run = begin(iommu=iommu, sound=False, append=f"{append} liveupdate.break={law}")
    run.rest(STEADY_S)
    run.update(2, "idle=1", until="idle")
    booted = next(e for e in machine.events if e["ev"] == "boot" and e["stage"] == 2)["host_real_ns"] // 1000
    run.rest(AFTER_S)
    log, sid = power_off(machine, run), dmalog.source_id(run.ready["nic"])
    must_see("the VF do DMA before the update", len(log.times(sid, None, run.jump["host_real_ns"] // 1000)) > 1000)
    landed = log.times(sid, booted)
    machine.figures.update(tries=1, dmas_after=len(landed), outcome=f"found: {len(landed)} DMAs of the VF in the next kernel")
    if landed:
        raise Failed(f"{len(landed)} DMAs of the VF in the next kernel: it did not need what was taken away")


def port(run, what):
    """That to the interface of the PF, which the kernel's igb has; what was said."""
    since = len(run.machine.events)
    run.machine.send(f"port {what}")
    done = run.machine.wait("port", since=since)
    if done["errno"]:
        raise Failed(f"port {what}: {errno_name(done['errno'])}")
    return [e for e in run.machine.events[since:] if e["ev"] in ("setting", "register")]


# What rig/guest/devices/igb_port.c has set for the second VF
SET = {"vf": 1, "mac": "52:54:00:c0:01:01", "vlan": 101, "qos": 3, "rate": 101, "spoofchk": 0, "trusted": 1}


def what_vfs_have(run, autoprobe="0"):
    """
    What was set for them, and the registers that all functions share. Which virtual function may receive and send is compared
    without the second one if its driver comes by itself: nobody has that in the first kernel, and the next kernel's igbvf takes it.
    """
    settings = [{key: e[key] for key in SET} for e in port(run, "settings")]
    registers = {e["name"]: e["values"] for e in port(run, "registers")}
    if autoprobe == "1":
        registers |= {name: f"{int(registers[name], 16) & ~2:08x}" for name in ("VFRE", "VFTE")}
    must_see("what was set for the second VF", settings[1] == SET)
    must_see("the first VF receive, and the VLAN of the second one among the filters",
             int(registers["VFRE"], 16) & 1 and any(int(v, 16) & 0x80000fff == 0x80000000 | SET["vlan"] for v in registers["VLVF"].split()))
    return settings, registers


def differences(before, after, when):
    found = [f"{when}: VF {a['vf']} has {b}, had {a}" for a, b in zip(before[0], after[0]) if a != b]
    found += [f"{when}: {name} is {after[1][name]}, was {value}" for name, value in before[1].items() if after[1][name] != value]
    return found


def dmas_of_pf(run, since_us, until_us=None):
    return len(run.log.times(dmalog.source_id(pf_of(run.machine)), since_us, until_us))


def second_vf(run):
    """Its driver; None: it has none."""
    key, value = read(run, f"{DEVICES}/{run.ready['nic'][:-1]}2/uevent").split("=", 1)
    return value if key == "DRIVER" else None


@guarded
def driven(machine, begin, iommu, updates=1, autoprobe="0", **options):
    """
    The host's own igb has the PF, in both kernels, and gets the frames of the first VF as well. The next
    kernel's takes the PF over, and its interface goes up there. No frame to the VF is lost; what was set for VFs, and
    every register that functions share, is as it was. The second VF, which nobody preserves, gets the host's
    driver in the next kernel only with autoprobe.

    To see it fail: without pci_liveupdate_iov_inherit() in pci_liveupdate_add().
    """
    found = []
    run = begin(iommu=iommu, sound=False, append=f"{VFS} rig.updates={updates}", **options)
    knob = f"{DEVICES}/{pf_of(machine)}/sriov_drivers_autoprobe"
    port(run, f"ask {run.ready['mac']}")
    run.rest(STEADY_S)
    had = what_vfs_have(run, autoprobe)
    must_see("no driver that the second VF gets by itself", read(run, knob) == "0" and second_vf(run) is None)
    expect(found, f"{knob} is {autoprobe}", write(run, knob, autoprobe), None)
    up = wall_us()
    for stage in range(2, updates + 2):
        run.update(stage)
        run.rest(AFTER_S)
        port(run, "up")
        port(run, f"ask {run.ready['mac']}")
        up = wall_us()
        run.rest(AFTER_S)
        found += differences(had, what_vfs_have(run, autoprobe), f"kernel {stage}")
        expect(found, f"kernel {stage}: {knob}", read(run, knob), autoprobe)
        expect(found, f"kernel {stage}: driver of the second VF", second_vf(run), "igbvf" if autoprobe == "1" else None)
    run.stop()
    begun, _ = run.updates[0]
    machine.figures.update(tries=updates, pf_dmas_before=dmas_of_pf(run, None, begun), pf_dmas_after=dmas_of_pf(run, up),
                           outcome="the VF goes on; the PF receives again, and what was set for VFs is as it was")
    must_see("the PF receive before the update", machine.figures["pf_dmas_before"] > 100)
    must_see("the PF receive after it", machine.figures["pf_dmas_after"] > 100)
    faults = run.log.faults_of([dmalog.source_id(pf_of(machine))])
    if faults:
        found.append(f"DMA of the PF was refused: {dmalog.fault_kinds(faults)}")
    clean_but(run, found)


@guarded
def driven_kept(machine, begin, iommu):
    """
    The interface of the PF goes down and up, before the jump and after it: the VF gets each frame all the same. Nothing
    takes it away.

    To see it fail: without igb_liveupdate_keeps() where igb_down() ends reception, in igb_power_up_link(), or where queue 0
    is switched off; without igb_liveupdate_not_reset() in igb_reset().
    """
    found = []

    def down_and_up(when):
        ends_refused(run, found, when, "igb")
        port(run, "down")
        run.rest(STEADY_S)
        port(run, "up")
        run.rest(STEADY_S)

    run = begin(iommu=iommu, sound=False, append=VFS)
    run.rest(STEADY_S)
    had = what_vfs_have(run)
    machine.send("preserve idle=1")
    machine.wait("preserved")
    down_and_up("preserved")
    found += differences(had, what_vfs_have(run), "preserved")
    run.update(2, command="jump", until="idle")
    port(run, "up")
    down_and_up("incoming")
    found += differences(had, what_vfs_have(run), "incoming")
    since = len(machine.events)
    machine.send("resume")
    machine.wait("resumed", since=since, timeout_s=60)
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=2 * (len(ends(machine)) + 1), outcome="EBUSY for each; the VF gets all frames while the interface is down")
    clean_but(run, found)


@guarded
def driven_unread(machine, begin, iommu, names):
    """The loaded kernel does not read what is handed over for the PF: reboot(2) says so, and all goes on."""
    found = []
    run = begin(iommu=iommu, sound=False, append=VFS)
    run.rest(STEADY_S)
    jump_refused(run, found)
    port(run, "down")
    port(run, "up")
    run.rest(AFTER_S)
    run.stop()
    must_see("the format in the log", f'does not read the handover format "{names}"' in machine.console())
    machine.figures.update(tries=1, outcome="reboot(2): ENOEXEC, the log names the format; the VF goes on")
    clean_but(run, found)


@guarded
def driven_damaged(machine, begin, iommu):
    """
    What igb has handed over is damaged: the next kernel's igb does not get the PF, not even when the VF is finished, because
    it would reset it. The VF goes on.

    To see it fail: without is_good() in pci_liveupdate_iov_hands_over() or in pci_liveupdate_pf_handover().
    """
    run = begin(iommu=iommu, sound=False, append=VFS)
    run.rest(STEADY_S)
    run.update(2, f"corrupt={run.ready['nic']},igb.version=2")
    run.rest(AFTER_S)
    found = []
    expect(found, "finished: igb binds", write(run, "/sys/bus/pci/drivers/igb/bind", pf_of(machine)), "ENODEV")
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=1, outcome="igb does not get the PF, and the log says why; the VF goes on")
    must_see("the reason in the log", "handover of its driver (igb-pf-v1) cannot be used: version of what igb hands over is not known"
             in machine.console())
    clean_but(run, found)


@guarded
def driven_queues(machine, begin, iommu):
    """
    Negative: igb does not stop its own queues when it hands over, and the referee sees that the PF's DMA is refused.

    Seen to fail: with no law broken nothing is refused (vf-driven-scalable).
    """
    run = begin(iommu=iommu, sound=False, append=f"{VFS} liveupdate.break=queues")
    port(run, f"ask {run.ready['mac']}")
    run.rest(STEADY_S)
    run.update(2, "idle=1", until="idle")
    run.rest(AFTER_S)
    faults = power_off(machine, run).faults_of([dmalog.source_id(pf_of(machine))])
    machine.figures.update(tries=1, outcome=f"found: {sum(faults.values())} IOMMU faults of the PF")
    must_see("DMA of the PF be refused", faults)


CASES = [
    *(Case(f"vf-driven-{mode}", f"a virtual function whose PF the host's own driver has; {mode} mode",
           bind(driven, iommu=f"vtd-{mode}", autoprobe=autoprobe), kernel="vm") for mode, autoprobe in (("legacy", "1"), ("scalable", "0"))),
    Case("vf-driven-three", "the same in three updates in a row", bind(driven, iommu="vtd-scalable", updates=3), kernel="vm"),
    # It boots for two minutes, or three on a busy host, and the ring has to last so long.
    Case("vf-driven-debug", "the same on the debug kernel", bind(driven, iommu="vtd-scalable", rate=100), kernel="vm-debug"),
    Case("vf-driven-kept", "the interface of such a PF goes down and up, and nobody takes the virtual function away",
         bind(driven_kept, iommu="vtd-scalable"), kernel="vm",
         fault="the interface of a PF goes down while a VF of it is preserved or incoming; SR-IOV is switched off, or the PF reset, removed or unbound"),
    *(Case(f"vf-driven-{name}", f"a virtual function whose PF igb has, and {what}: refused before the jump",
           bind(driven_unread, iommu="vtd-scalable", names=names), kernel="vm", next_kernel=kernel,
           fault=f"a VF is preserved whose PF igb has, and {what} is loaded")
      for name, what, kernel, names in (("unread", "a kernel without igb", "rig", "igb-pf-v1"),
                                        ("prev", "an older kernel", "prev", "pci-v4"))),
    Case("vf-driven-damaged", "what igb hands over for the PF of a virtual function was damaged", bind(driven_damaged, iommu="vtd-scalable"),
         kernel="vm-lab", next_kernel="vm", fault="what igb hands over for the PF of a VF is damaged"),
    Case("vf-driven-reset", "negative: igb resets the PF whatever goes on",
         bind(stands_still, law="port", append=VFS), kernel="vm-lab", fault="igb resets the PF of a preserved VF at the jump"),
    Case("vf-driven-queues", "negative: igb does not stop its own queues at the jump",
         bind(driven_queues, iommu="vtd-scalable"), kernel="vm-lab", fault="igb goes on receiving for itself at the jump"),
    *(Case(f"vf-owned-{mode}", f"a virtual function and its PF, which user space has; {mode} mode",
           bind(owned, iommu=f"vtd-{mode}", first=first), debug=mode == "scalable",
           fault=f"who has the PF of a VF comes back {'before' if first else 'after'} who has the VF")
      for mode, first in (("legacy", True), ("scalable", False))),
    Case("vf-owned-three", "a virtual function and its PF, which user space has, in three updates in a row",
         bind(owned, iommu="vtd-scalable", first=True, updates=3)),
    Case("vf-owned-library", "libcontinuo takes over a virtual function whose PF user space has", bind(by_library, iommu="vtd-scalable")),
    Case("vf-owned-pf-refused", "libcontinuo takes over a virtual function whose PF is refused", bind(pf_refused, iommu="vtd-scalable"),
         kernel="lab", next_kernel="rig", fault="the PF of a VF that libcontinuo has with its token is refused in the next kernel"),
    Case("vf-owned-kept", "nobody takes a virtual function away, and nobody opens one without the token",
         bind(owned_kept, iommu="vtd-legacy"),
         fault="a VF, or its PF that user space has, is opened without the token of the PF; the PF is reset, or undone alone"),
    Case("vf-owned-pf-never", "who has the PF of a virtual function never comes back", bind(pf_never, iommu="vtd-scalable"),
         fault="who has the PF of a VF never comes back"),
    Case("vf-owned-vf-late", "who has a virtual function comes after its PF was finished and closed", bind(vf_late, iommu="vtd-scalable"),
         fault="who has the PF of a VF has finished and closed it, and who has the VF has not come"),
    *(Case(f"vf-owned-damaged{name}", f"the token of a virtual function was damaged; the PF comes {'first' if first else 'last'}",
           bind(token_damaged, iommu=f"vtd-{mode}", pf_first=first), kernel="lab", next_kernel="rig",
           fault=f"the token that came with a VF is damaged, and its PF is retrieved {'before' if first else 'after'} it")
      for name, mode, first in (("", "scalable", True), ("-first", "legacy", False))),
    Case("vf-owned-asks-nobody", "negative: vfio-pci does not know that the PF it takes over has virtual functions",
         bind(nobody_asks, iommu="vtd-scalable"), kernel="lab",
         fault="vfio-pci takes a PF over and asks nobody for its token"),
    Case("vf-owned-prev", "a PF that user space has, and an older kernel: refused before the jump",
         bind(owned_unread, iommu="vtd-scalable"), next_kernel="prev", fault="the loaded kernel does not know of PFs that user space has"),
    Case("vf-prev", "a virtual function, whose PF pci-pf-stub has, and an older kernel",
         bind(to_older, iommu="vtd-scalable"), next_kernel="prev"),
    *(Case(f"vf-{mode}", f"a virtual function goes on with its DMA; {mode} mode", bind(carried, iommu=f"vtd-{mode}"),
           debug=mode == "scalable")
      for mode in ("legacy", "scalable")),
    Case("vf-three", "a virtual function in three updates in a row", bind(carried, iommu="vtd-scalable", updates=3)),
    Case("vf-port", "a virtual function behind a root port, with ARI",
         bind(carried, iommu="vtd-scalable", behind="port")),
    Case("vf-kept", "nobody takes a virtual function away, by way of its PF", bind(kept, iommu="vtd-scalable"),
         fault="SR-IOV is switched off, or the PF reset, removed or unbound, while a VF is preserved or incoming"),
    Case("vf-sibling", "a virtual function that is not preserved is blocked, and its sibling goes on",
         bind(update.bystander, iommu="vtd-scalable", bystander="vf", append="rig.vf=2"),
         fault="a VF is not preserved, and its sibling is"),
    *(Case(f"vf-{name}", f"a virtual function, and the next kernel has no IOMMU: {options}",
           bind(without_iommu, options=options),
           fault=f"a VF is preserved, and the next kernel is booted with {options}")
      for name, options in (("no-iommu", "iommu=off"), ("intel-off", "intel_iommu=off"))),
    Case("vf-passthrough", "a PF that is a bus master for its virtual functions, iommu.passthrough=1", passthrough,
         fault="a VF is preserved, and the next kernel is booted with iommu.passthrough=1"),
    Case("vf-owned-passthrough", "a PF that user space has, iommu.passthrough=1", bind(passthrough, append=OWNED),
         fault="a VF and its PF, which user space has, are preserved, and the next kernel is booted with iommu.passthrough=1"),
    Case("vf-pf-stray", "a PF whose entry the handover does not know is refused, and not reset below its virtual function",
         stray, kernel="lab", fault="the IOMMU has an entry of a PF that is not preserved, and its VF is in use"),
    Case("vf-pf-stopped", "negative: the PF is shut down like any device",
         bind(stands_still, law="pf"), kernel="lab",
         fault="bus mastering of a PF is switched off while a VF of it is preserved"),
    Case("vf-sriov-off", "negative: the next kernel sets SR-IOV up as ever",
         bind(stands_still, law="sriov"), kernel="lab",
         fault="the next kernel switches SR-IOV off"),
]
