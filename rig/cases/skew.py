# SPDX-License-Identifier: GPL-2.0-only
"""
Versions that differ: an update to an older and to a newer kernel, and back, hands
over, or is refused before the jump because the loaded image says that it does not
read what this kernel writes.

The kernels "prev" and "next" are builds with the formats of one version before
and after (kernel/lab/src/kernel/liveupdate/lab/Kconfig).
"""

import errno
import re
import struct

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded
from rig.referee import discovery

# What an update of both devices writes.
FORMATS = ("kho-v4", "luo-v5", "memfd-v2", "pci-v1", "iommu-v2", "iommufd-v1", "vfio-pci-v1")
# Written to a kernel that does not read the newer one
OLDER = "iommu-v1"
# What the driver of the IOMMU writes, and those IOMMUs that the older one can be written of
DRIVERS = {"vtd-legacy": "intel-iommu-v1", "vtd-scalable": "intel-iommu-v1", "amd": "amd-iommu-v1"}
WITH_OLDER = ("vtd-legacy", "vtd-scalable")
# An image without a list is older than the list, and than these.
WITH_THE_LIST = FORMATS[3:]
# That have one more in the build "next": a PCI list without virtual functions is written as the
# version before, which has none.
NEXT = FORMATS[4:]
MAGIC = b"LUfm"


def handed_over(run):
    """The formats of the files that came, as their handlers have them."""
    text = discovery.texts(run.machine.events)["session"]["view"]
    return {record["compatible"] for record in discovery.sides(discovery.parse(text))["incoming"].of("file")}


@guarded
def hands_over(machine, begin, iommu, came_next=(), older=()):
    """
    An update to a kernel that knows other versions. came_next: what has to come
    in the version that only "next" has; a kernel of that build says so. older: what
    has to come in the version before, which the next kernel says, too.

    Seen to fail: skew-unread and skew-unasked, where the same kernel writes
    its own versions without asking.
    """
    run = begin(iommu=iommu, append="rig.view=1")
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    came = handed_over(run)
    machine.figures["formats"] = sorted(came)
    if came != {"memfd-v2", "iommufd-v1", "vfio-pci-v1"}:
        raise Failed(f"came as {', '.join(sorted(came))}")
    newer = set(re.findall(r'came as "(.*)\.next"', machine.console()))
    if newer != set(came_next):
        raise Failed(f"came in the next version: {newer or 'nothing'}; expected {came_next or 'nothing'}")
    before = set(re.findall(r'handover of the IOMMUs came as "(.*)"', machine.console()))
    if before != set(older):
        raise Failed(f"came in the version before: {before or 'nothing'}; expected {older or 'nothing'}")
    clean(run)


def list_at(kernel):
    """Offset of the list in an image, from its headers (Documentation/arch/x86/boot.rst)."""
    sects = kernel[0x1f1] or 4
    at = (sects + 1) * 512 + struct.unpack_from("<I", kernel, 0x268)[0]
    magic, size, total = struct.unpack_from("<4sII", kernel, at)
    chunk = at + size
    if magic != b"LToP" or kernel[chunk:chunk + 4] != MAGIC or total <= size:
        raise Failed("the next kernel's image has no list of formats")
    return chunk, struct.unpack_from("<I", kernel, chunk + 4)[0]


def changes(kernel, iommu, names_of_memory=()):
    """
    Images that do not do: {name: (offset, bytes)}, and what the log has to say of each.
    names_of_memory: nothing but each of these formats is gone.
    """
    chunk, size = list_at(kernel)
    names = kernel[chunk + 8:chunk + size]
    silent = "does not say which handover formats it reads"
    out = {
        "no-list": (chunk, b"none", silent),
        "list-beyond-the-image": (chunk + 4, struct.pack("<I", 0xfffffff0), silent),
        "list-too-small": (chunk + 4, struct.pack("<I", 4), silent),
        "list-cut-off": (chunk + 4, struct.pack("<I", size - 3), silent),
        "header-beyond-the-image": (0x268, struct.pack("<I", 0x7ffffff0), silent),
    }

    def place(name):
        at = (b"\0" + names).find(b"\0" + name.encode() + b"\0")
        if at < 0:
            raise Failed(f"{name} is not in the image's list")
        return at

    def without(first, last, name):
        """With a letter of each of two names gone; the log has to speak of the last one."""
        data = bytearray(names[place(first):place(last) + 1])
        data[0] = data[-1] = ord("?")
        out[f"without-{name}"] = (chunk + 8 + place(first), bytes(data), f'does not read the handover format "{name}"')

    if names_of_memory:
        out.clear()
    for name in names_of_memory or FORMATS:
        if name != "iommu-v2":
            without(name, name, name)
    # The version before is written if this one, or a driver's part of it, is not read. It has no
    # place for other drivers than VT-d's.
    for name in () if names_of_memory else ("iommu-v2", DRIVERS[iommu]):
        without(OLDER if iommu in WITH_OLDER else name, name, name)
    return out


@guarded
def refused(machine, begin, iommu, names_of_memory=(), append=""):
    """
    Images whose list is missing, damaged, or lacks one of the formats: reboot(2)
    says no for each; then the real one is jumped into. names_of_memory: what the
    VM's memory needs, which is not a memfd of ordinary pages; to see it fail: luo_format_ask() that returns 0
    for these.

    Seen to fail: with luo_formats_ask() returning 0 the machine jumps into the
    first of these images (and skew-unasked does so with liveupdate.break=formats).
    """
    with open(machine.next_kernel, "rb") as f:
        tries = changes(f.read(), iommu, names_of_memory)
    run = begin(iommu=iommu, append=append, files={f"/skew/{name}": f"{at} {data.hex()}".encode()
                                                 for name, (at, data, _) in tries.items()})
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send("skew")
    machine.wait("skew_over", since=since, timeout_s=90)
    run.rest(1)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    answers = {e["image"]: e for e in machine.events if e["ev"] == "skew"}
    machine.figures["skew"] = {name: errno.errorcode.get(e["errno"], "none") for name, e in answers.items()}
    machine.figures["tries"] = len(answers)
    machine.figures["outcome"] = "reboot(2): ENOEXEC, the log names the format; DMA goes on, and the update to an image with a list works"
    said = [line for line in machine.console().splitlines() if "no jump: " in line]
    expected = {**{name: text for name, (_, _, text) in tries.items()},
                "kexec_load": "was loaded by kexec_load(2)"}
    if list(answers) != [*sorted(tries), "kexec_load"] or len(said) != len(answers):
        raise Failed(f"{len(expected)} images, {len(answers)} answers, {len(said)} lines in the log")
    for name, line in zip(answers, said):
        if answers[name]["errno"] != errno.ENOEXEC:
            raise Failed(f"{name}: {answers[name]['text']}, expected ENOEXEC")
        if expected[name] not in line:
            raise Failed(f"{name}: the log says '{line.strip()}', expected '{expected[name]}'")
    clean(run)


@guarded
def kept(machine, begin, iommu):
    """
    A kept mark needs a format that the older kernel does not read: refused before the
    jump; with an ordinary mark the same update goes well.
    Seen to fail: skew-unasked.
    """
    run = begin(iommu=iommu, append="rig.view=1")
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send("skew kept")
    machine.wait("skew_over", since=since, timeout_s=30)
    answer = machine.wait("skew", since=since)
    run.rest(1)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    machine.figures["tries"] = 1
    machine.figures["outcome"] = "reboot(2): ENOEXEC, the log names the format; without the mark the update goes on"
    if answer["errno"] != errno.ENOEXEC:
        raise Failed(f"reboot(2): {answer['text']}, expected ENOEXEC")
    if "iommufd-v1" not in handed_over(run):
        raise Failed("the iommufd did not come in its older format")
    clean(run)


@guarded
def unread(machine, begin, iommu, asked):
    """
    A newer kernel that writes nothing but its own formats, and an older one that
    reads none of them: refused before the jump; without asking, all is lost after it.
    """
    run = begin(iommu=iommu, append="liveupdate.formats_next=1" + ("" if asked else " liveupdate.break=formats"))
    run.rest(1)
    machine.figures["tries"] = 1
    try:
        run.update(2)
    except Failed as error:
        if asked and "Exec format error" not in str(error):
            raise
        if not asked and "reboot into the next kernel" in str(error):
            raise
    else:
        raise Failed("a kernel that reads none of the formats took the devices over")
    jumped = sum(e["ev"] == "boot" for e in machine.events) > 1
    if jumped == asked:
        raise Failed("it jumped" if jumped else "it did not jump")
    if asked:
        machine.await_end()
        if 'does not read the handover format "iommufd-v1.next"' not in machine.console():
            raise Failed("the log does not name the format")
    machine.figures["outcome"] = ("refused before the jump" if asked else
                                  "found: the next kernel does not take the devices over")


@guarded
def no_place(machine, begin, iommu):
    """
    The older kernel's handover has no place for the driver of this IOMMU: refused before the jump.
    To see it fail: with holds() of find_v1_driver()'s operations not asked in write_v1().
    """
    run = begin(iommu=iommu)
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send("preserve")
    machine.wait("preserved", since=since)
    machine.send("jump")
    answer = machine.wait("stays", since=since)["errno"]
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=1, outcome="reboot(2): ENOEXEC, the log names the format; DMA goes on")
    if answer != errno.ENOEXEC:
        raise Failed(f"reboot(2): {errno.errorcode.get(answer, answer)}, expected ENOEXEC")
    if 'does not read the handover format "iommu-v2"' not in machine.console():
        raise Failed("the log does not name the format")
    clean(run)


SKEW = "the next kernel reads other versions of the handover"

CASES = [
    Case("skew-prev-to-rig", "update to a newer kernel", bind(hands_over, iommu="vtd-scalable", older=[OLDER]),
         kernel="prev", next_kernel="rig"),
    Case("skew-rig-to-prev", "update to an older kernel", bind(hands_over, iommu="vtd-legacy", older=[OLDER]),
         next_kernel="prev"),
    Case("skew-rig-to-next", "update to a newer kernel that has another version of each format",
         bind(hands_over, iommu="vtd-legacy"), next_kernel="next"),
    Case("skew-next-to-rig", "rollback from a kernel that has another version of each format",
         bind(hands_over, iommu="vtd-scalable"), kernel="next", next_kernel="rig"),
    Case("skew-next-to-next", "update with the newer version of each format",
         bind(hands_over, iommu="vtd-scalable", came_next=NEXT), kernel="next"),
    Case("skew-refused", "images that do not say, or say no: refused before the jump", bind(refused, iommu="vtd-scalable"),
         fault="the loaded kernel's list of formats is missing, damaged, or lacks one"),
    *(Case(f"skew-refused-{name}", f"images that do not know {what}: refused before the jump",
           bind(refused, iommu="vtd-scalable", names_of_memory=formats, append=append),
           fault=f"the loaded kernel's list of formats lacks one that {what} needs")
      for name, what, formats, append in (
          ("hugetlb", "memory of huge pages", ("hugetlb-memfd-v1", "hugetlb-v1"), "hugepages=64 rig.hugetlb=21"),
          ("guestmem", "a file of guestmemfs", ("guestmemfs-v1", "guestmemfs-file-v1"), "guestmem=512M rig.guestmem=1"))),
    Case("skew-kept", "a mark that is kept, and an older kernel: refused before the jump", bind(kept, iommu="vtd-scalable"),
         next_kernel="prev", fault="the loaded kernel does not know of marks that are kept"),
    Case("amd-skew-older", "AMD-Vi, and an older kernel that can take VT-d over only: refused before the jump", bind(no_place, iommu="amd"),
         next_kernel="prev", fault="the loaded kernel does not know of AMD-Vi"),
    Case("skew-unread", "a newer kernel that writes its own formats only: refused before the jump",
         bind(unread, iommu="vtd-scalable", asked=True), kernel="next", next_kernel="rig", fault=SKEW),
    Case("skew-unasked", "negative: the same, and the image is not asked",
         bind(unread, iommu="vtd-scalable", asked=False), kernel="next", next_kernel="rig", fault=SKEW + ", and is not asked"),
]
