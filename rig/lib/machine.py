# SPDX-License-Identifier: GPL-2.0-only
"""
The machine under test: QEMU with an emulated IOMMU, a console that is watched, a
control channel to the guest, and files that say what happened.

A case gets a Machine, starts it, talks to the guest and puts figures into it:

    def run(machine):
        machine.start(devices=["-device", "igb,..."])
        ready = machine.wait("ready")          # {"ev": "ready", ...} from the guest
        machine.send("go frames=1000")
        machine.figures["frames_sent"] = 1000
        machine.finish()                       # the guest powers off by itself

A case that needs more than one has machine.another("name"), in a folder below the first
one's; all of them end when the case does.

Whatever goes wrong raises: Failed (the verdict is "fail"), Splat (the kernel
complained or died), Skipped (this machine cannot run the case). A hang ends by
itself: when neither console nor control channel said anything for quiet_s, or
when limit_s is over, QEMU is killed and the waiting case gets Failed. Whoever gives
up first, the watcher or the case that waits, writes down what the machine was doing.

Three times are on every event: "t_us" is the guest's clock, "host_ns" the
host's monotonic clock and "host_real_ns" its wall clock at arrival. QEMU's own
reports (trace.log) carry the wall clock.
"""

import errno
import json
import os
import re
import shlex
import socket
import subprocess
import threading
import time

from rig.referee import dmalog, trace

from . import erratum, initramfs, qemu
from .case import kernel_release
from .iommu import NAMED
from .platform import Q35

QMP_S = 10              # so long the autopsy waits for an answer of QEMU's
ROOM, ROOM_S = 4, 600   # a wait may take so many times as long as where nothing else runs, up to so many seconds

# What a kernel writes only if something is wrong with it.
SPLAT = re.compile(
    r"WARNING: |BUG: |kernel BUG at|KASAN: |UBSAN: |ODEBUG: |Oops|Kernel panic"
    r"|INFO: task .* blocked|INFO: rcu|possible (?:circular|recursive) locking"
    r"|inconsistent lock state|suspicious RCU usage|invalid wait context"
    r"|general protection fault|unable to handle|list_(?:add|del) corruption"
    r"|refcount_t: |kmemleak: \d+ new suspected|unreferenced object 0x"
    r"|disabling kexec handover|Disabling liveupdate|soft lockup|scheduling while atomic|sleeping function called")


def errno_name(number):
    """As the manual pages have it, or the number itself; None for 0."""
    # Linux has one number for both, and Python knows it by the other name.
    if number == errno.EOPNOTSUPP:
        return "EOPNOTSUPP"
    return errno.errorcode.get(number, str(number)) if number else None


class Failed(Exception):
    """The case did not show what it had to show."""


class Splat(Exception):
    """The kernel under test complained about itself, or died."""


class Skipped(Exception):
    """The case cannot run here; the reason is the message."""


class Machine:
    def __init__(self, folder, kernel, programs, case, slow=1, next_kernel=None, keep=False, platform=Q35):
        self.folder = folder            # build/rig/CASE
        self.kernel = kernel            # path of the boot image
        self.next_kernel = next_kernel or kernel
        self.programs = programs        # folder of guest programs
        self.case = case
        self.slow = slow                # all times are this much longer (debug kernel)
        self.keep = keep                # leave a machine that went wrong running
        self.platform = platform
        self.qemu = qemu.find(platform.qemu)
        self.figures = {}               # goes into result.json
        self.events = []                # all events so far, in order
        self.command = []
        self.expected = []              # patterns of splats that a case provokes
        self.trouble = None             # exception of the watcher, for the waiting case
        self.others = {}                # by name, see another()
        self._console_seen = 0
        self._cond = threading.Condition()
        self._qmp_lock = threading.Lock()
        self._autopsy_lock = threading.Lock()
        self._found = None              # by the autopsy
        self._process = None
        self._watcher = None
        self._ended = False

    def path(self, name):
        return os.path.join(self.folder, name)

    def another(self, name, kernel=None, next_kernel=None):
        """One more machine of the case, with the kernels of this one if no others are given. Its
        figures are among this one's, by its name, and close() of this one ends it."""
        folder = self.path(name)
        os.makedirs(folder, exist_ok=True)
        other = type(self)(folder, kernel or self.kernel, self.programs, self.case, slow=self.slow,
                           next_kernel=next_kernel or self.next_kernel, keep=self.keep,
                           platform=self.platform)
        self.others[name] = other
        self.figures[name] = other.figures
        return other

    def all(self):
        """This one, and the others of its case."""
        return [self, *self.others.values()]

    # -- starting ---------------------------------------------------------

    def prepare(self, devices=(), append="", first="", iommu=None, ats=False, first_stage=False, files=None,
                memory=None, cpus=2, init_files=None, count=False, alternate=False,
                nested=False, installed=False):
        """Write the initramfs and compose the command; start() without the start.

        iommu: its name, see iommu.py; the platform's own if there is none. ats: it answers what devices ask it to translate
        in advance. first_stage: HWPTs are first-stage tables. devices: further QEMU
        arguments. append: further kernel parameters, for both kernels; first: for the
        first one alone. files: {path: bytes} in the guest beside the guest programs;
        init_files: in place of them. count: the guest's clock counts instructions, one for
        a nanosecond, so that it tells how much work something is, however busy the host
        is. alternate: the next kernel jumps back into the first one, and so on; else into
        itself. nested: it can run VMs. installed: both kernels are in /boot, as packages put
        them there, with the command line for either.
        """
        if "liveupdate.break=" in append and "-lab" not in (kernel_release(self.kernel) or ""):
            raise Failed(f"{self.kernel} has no laboratory that could break a law: the case needs kernel=\"lab\"")
        self.iommu = NAMED[iommu or self.platform.iommu]
        common = (f"{self.platform.console} panic=-1 oops=panic {self.platform.options} kho=on liveupdate=on "
                  f"{self.iommu.options} rig.case={self.case} {append}").strip()
        if self.slow != 1:
            # KASAN's shadow takes an eighth of the memory at boot. KHO's own
            # estimate of its scratch areas, twice of that, finds no room.
            memory = memory or "3G"
            common += f" {self.platform.debug_options}"
        if nested:
            common += f" {self.platform.nested_options()}"
        memory = memory or "2G"
        contents = dict(init_files if init_files is not None
                        else initramfs.programs(self.programs))
        contents.update(files or {})
        if installed:
            contents = initramfs.installed(contents, self.kernel, self.next_kernel, common + " rig.stage=2")
        if alternate:
            with open(self.kernel, "rb") as f:
                contents["/other/bzImage"] = f.read()
        with open(self.path("initramfs"), "wb") as f:
            f.write(initramfs.nested(contents, self.kernel, self.next_kernel, common + " rig.stage=2"))

        if not self.qemu:
            raise Failed("there is no QEMU; run scripts/setup")
        if self.iommu.new_qemu and self.qemu.old:
            raise Skipped(f"QEMU {self.qemu.text} does not have this IOMMU as it is needed; 'scripts/setup qemu' gets one that has")
        self.figures["qemu"] = self.qemu.text
        program = self.qemu.path
        if nested:
            program = erratum.repaired(self.qemu, erratum.FOLDER) or program
            self.figures["emulator_repaired"] = program != self.qemu.path
        self.command = [
            program, "-nodefaults", "-no-user-config",
            *self.platform.arguments(count, nested),
            "-m", memory, "-smp", "1" if count else str(cpus), *["-icount", "shift=0,sleep=off"] * count,
            "-display", "none", "-no-reboot",
            "-msg", "timestamp=on", "-D", "trace.log",
            *[a for event in (*self.iommu.referee.EVENTS, dmalog.AUDIO_OVERRUN) for a in ("-trace", f"enable={event}")],
            "-serial", "file:console.log",
            # QEMU waits for the runner here, so that no event can be lost.
            "-chardev", "socket,id=control,path=control.sock,server=on,wait=on",
            "-serial", "chardev:control",
            "-chardev", "socket,id=qmp,path=qmp.sock,server=on,wait=off",
            *self.qemu.control("qmp"),
            *self.iommu.arguments(self.qemu, ats, first_stage),
        ]
        self.command += [*devices, "-kernel", os.path.abspath(self.kernel),
                         "-initrd", "initramfs",
                         "-append", f"{common} {first}".strip() + " rig.stage=1"]
        with open(self.path("qemu.cmd"), "w", encoding="utf-8") as f:
            f.write(self.command_text() + "\n")

    def command_text(self):
        return f"cd {shlex.quote(self.folder)} && {shlex.join(self.command)}"

    def start(self, quiet_s=30, limit_s=120, pass_fds=(), **arguments):
        """Start the machine; for the arguments see prepare()."""
        self.prepare(**arguments)
        for name in ("console.log", "trace.log", "qemu.log"):
            open(self.path(name), "wb").close()
        for name in ("control.sock", "qmp.sock"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        self._quiet_s = self.bound(quiet_s)
        self._limit = time.monotonic() + self.bound(limit_s)
        self._heard = time.monotonic()
        with open(self.path("qemu.log"), "wb") as log:
            self._process = subprocess.Popen(
                self.command, cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, pass_fds=pass_fds)
        self._control = self.connect("control.sock")
        self._qmp_socket = self.connect("qmp.sock")
        self._qmp = self._qmp_socket.makefile("rw")
        self._qmp.readline()
        self.qmp("qmp_capabilities")
        self._reader = threading.Thread(target=self._read_control, daemon=True)
        self._reader.start()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def connect(self, name):
        """A socket of QEMU's in the folder."""
        # A path by way of the folder's descriptor is short, whereas the folder's
        # own may be longer than the 107 bytes that a socket address holds.
        folder = os.open(self.folder, os.O_PATH)
        try:
            for _ in range(500):
                try:
                    s = socket.socket(socket.AF_UNIX)
                    s.connect(f"/proc/self/fd/{folder}/{name}")
                    return s
                except (FileNotFoundError, ConnectionRefusedError):
                    s.close()
                    if self._process.poll() is not None:
                        break
                    time.sleep(0.02)
        finally:
            os.close(folder)
        with open(self.path("qemu.log"), encoding="utf-8", errors="replace") as f:
            said = f.read().strip().splitlines()
        self.kill()
        raise Failed(f"QEMU did not start: {said[-1] if said else 'it said nothing'} (command in qemu.cmd)")

    # -- threads ----------------------------------------------------------

    def _read_control(self):
        for line in self._control.makefile("rb"):
            mono, real = time.monotonic_ns(), time.time_ns()
            text = line.decode(errors="replace").strip("\0\r\n ")
            try:
                event = json.loads(text)
            except ValueError:
                event = {"ev": "garbage", "text": text}
            event.update(host_ns=mono, host_real_ns=real)
            with self._cond:
                self._heard = time.monotonic()
                self.events.append(event)
                self._cond.notify_all()
            if event.get("waits"):
                # The guest does not go on before the time of the event is known.
                self.send("noted")

    def _watch(self):
        """Look at the console, at the clock and at QEMU, ten times a second."""
        while True:
            over = self._process.poll() is not None
            if over:
                # What the guest said last is still on its way.
                self._reader.join(2)
            why = self._look_at_console()
            now = time.monotonic()
            if not why and not over:
                if now > self._limit:
                    why = Failed("the case took longer than its limit")
                elif now - self._heard > self._quiet_s:
                    why = Failed(f"neither console nor guest said anything for {self._quiet_s:.0f} s")
                if why:
                    why = self.gave_up(str(why))
                if why and not self.keep:
                    self.kill()
            with self._cond:
                self.trouble = self.trouble or why
                self._ended = over
                self._cond.notify_all()
            if over:
                return
            time.sleep(0.1)

    def gave_up(self, why):
        """Failed, for a machine that does not do what it is waited for, and what it does instead."""
        with self._autopsy_lock:
            if self._found is None and self._process.poll() is None:
                # QEMU itself may hang.
                self._qmp_socket.settimeout(self.bound(QMP_S))
                self._found = self._autopsy()
                self._qmp_socket.settimeout(None)
        return Failed(f"{why} ({self._found})" if self._found else why)

    def _autopsy(self):
        """What a machine that hangs is doing, three times with a second in between, into
        autopsy.txt: where each CPU is, and which interrupts it waits for. Returns the last
        of it in brief."""
        with open(self.path("autopsy.txt"), "w", encoding="utf-8") as f:
            for _ in range(3):
                for command in self.platform.autopsy:
                    try:
                        said = self.qmp("human-monitor-command", **{"command-line": command})
                    except (Failed, OSError, ValueError) as error:
                        said = f"{error}\n"
                    f.write(f"--- {command}\n{said}\n")
                time.sleep(1)
        with open(self.path("autopsy.txt"), encoding="utf-8") as f:
            return self.platform.brief(f.read().rpartition("--- info cpus")[2])

    def _look_at_console(self):
        with open(self.path("console.log"), "rb") as f:
            f.seek(self._console_seen)
            new = f.read()
        whole = new[:new.rfind(b"\n") + 1]
        if not whole:
            return None
        self._console_seen += len(whole)
        self._heard = time.monotonic()
        for line in whole.decode(errors="replace").splitlines():
            if SPLAT.search(line) and not any(re.search(p, line) for p in self.expected):
                return Splat(line.strip())
        return None

    def bound(self, seconds):
        """
        How long to wait for what takes no longer than so many seconds where nothing else runs, before it is given up. For
        what must not happen in a time there is no such room: a case multiplies that time by slow alone.
        """
        return max(seconds, min(seconds * ROOM, ROOM_S)) * self.slow

    # -- talking ----------------------------------------------------------

    def check(self):
        """Raise what the watcher found; cases with loops of their own call it."""
        if isinstance(self.trouble, Splat):
            # The rest of the report is worth a moment.
            time.sleep(1)
        if self.trouble:
            raise self.trouble
        for event in self.events:
            if event["ev"] == "error":
                raise Failed(f"guest: {event.get('text', event)}")

    def check_runs(self):
        """As check(), of a machine that is not to end yet."""
        self.check()
        if self._ended:
            raise Failed("the machine has ended, and its console does not say why")

    def wait(self, name, timeout_s=30, since=0, **match):
        """The first event of that name, or of one of several (and with those members), after
        the first `since` events; raises when the machine ends or time is up."""
        names = (name,) if isinstance(name, str) else name
        deadline = time.monotonic() + self.bound(timeout_s)
        with self._cond:
            while True:
                for event in self.events[since:]:
                    if event["ev"] in names and all(event.get(k) == v for k, v in match.items()):
                        return event
                self.check()
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._cond.wait(min(left, 1))
            last = self.events[-1]["ev"] if self.events else "nothing"
            reason = "the machine ended" if self._ended else f"{self.bound(timeout_s):.0f} s are over"
        raise self.gave_up(f"waited for '{' or '.join(names)}' of the guest, but {reason}; the last it said was '{last}'")

    def ended(self):
        """Is it over, for better or worse?"""
        return self._ended

    def send(self, line):
        """One line to the guest."""
        self._control.sendall(line.encode() + b"\n")

    def read(self, path):
        """The first line of a file in the guest, or None if it cannot be read."""
        since = len(self.events)
        self.send(f"read {path}")
        said = self.wait("read", since=since)
        return None if said["errno"] else bytes.fromhex(said["hex"]).decode(errors="replace")

    def write(self, path, text):
        """Write into a file in the guest: the name of the errno, or None."""
        since = len(self.events)
        self.send(f"write {path} {text}")
        return errno_name(self.wait("written", since=since)["errno"])

    def put(self, path, text):
        """The same, which has to work."""
        error = self.write(path, text)
        if error:
            raise Failed(f"'{text}' cannot be written to {path}: {error}")

    def qmp(self, command, **arguments):
        """Execute a QMP command and return its result."""
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        with self._qmp_lock:
            try:
                self._qmp.write(json.dumps(request) + "\n")
                self._qmp.flush()
                for line in self._qmp:
                    answer = json.loads(line)
                    if "error" in answer:
                        raise Failed(f"QMP {command}: {answer['error']['desc']}")
                    if "return" in answer:
                        return answer["return"]
            except OSError as error:
                raise Failed(f"QMP {command}: {error}") from None
        raise Failed(f"QMP {command}: QEMU is gone")

    def register(self, address):
        """8 bytes at a physical address that need not be memory."""
        said = self.qmp("human-monitor-command", **{"command-line": f"xp/1gx {address:#x}"})
        return int(re.search(r": (0x[0-9a-f]+)", said)[1], 16)

    def trace(self, event, on=True):
        """Switch a trace event of QEMU's on or off; it goes to trace.log."""
        self.qmp("trace-event-set-state", name=event, enable=on)

    def faults(self):
        """IOMMU faults that QEMU reported so far: [(wall clock in s, text)]."""
        out, referee = [], self.iommu.referee
        with open(self.path("trace.log"), encoding="utf-8", errors="replace") as f:
            for line in f:
                found = trace.parse(line)
                if found and found[1] == referee.REFUSED and referee.read(*found[1:])[0] == "refused":
                    out.append((found[0] / 1e6, found[2]))
        return out

    def dma_log(self):
        """All that QEMU reported of the IOMMU so far, as the referee reads it."""
        return dmalog.DmaLog.read(self.path("trace.log"), self.iommu.referee)

    def console(self):
        """All that the console said. It lags behind what the guest says over the
        control channel: who looks for a line waits for the end first."""
        with open(self.path("console.log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    # -- ending -----------------------------------------------------------

    def finish(self, timeout_s=30):
        """The guest powers off by itself; raise if it does not."""
        deadline = time.monotonic() + self.bound(timeout_s)
        with self._cond:
            while not self._ended and time.monotonic() < deadline:
                self.check()
                self._cond.wait(0.5)
            self.check()
        self._powered_off(timeout_s)

    def await_end(self, timeout_s=30):
        """A guest that gave up powers off; after that all that it wrote is on file."""
        deadline = time.monotonic() + self.bound(timeout_s)
        with self._cond:
            while not self._ended and time.monotonic() < deadline:
                self._cond.wait(0.5)
        self._powered_off(timeout_s)

    def _powered_off(self, timeout_s):
        if not self._ended:
            raise self.gave_up(f"the guest did not power off within {self.bound(timeout_s):.0f} s")

    def kill(self):
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def close(self):
        """Leave no process behind, and see what the consoles said at the end."""
        splats = []
        for machine in (*self.others.values(), self):
            try:
                machine.close_alone()
            except Splat as splat:
                splats.append(splat)
        if splats:
            raise splats[0]

    def close_alone(self):
        if self.keep and self._process and self._process.poll() is None:
            print(f"the machine is still running (process {self._process.pid}); its control channel "
                  f"and QMP are the sockets in {self.folder}; ^C ends it", flush=True)
            try:
                # Let go of the sockets: QEMU takes one client at a time.
                self._control.shutdown(socket.SHUT_RDWR)
                self._qmp.close()
                self._process.wait()
            except KeyboardInterrupt:
                pass
        self.kill()
        # QEMU may have died before there was anything to watch.
        if self._watcher:
            self._look_at_console_once_more()
        for name in ("control.sock", "qmp.sock"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))

    def _look_at_console_once_more(self):
        with self._cond:
            while not self._ended:
                self._cond.wait(0.5)
        if isinstance(self.trouble, Splat):
            raise self.trouble
