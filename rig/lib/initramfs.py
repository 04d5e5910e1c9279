# SPDX-License-Identifier: GPL-2.0-only
"""Initramfs archives: cpio in the "newc" format, as the kernel unpacks it."""

import os
import stat

from . import case

S_CONSOLE = stat.S_IFCHR | 0o600
S_LINK = stat.S_IFLNK | 0o777


def _entry(path, mode, data=b"", rdev=(0, 0), _ino=[0]):
    _ino[0] += 1
    name = path.encode() + b"\0"
    head = b"070701" + b"".join(b"%08X" % n for n in (
        _ino[0], mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(name), 0))
    out = head + name
    out += b"\0" * (-len(out) % 4) + data
    return out + b"\0" * (-len(out) % 4)


def archive(files):
    """An archive of {path: bytes}, or text of what a link leads to; all files are executable,
    the folders on the way are made, and a path that ends in / is a folder. /dev/console is
    there so that /init has a stdout."""
    out, made = [], set()

    def folder(path):
        if path and path not in made:
            folder(os.path.dirname(path))
            made.add(path)
            out.append(_entry(path, stat.S_IFDIR | 0o755))

    for path in ("dev", "proc", "sys", "tmp"):
        folder(path)
    out.append(_entry("dev/console", S_CONSOLE, rdev=(5, 1)))
    for path, data in files.items():
        path = path.lstrip("/")
        folder(os.path.dirname(path))
        if path.endswith("/"):
            continue
        if isinstance(data, str):
            out.append(_entry(path, S_LINK, data.encode()))
            continue
        out.append(_entry(path, stat.S_IFREG | 0o755, data))
    out.append(_entry("TRAILER!!!", 0))
    return b"".join(out)


def programs(folder):
    """The guest programs in a folder: all in /bin, and init as /init too."""
    files = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            with open(path, "rb") as f:
                files["/bin/" + name] = f.read()
    if "/bin/init" in files:
        files["/init"] = files["/bin/init"]
    return files


def modules(kernel):
    """{path: bytes} of what scripts/build-kernel put beside a bzImage; most have no modules."""
    folder, files = os.path.join(os.path.dirname(kernel), "modules"), {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, name), "rb") as f:
            files["/modules/" + name] = f.read()
    return files


def installed(files, kernel, next_kernel, cmdline):
    """The files, with both kernels in /boot as packages put them there: an update to either is
    possible from the other. In the first kernel's archive that goes into nested(), those of the next
    kernel are links to /next. A kernel that was come back to has nothing in /boot."""
    there, back = (case.kernel_release(image) for image in (next_kernel, kernel))
    if there == back:
        raise ValueError(f"both kernels say that they are {back}: they would have the same name")
    with open(kernel, "rb") as f:
        image = f.read()
    return {**files,
            f"/boot/vmlinuz-{there}": "/next/bzImage", f"/boot/initrd.img-{there}": "/next/initramfs",
            f"/boot/vmlinuz-{back}": image, f"/boot/initrd.img-{back}": archive({**files, **modules(kernel)}),
            "/boot/cmdline": cmdline.encode()}


def nested(files, kernel, next_kernel, cmdline):
    """The first kernel's archive: the files, its modules, and below /next the kernel to
    jump into, its archive (of the same files and its own modules) and its command line."""
    with open(next_kernel, "rb") as f:
        image = f.read()
    return archive({**files, **modules(kernel),
                    "/next/bzImage": image,
                    "/next/initramfs": archive({**files, **modules(next_kernel)}),
                    "/next/cmdline": cmdline.encode()})
