# SPDX-License-Identifier: GPL-2.0-only
"""
The disk of a host that runs VMs: an ext4 that is made, and looked into, without mounting it.

What is on it: QEMU with all that it is linked with, at the paths of its package; the
kernel and the initramfs of a VM; the VM's own disk and its console.
"""

import os
import shutil
import subprocess

from rig.lib.machine import Failed

LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "lib64/ld-linux-x86-64.so.2"
# With -kernel a PC needs no other firmware.
FIRMWARE = {"seabios": ("bios-256k.bin",), "qemu": ("kvmvapic.bin", "linuxboot_dma.bin")}


def _run(*command, status=(0,), folder=None):
    """What it printed; PATH of a user often lacks the programs for file systems."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    try:
        ran = subprocess.run(command, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL, cwd=folder, text=True, errors="replace", check=False)
    except FileNotFoundError:
        raise Failed(f"there is no {command[0]}; run scripts/setup") from None
    if ran.returncode not in status:
        raise Failed(f"'{' '.join(command)}' failed: {ran.stdout.strip()[-500:]}")
    return ran.stdout


def linked(program, top=""):
    """{path there: path here} of what a program is linked with: that below top, or the system's."""
    loader = f"{top}/usr/{LOADER}" if top else f"/{LOADER}"
    files = {LOADER: loader}
    command = [loader, *["--library-path", f"{top}/{LIBRARIES}"] * bool(top), "--list", program]
    for line in _run(*command).splitlines():
        name, _, path = line.partition(" => ")
        if path:
            files[f"{LIBRARIES}/{os.path.basename(name.strip())}"] = path.split()[0]
    return files


def qemu_files(qemu, firmware=None):
    """
    {path on the host: path here} of an installed QEMU, or of one that scripts/setup has unpacked or built. firmware: the QEMU
    whose firmware it has, if it has none of its own.
    """
    top, program = qemu.installed()
    files = {"usr/bin/qemu-system-x86_64": program, **linked(program, top)}
    if firmware:
        top, _ = firmware.installed()
    for folder, names in FIRMWARE.items():
        files.update((f"usr/share/{folder}/{name}", f"{top}/usr/share/{folder}/{name}") for name in names)
    return files


def make(path, files, contents, holes, mib):
    """files: {path on it: path here}; contents: {path: bytes}; holes: {path: bytes long}, all zero."""
    stage = path + ".files"
    shutil.rmtree(stage, ignore_errors=True)
    for name in (*files, *contents, *holes):
        os.makedirs(os.path.dirname(f"{stage}/{name}"), exist_ok=True)
    for name, source in files.items():
        shutil.copyfile(source, f"{stage}/{name}")
        os.chmod(f"{stage}/{name}", 0o755)
    for name, data in contents.items():
        with open(f"{stage}/{name}", "wb") as f:
            f.write(data)
    for name, size in holes.items():
        with open(f"{stage}/{name}", "wb") as f:
            f.truncate(size)
    if os.path.exists(path):
        os.unlink(path)
    # Nothing is left for the kernel to initialise later, which would be work beside an update.
    _run("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0",
         "-d", stage, path, f"{mib}M")
    shutil.rmtree(stage)


def check(path):
    """Is it whole? What a host had not written back when it was powered off is in its journal."""
    _run("e2fsck", "-fp", path, status=(0, 1))


def extract(path, name, to):
    """A file on it, as it is now."""
    # Its command line knows no quotes, so no folder may be in it.
    folder, target = os.path.split(os.path.abspath(to))
    said = _run("debugfs", "-R", f"dump /{name} {target}", os.path.abspath(path), folder=folder)
    if not os.path.exists(to):
        raise Failed(f"the host's disk has no {name}: {said.strip()}")
