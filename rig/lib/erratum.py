# SPDX-License-Identifier: GPL-2.0-only
"""
Two faults of QEMU's emulated SVM, and a copy of QEMU without them.

1. When KVM injects an interrupt with VMRUN (AMD APM volume 2, section 15.20), QEMU's
helper_vmrun() writes the vector to the CPU's exception_index, as it does for an
exception, but delivers the interrupt itself at once. The vector stays there. If the CPU is kicked
(exit_request) before the VM's next exit, exception, or interrupt, cpu_handle_exception()
delivers the same interrupt again, whether or not the VM has interrupts off: a timer's
interrupt in the first instructions of its own handler, for example, and then the VM
triple-faults. A kick belongs to each interrupt that another thread of QEMU raises, and comes
late where that thread has to wait for a processor: so it happens on a busy machine.
The store is taken out.

2. FXRSTOR, XRSTOR, FRSTOR and FLDENV, if they leave no x87 exception pending, deassert IGNNE#,
as a PC's chipset does: cpu_clear_ignne() takes the bit HF2_IGNNE out of hflags2, always out of that
of the first CPU. With a thread for each CPU, this is another thread's variable. An "and" without
a lock is a load and a store: what the first CPU's own thread writes to hflags2 in between is
undone. The state of its SVM is in the same word. The second CPU restores an FPU whenever it switches
to another process, and where KVM_RUN begins and ends. What can be undone:
  - GIF (CLGI, STGI, VMRUN, VMEXIT): the CPU takes no interrupts any more, or takes one where it
    must not;
  - NPT, set at VMRUN: the VM's physical addresses are the host's;
  - NPT, cleared at VMEXIT: the host's own instruction behind VMRUN is looked up in the VM's nested
    tables and not found. The VM exits once more, with the host's registers as its own, and
    triple-faults.
Both threads have to run at the same time, so it happens rather on a quiet machine. A locked "and"
changes nothing but its bit. (The first CPU's thread can still undo that "and". Then IGNNE# stays
asserted, which only a guest with CR0.NE clear would notice.)

How it was shown, on 2026-11-28. With 32 times "pause" between load and store, the VM reset itself in
each of 4 boots; with the same before a locked "and", in none of 6. With those pauses, and a trap at
the end of do_vmexit() for NPT that is set again there, the first CPU's thread ran into the trap in
two of 3 boots, and the host's kernel had a page fault behind VMRUN in the third; with the locked
"and", neither in any of 2. With no pauses, one of 8 runs of vm-bus-reset at a high priority hung:
the host's first CPU halted, interrupts on, and two interrupts pending that it did not take. That is
what a lost GIF looks like (QEMU's monitor does not show GIF itself).

This is QEMU 10.2.2's source (target/i386/tcg/system/svm_helper.c, system/fpu_helper.c and
fpu_helper.c, accel/tcg/cpu-exec.c). 11.1.3, whose program says the same, is what the rig starts.
Both places are changed in a copy of that program, if they are byte by byte what is expected; or it
is left alone. Only machines that have a VM in them use it; the QEMU inside of them is Debian's, as
it is.
"""

import contextlib
import hashlib
import os
import re
import shlex
import tempfile

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "emulator")

# The interrupt's branch of helper_vmrun(), as gcc 14 has made it; the second group is the store.
_BRANCH = re.compile(
    rb"(\x41\x0f\xb6\xf4"                               # movzbl %r12b,%esi             the vector
    rb"\x44\x89\xab....)"                               # mov %r13d,error_code(%rbx)
    rb"(\x89\xb3....)"                                  # mov %esi,exception_index(%rbx)
    rb"\xc7\x83....\0\0\0\0"                            # movl $0,exception_is_int(%rbx)
    rb"\x48\xc7\x83....\xff\xff\xff\xff"                # movq $-1,exception_next_eip(%rbx)
    rb"\xf6\x05....\x02\x0f\x85...."                    # is it to be logged?
    rb"\xba\x01\0\0\0\x48\x89\xdf\xe8....", re.DOTALL)  # do_interrupt_x86_hardirq(env, vector, 1)
_NOTHING = b"\x66\x0f\x1f\x44\0\0"                      # a nop of six bytes

# cpu_clear_ignne(); the first group is from its "and" on, the second one fills the space up to the
# next function.
_IGNNE = re.compile(
    rb"\xf3\x0f\x1e\xfa\x48\x83\xec\x08"                # endbr64, sub $8,%rsp
    rb"\x48\x8b\x3d....\x4c\x8d\x05....\xb9...."        # X86_CPU(first_cpu)
    rb"\x48\x8d\x15....\x48\x8d\x35....\xe8...."
    rb"(\x81\xa0....\x7f\xff\xff\xff"                   # andl $~HF2_IGNNE_MASK,hflags2(%rax)
    rb"\x48\x83\xc4\x08"                                # add $8,%rsp
    rb"\x31\xc0\x31\xd2\x31\xc9\x31\xf6\x31\xff\x45\x31\xc0\xc3)"     # the registers zeroed, ret
    rb"(" + re.escape(_NOTHING) + rb")", re.DOTALL)
_LOCK, _LESS = b"\xf0", b"\x0f\x1f\x44\0\0"             # a prefix; a nop of five bytes


def _changed(program, pattern, change):
    """The program with the one place that matches the pattern as change(match) says; None if there
    is none, or another one."""
    found = list(pattern.finditer(program))
    if len(found) != 1:
        return None
    match = found[0]
    return program[:match.start()] + change(match) + program[match.end():]


def _no_store(match):
    at = match.start()
    return match[0][:match.start(2) - at] + _NOTHING + match[0][match.end(2) - at:]


def _locked(match):
    return match[0][:match.start(1) - match.start()] + _LOCK + match[1] + _LESS


def without(program):
    """The program's bytes without the two faults; None if a place is not there, or is there twice."""
    program = _changed(program, _BRANCH, _no_store)
    return program and _changed(program, _IGNNE, _locked)


def _command(top, program):
    """The words that start such a program, with what was unpacked or installed beside it."""
    libraries = f"{top}/usr/lib/x86_64-linux-gnu"
    loader = [f"{top}/usr/lib64/ld-linux-x86-64.so.2", "--inhibit-cache", "--argv0", "qemu-system-x86_64",
              "--library-path", libraries] if top else []
    return ["env", f"QEMU_MODULE_DIR={libraries}/qemu", *loader, program,
            "-L", f"{top}/usr/share/qemu", "-L", f"{top}/usr/share/seabios"]


def repaired(qemu, builds):
    """
    The path of a QEMU like qemu (see qemu.Qemu) but without the faults, below the folder builds, where it is
    made if it is not there yet; None if its program is not one that is known.
    """
    top, program = qemu.installed()
    with open(program, "rb") as f:
        data = without(f.read())
    if data is None:
        return None
    folder = os.path.abspath(f"{builds}/qemu-{hashlib.sha256(data).hexdigest()[:16]}")
    script = f"{folder}/qemu-system-x86_64"
    if os.path.exists(script):
        return script
    os.makedirs(builds, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=builds) as new:
        with open(f"{new}/program", "wb") as f:
            f.write(data)
        with open(f"{new}/qemu-system-x86_64", "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\n# QEMU {qemu.text} without two faults of its SVM: rig/lib/erratum.py\n"
                    f"exec {shlex.join(_command(top, f'{folder}/program'))} \"$@\"\n")
        for name in os.listdir(new):
            os.chmod(f"{new}/{name}", 0o755)
        # Another case may have been faster.
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
        for name in ("program", "qemu-system-x86_64"):
            os.rename(f"{new}/{name}", f"{folder}/{name}")
    return script
