# SPDX-License-Identifier: GPL-2.0-only
"""
A fault of QEMU's emulated SVM, and a copy of QEMU without it.

When KVM injects an interrupt with VMRUN (AMD APM volume 2, section 15.20), QEMU's
helper_vmrun() writes the vector to the CPU's exception_index, as it does for an
exception, but delivers the interrupt itself at once. The vector stays there. If the CPU is kicked
(exit_request) before the VM's next exit, exception, or interrupt, cpu_handle_exception()
delivers the same interrupt again, whether or not the VM has interrupts off: a timer's
interrupt in the first instructions of its own handler, for example, and then the VM
triple-faults. A kick belongs to each interrupt that another thread of QEMU raises, and comes
late where that thread has to wait for a processor: so it happens on a busy machine.

This is QEMU 10.2.2's source (target/i386/tcg/system/svm_helper.c, accel/tcg/cpu-exec.c). 11.1.3, whose
program says the same, is what the rig starts. The one store is taken out of a copy of that
program, byte by byte the one that is expected, or it is left alone. Only machines that
have a VM in them use it; the QEMU inside of them is Debian's, as it is.
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


def without(program):
    """The program's bytes without that store; None if it is not there, or in more than one place."""
    found = list(_BRANCH.finditer(program))
    if len(found) != 1:
        return None
    begin, end = found[0].span(2)
    return program[:begin] + _NOTHING + program[end:]


def _command(top, program):
    """The words that start such a program, with what was unpacked or installed beside it."""
    libraries = f"{top}/usr/lib/x86_64-linux-gnu"
    loader = [f"{top}/usr/lib64/ld-linux-x86-64.so.2", "--inhibit-cache", "--argv0", "qemu-system-x86_64",
              "--library-path", libraries] if top else []
    return ["env", f"QEMU_MODULE_DIR={libraries}/qemu", *loader, program,
            "-L", f"{top}/usr/share/qemu", "-L", f"{top}/usr/share/seabios"]


def repaired(qemu, builds):
    """
    The path of a QEMU like qemu (see qemu.Qemu) but without the fault, below the folder builds, where it is
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
            f.write(f"#!/bin/sh\n# QEMU {qemu.text} without a fault of its SVM: rig/lib/erratum.py\n"
                    f"exec {shlex.join(_command(top, f'{folder}/program'))} \"$@\"\n")
        for name in os.listdir(new):
            os.chmod(f"{new}/{name}", 0o755)
        # Another case may have been faster.
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
        for name in ("program", "qemu-system-x86_64"):
            os.rename(f"{new}/{name}", f"{folder}/{name}")
    return script
