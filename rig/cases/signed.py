# SPDX-License-Identifier: GPL-2.0-only
"""
A kernel that is locked down, as with Secure Boot, takes only an image whose signature it can
verify: continuo says so before, refuses by name what the kernel refuses, and goes over to what it takes.

The key is the one that the kernel was built with: it trusts that one as it does a distribution's. Keys of
the firmware (db, MOK) are not tried, since the rig's machine has no firmware with Secure Boot; the kernel
looks for them in another keyring, and then does the same.
"""

import os
import shutil
import subprocess

from rig.cases.agrees import TO_VFIO, goes_over, has_vm, vm_comes
from rig.cases.command import continuo, printed, program
from rig.cases.library import agent_files
from rig.cases.operator import AGENT, EXAMPLE_DEVICE, EXAMPLE_HARDWARE, FILES, UPDATE, WRITTEN, example_files
from rig.lib.case import Case, kernel_release
from rig.lib.machine import Failed, Skipped
from rig.lib.run import bind

SAYS = "it takes only an image whose signature it can verify"


def sign(image, key, to):
    """Sign an image; key: a file with a private key and its certificate."""
    if not shutil.which("sbsign"):
        raise Skipped("no sbsign (scripts/setup sign)")
    subprocess.run(["sbsign", "--key", key, "--cert", key, "--output", to, image], check=True, stdout=subprocess.DEVNULL)
    with open(to, "rb") as f:
        return f.read()


def images(machine):
    """Those that the kernel refuses, and the one that it takes: {name: bytes}."""
    own = os.path.join(os.path.dirname(machine.kernel), "signing_key.pem")
    stranger = machine.path("stranger.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=stranger",
                    "-keyout", stranger, "-out", machine.path("stranger.crt")], check=True, stderr=subprocess.DEVNULL)
    with open(machine.path("stranger.crt"), encoding="ascii") as crt, open(stranger, "a", encoding="ascii") as pem:
        pem.write(crt.read())
    with open(machine.next_kernel, "rb") as f:
        unsigned = f.read()
    signed = sign(machine.next_kernel, own, machine.path("signed"))
    changed = bytearray(signed)
    changed[len(unsigned) // 2] ^= 1
    return {"unsigned": unsigned, "stranger": sign(machine.next_kernel, stranger, machine.path("strange")), "changed": bytes(changed),
            "signed": signed}


def row_of(machine, name):
    _, check = continuo(machine, f"{AGENT} check")
    if not check["ready"]:
        raise Failed(f"check says no: {check['host']}")
    return next(row for row in check["host"] if row["check"] == name)


def locked_down(machine, mode):
    """
    Images that are not signed, or by another key, or were changed after that, are refused at load and by an
    update that would load them, and nothing else happens; the signed one is taken, and the VM goes over.
    Seen to fail: as long as the kernel had no SHA-256 in its crypto API, which is what sbsign signs with: it then refuses
    each image in the same words, whoever has signed it.
    """
    found = images(machine)
    with open(os.path.join(os.path.dirname(machine.kernel), "config"), "rb") as f:
        config = {f"/boot/config-{kernel_release(machine.kernel)}": f.read()}
    machine.start(devices=[*EXAMPLE_HARDWARE],
                  files={**agent_files(), **program(), **example_files(), **config,
                         **{f"/load/{name}": data for name, data in found.items()}},
                  append=f"rig.devs=none rig.idle=1 rig.debugfs=0 lockdown={mode}", memory="3G", quiet_s=150, limit_s=400)
    machine.wait("ready", timeout_s=60)
    for path, text in TO_VFIO:
        machine.put(path, text)
    if not vm_comes(machine):
        raise Failed(f"there is no VM: {machine.figures.get('answer')}")
    row = row_of(machine, "image signature")
    if row["ok"] != "unknown" or f"locked down ({mode}); {SAYS}" not in row["found"]:
        raise Failed(f"check says {row}")
    refused = [name for name in found if name != "signed"]
    for name in refused:
        at = len(machine.console())
        for command, status, outcome in ((f"--kernel /load/{name} {FILES} load", 3, "refused"),
                                         (f"{UPDATE} update".replace("/next/bzImage", f"/load/{name}"), 4, "undone")):
            got, data = continuo(machine, command)
            if (got, data["outcome"]) != (status, outcome):
                raise Failed(f"{command.split()[-1]} of {name} ends with {got}: {data}")
        said = machine.console()[at:].count(f"cannot be loaded: this kernel is locked down ({mode})")
        if said != 2:
            raise Failed(f"of {name} the reason is given {said} times, not twice")
        if row_of(machine, "kexec")["found"] != "no kernel is loaded yet" or not has_vm(machine):
            raise Failed(f"{name} stays loaded, or the VM is not as before")
    status, data = continuo(machine, f"--kernel /load/signed {FILES} load")
    if status or data["outcome"] != "loaded":
        raise Failed(f"load of the signed image ends with {status}: {data}; {machine.console()[-500:]}")
    row = row_of(machine, "image signature")
    if row["ok"] != "yes":
        raise Failed(f"with the signed image in place check says {row}")
    works = goes_over(machine, f"run /usr/bin/continuo --json {AGENT} update", ("ran",))
    if works and printed(machine, f"{AGENT} check")[0]:
        raise Failed("the next kernel is not ready")
    machine.send("off")
    machine.finish()
    machine.figures.update(tries=len(refused), outcome="refused at load, by name, and nothing else happens; the signed one is taken, and the VM goes over")
    if not works or WRITTEN not in machine.console().rpartition("Linux version")[2]:
        raise Failed(f"the VM does not go over to the signed image: {machine.figures.get('answer')}")
    if machine.console().count("Kernel is locked down from command line") != 2:
        raise Failed("not both kernels are locked down")


CASES = [
    Case(f"host-lockdown{suffix}", f"a kernel that is locked down ({mode}) goes over to a signed image, and to no other", bind(locked_down, mode=mode),
         kernel="host", setup="sign", fault=f"a kernel that is locked down ({mode}) is given an image that is not signed, by a stranger, or changed")
    for suffix, mode in (("", "integrity"), ("-more", "confidentiality"))
]
