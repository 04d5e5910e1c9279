# SPDX-License-Identifier: GPL-2.0-only
"""Upstream's own live update self-tests, on our kernel and in our machine."""

import os
import re
import subprocess

from rig.lib import initramfs
from rig.lib.case import Case
from rig.lib.machine import Failed

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KTAP_TOTALS = re.compile(r"# Totals: pass:(\d+) fail:(\d+) xfail:(\d+) xpass:(\d+) skip:(\d+) error:(\d+)")


def program(name):
    tree = os.environ.get("LINUX_TREE", f"{TOP}/build/linux")
    if subprocess.run([f"{TOP}/scripts/build-selftests", tree], check=False).returncode:
        raise Failed("upstream's self-tests could not be built")
    with open(f"{TOP}/build/selftests/{name}", "rb") as f:
        return f.read()


def basic(machine):
    """Device, sessions and memfds, with no kexec."""
    machine.start(init_files={"/init": program("run-test"), "/test": program("liveupdate"),
                              "/sys/kernel/debug/": b""})
    status = machine.wait("test", timeout_s=60)["status"]
    machine.finish()
    totals = KTAP_TOTALS.search(machine.console())
    if totals:
        for name, n in zip(("pass", "fail", "xfail", "xpass", "skip", "error"), totals.groups()):
            machine.figures["tests_" + name] = int(n)
    if status or not machine.figures.get("tests_pass") or machine.figures["tests_skip"]:
        raise Failed(f"the program ended with status {status}, and {totals[0] if totals else 'no totals'}")


def across_kexec(name):
    """Upstream's init jumps into /kernel between the two stages of a test."""
    def run(machine):
        test = {"/init": program("init"), "/test_binary": program(name), "/debugfs/": b""}
        with open(machine.next_kernel, "rb") as f:
            kernel = f.read()
        machine.start(init_files={**test, "/kernel": kernel,
                                  "/initrd.img": initramfs.archive(test)},
                      quiet_s=60, limit_s=180)
        machine.finish(timeout_s=150)
        if not re.search(r"TEST PASSED", machine.console()):
            raise Failed("its second stage did not say TEST PASSED")
    return run


CASES = [
    Case("luo-selftests", "upstream's liveupdate: /dev/liveupdate, sessions, memfds", basic, debug=True),
    *(Case("luo-selftests-" + name.removeprefix("luo_").replace("_", "-"),
           f"upstream's {name}, across a kexec", across_kexec(name), debug=name == "luo_kexec_simple")
      for name in ("luo_kexec_simple", "luo_multi_session", "luo_stress_files", "luo_stress_sessions")),
]
