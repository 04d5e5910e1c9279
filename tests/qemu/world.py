# SPDX-License-Identifier: GPL-2.0-only
"""
A world for continuo-qemu: an agent, and a kernel whose sessions, iommufds and VFIO devices
are sockets (tests/qemu/shim.c answers the broker's calls by asking here). It obeys the rules
that the broker depends on, and remembers what was done.
"""

import array
import errno
import os
import selectors
import socket
import struct
import threading

IOAS_TOKEN_KINDS = {"ioas", "hwpt", "device"}


class Object:
    """Something that a descriptor stands for; it ends when all of its descriptors are closed."""

    def __init__(self, world):
        self.world = world
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.inode = os.fstat(self.theirs.fileno()).st_ino
        self.ended = False
        world.objects[self.inode] = self
        world.watch(self.ours, self.hear)

    def fileno(self):
        return self.theirs.fileno()

    def drop(self):
        """Nobody in the world has a descriptor of it any more; a process can."""
        if self.theirs.fileno() >= 0:
            self.theirs.close()

    def hear(self):
        text, fds = receive(self.ours)
        if not text:
            self.world.unwatch(self.ours)
            self.ours.close()
            self.ended = True
            self.close()
            return
        verb, *words = text.split()
        answer, fd = self.call(verb, words, fds)
        for f in fds:
            os.close(f)
        answer = answer if isinstance(answer, tuple) else (answer,)
        send(self.ours, " ".join(str(a) for a in answer), fd)

    def call(self, verb, words, fds):
        method = getattr(self, "do_" + verb, None)
        fault = self.world.fault(verb)
        if fault:
            return fault, None
        if method is None:
            return errno.ENOTTY, None
        answer = method(fds, *words)
        if isinstance(answer, Given):
            return 0, answer.fd
        return answer, None

    def close(self):
        pass


class Given:
    def __init__(self, fd):
        self.fd = fd


class Session(Object):
    def __init__(self, world, name):
        super().__init__(world)
        self.name = name
        self.files = {}
        self.came = False
        self.finished = False

    def do_preserve(self, fds, token):
        token = int(token, 0)
        if token in self.files:
            return errno.EEXIST
        what = self.world.object_of(fds[0])
        if isinstance(what, Iommufd):
            if not what.marks():
                return errno.EINVAL
            what.preserved = self
        elif isinstance(what, Device):
            if what.iommufd.preserved is not self:
                return errno.ENOENT
            what.preserved = self
        self.files[token] = os.dup(fds[0])
        return 0

    def do_retrieve(self, _fds, token):
        fd = self.files.get(int(token, 0))
        return Given(fd) if fd is not None else errno.ENOENT

    def do_finish(self, _fds):
        for fd in self.files.values():
            what = self.world.object_of(fd)
            if isinstance(what, Device) and what.hwpt in what.iommufd.restored:
                return errno.EBUSY
        self.let_go()
        self.finished = True
        return 0

    def let_go(self):
        for fd in self.files.values():
            what = self.world.object_of(fd)
            if what is not None and what.preserved is self:
                what.preserved = None
            os.close(fd)
        self.files = {}

    def close(self):
        self.let_go()
        self.world.sessions.pop(self.name, None)


class Iommufd(Object):
    def __init__(self, world):
        super().__init__(world)
        self.next = 1
        self.of = {}                    # id: [kind, ...]
        self.restored = {}              # id: token
        self.preserved = None

    def add(self, *what):
        number = self.next
        self.next += 1
        self.of[number] = list(what)
        return number

    def kind(self, number):
        return self.of[number][0] if number in self.of else None

    def marks(self):
        return {v[3]: k for k, v in self.of.items() if v[0] == "hwpt" and v[3] is not None}

    def maps(self, hwpt):
        """What a HWPT translates: [(iova, length, offset, inode, flags)]."""
        return sorted(self.of[self.of[hwpt][1]][1])

    def frozen(self, ioas):
        return self.preserved and any(v[0] == "hwpt" and v[1] == ioas and v[3] is not None for v in self.of.values())

    def do_destroy(self, _fds, number):
        number = int(number)
        if number in self.restored:
            if any(d.hwpt == number for d in self.world.devices):
                return errno.EBUSY
            del self.restored[number]
            return 0
        if number not in self.of:
            return errno.ENOENT
        kind = self.kind(number)
        if kind == "hwpt" and any(d.hwpt == number and d.iommufd is self for d in self.world.devices):
            return errno.EBUSY
        if kind == "ioas" and any(v[0] == "hwpt" and v[1] == number for v in self.of.values()):
            return errno.EBUSY
        del self.of[number]
        return 0

    def do_ioas(self, _fds):
        return 0, self.add("ioas", [])

    def do_map(self, fds, ioas, start, length, iova, flags):
        ioas = int(ioas)
        start, length, iova = (int(x, 0) for x in (start, length, iova))
        if self.kind(ioas) != "ioas":
            return errno.ENOENT
        if self.frozen(ioas):
            return errno.EBUSY
        if start + length > os.fstat(fds[0]).st_size or (start | length | iova) & 4095:
            return errno.EINVAL
        for other, n, *_ in self.of[ioas][1]:
            if iova < other + n and other < iova + length:
                return errno.EEXIST
        self.of[ioas][1].append((iova, length, start, os.fstat(fds[0]).st_ino, int(flags)))
        return 0

    def do_hwpt(self, _fds, device, ioas, flags):
        if self.kind(int(device)) != "device" or self.kind(int(ioas)) != "ioas":
            return errno.ENOENT
        return 0, self.add("hwpt", int(ioas), int(flags), None)

    def do_mark(self, _fds, hwpt, token, flags):
        hwpt, token = int(hwpt), int(token, 0)
        if self.kind(hwpt) != "hwpt":
            return errno.ENOENT
        if self.preserved:
            return errno.EBUSY
        if int(flags) & 2:
            if self.of[hwpt][3] != token:
                return errno.ENOENT
            self.of[hwpt][3] = None
            return 0
        self.of[hwpt][3] = token
        return 0

    def do_info(self, _fds, device):
        return (0, 1) if self.kind(int(device)) == "device" else errno.ENOENT

    def do_restore(self, _fds, token):
        for number, mark in self.restored.items():
            if mark[0] == int(token, 0):
                return 0, number
        return errno.ENOENT

    def do_verify(self, _fds, restored, hwpt):
        mark = self.restored.get(int(restored))
        if mark is None or self.kind(int(hwpt)) != "hwpt":
            return errno.ENOENT
        same = [m[:4] for m in mark[1]] == [m[:4] for m in self.maps(int(hwpt))]
        return 0, 0 if same else 1

    def do_adopt(self, _fds):
        return errno.ENOENT


MIGRATION, DMA_BUF = 1, 11              # VFIO_DEVICE_FEATURE_*


class Device(Object):
    def __init__(self, world, name):
        super().__init__(world)
        self.name = name
        self.iommufd = None
        self.number = 0
        self.hwpt = 0
        self.moves = []
        self.irqs = {}                  # index: eventfds
        self.flags = {}
        self.preserved = None
        self.migrates = False
        self.resets = True
        # A capability list with MSI-X, which is on.
        self.config = bytearray(256)
        self.config[0x34] = 0x50
        self.config[0x50:0x54] = bytes([0x05, 0x70, 0, 0])
        self.config[0x70:0x74] = bytes([0x11, 0, 0, 0x80])
        world.devices.append(self)

    def do_device(self, _fds):
        return 0, int(self.resets)

    def do_feature(self, _fds, which):
        has = {MIGRATION: self.migrates, DMA_BUF: self.world.exports}
        return 0 if has.get(int(which)) else errno.ENOTTY

    def do_bind(self, fds):
        other = self.world.object_of(fds[0])
        if self.number:
            return errno.EINVAL
        if self.iommufd is not None and other is not self.iommufd:
            return errno.EPERM
        self.iommufd = other
        self.number = other.add("device", self)
        return 0, self.number

    def do_attach(self, _fds, pt):
        pt = int(pt)
        if self.preserved and not self.preserved.came:
            return errno.EBUSY
        if self.iommufd is None or self.iommufd.kind(pt) not in ("hwpt", "ioas"):
            return errno.ENOENT
        self.hwpt = pt
        self.moves.append(pt)
        return 0

    def do_irqs(self, fds, index, flags, *has):
        if self.preserved and not self.preserved.came:
            return errno.EBUSY
        given = iter(fds)
        events = [os.dup(next(given)) if h == "0" else -1 for h in has]
        key = (int(index), int(flags) >> 3)
        self.irqs[key] = events
        return 0

    def do_config(self, _fds, at, size):
        return (0, *self.config[int(at):int(at) + int(size)])

    def close(self):
        if self in self.world.devices:
            self.world.devices.remove(self)
        if self.iommufd is not None and self.number in self.iommufd.of:
            del self.iommufd.of[self.number]


def receive(s):
    try:
        text, ancillary, _, _ = s.recvmsg(1 << 16, socket.CMSG_SPACE(2048 * 4))
    except OSError:
        return "", []
    fds = array.array("i")
    for _, _, data in ancillary:
        fds.frombytes(data[:len(data) // 4 * 4])
    return text.decode(errors="replace"), list(fds)


def send(s, text, fd=None):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
    try:
        s.sendmsg([text.encode()], rights)
    except OSError:
        pass


class World(threading.Thread):
    """@faults: {verb: errno}: what the kernel refuses."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder = folder
        self.agent = f"{folder}/agent"
        self.poll = selectors.DefaultSelector()
        self.objects, self.sessions, self.devices = {}, {}, []
        self.faults = {}
        self.exports = False            # BARs, as dma-buf
        self.late, self.held = None, []     # the verb that is answered late, and who asked it
        self.calls = []
        self.lock = threading.RLock()
        self.vm = None                  # the connection that gets orders
        self.number = 0
        self.answers = {}
        self.heard = threading.Condition(self.lock)
        self.ended = False
        self.begin_agent()
        self.start()

    def begin_agent(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.agent)
        self.listener.listen(16)
        self.clients = []
        self.only = {}                  # connection: the VM that it was made for
        self.watch(self.listener, self.accept)

    def end_agent(self):
        """The agent dies."""
        with self.lock:
            self.unwatch(self.listener)
            self.listener.close()
            for c in self.clients:
                self.unwatch(c)
                c.close()
            os.unlink(self.agent)
            self.vm = None
            for s in list(self.sessions.values()):
                s.drop()

    def watch(self, s, what):
        self.poll.register(s, selectors.EVENT_READ, what)

    def unwatch(self, s):
        try:
            self.poll.unregister(s)
        except (KeyError, ValueError):
            pass

    def run(self):
        while not self.ended:
            for key, _ in self.poll.select(0.01):
                with self.lock:
                    if key.fileobj.fileno() >= 0:
                        key.data()

    def fault(self, verb):
        self.calls.append(verb)
        value = self.faults.get(verb)
        return value() if callable(value) else value

    def object_of(self, fd):
        return self.objects.get(os.fstat(fd).st_ino)

    def accept(self):
        self.admit(self.listener.accept()[0])

    def admit(self, client):
        self.clients.append(client)
        self.watch(client, lambda: self.serve(client))

    def connect(self, name):
        """What a manager of VMs hands in: a connection for one of them."""
        with self.lock:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.only[ours] = name
            self.admit(ours)
            return theirs

    def catch_up(self):
        """What was asked is answered now, as far as somebody is there to hear it."""
        with self.lock:
            self.late, held, self.held = None, self.held, []
            for client, text in held:
                if client in self.clients:
                    self.asked(client, text)

    def serve(self, client):
        text, _ = receive(client)
        if text and text.startswith(f"{self.late} "):
            self.held.append((client, text))
        else:
            self.asked(client, text)

    def asked(self, client, text):
        verb, _, rest = text.partition(" ")
        only = self.only.get(client)
        if only and verb in ("create", "retrieve", "release", "register") and rest.split(" ")[0] != only:
            send(client, f"error {errno.EPERM} this connection was made for one VM, and can name no other")
            return
        if verb in ("create", "retrieve", "release"):
            uid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
            rest = f"u{uid}.{rest}" if uid else rest
        if not text:
            self.unwatch(client)
            client.close()
            self.clients.remove(client)
            if client is self.vm:
                self.vm = None
                self.heard.notify_all()
            return
        if verb == "hello":
            send(client, "version 1 made up")
            send(client, "ok\n")
        elif verb == "connect" and only:
            theirs = self.connect(only)
            send(client, "ok\n", theirs.fileno())
            theirs.close()
        elif verb == "create":
            if rest in self.sessions:
                send(client, f"error {errno.EEXIST} there is one")
                return
            self.sessions[rest] = Session(self, rest)
            send(client, "ok\n", self.sessions[rest].fileno())
        elif verb == "retrieve":
            session = self.sessions.get(rest)
            if session is None:
                send(client, f"error {errno.ENOENT} none of that name came")
            else:
                send(client, "ok\n", session.fileno())
        elif verb == "release":
            session = self.sessions.get(rest)
            if session is not None:
                session.drop()
            send(client, "ok\n" if session else f"error {errno.ENOENT} none of that name")
        elif verb == "register":
            if self.vm is not None or rest in self.sessions:
                send(client, f"error {errno.EBUSY} it is registered, or has left something")
                return
            self.vm = client
            send(client, "ok\n")
            self.heard.notify_all()
        elif verb in ("done", "failed"):
            number, _, why = rest.partition(" ")
            self.answers[int(number)] = (verb, why)
            self.heard.notify_all()

    def registered(self, seconds=10):
        with self.heard:
            return self.heard.wait_for(lambda: self.vm is not None, seconds)

    def order(self, what, ms=10000, wait=True):
        """(done or failed, why); None if there is no answer."""
        with self.heard:
            self.number += 1
            number = self.number
            if self.vm is None:
                return None
            send(self.vm, f"{what} {number} {ms}")
        return self.answer(number, ms) if wait else number

    def answer(self, number, ms=10000):
        with self.heard:
            self.heard.wait_for(lambda: number in self.answers or self.vm is None, ms / 1000 + 1)
            return self.answers.get(number)

    def jump(self):
        """
        The next kernel: what is in a session comes over; the processes have been ended. An
        iommufd has restored HWPTs in place of all that it had, and devices are bound to none.
        """
        with self.lock:
            for session in self.sessions.values():
                session.came = True
                session.preserved_before = True
                for fd in session.files.values():
                    what = self.object_of(fd)
                    if isinstance(what, Iommufd):
                        marks = {h: (t, what.maps(h)) for t, h in what.marks().items()}
                        what.of = {}
                        what.restored = {}
                        what.next = 100
                        for old, mark in marks.items():
                            number = what.next
                            what.next += 1
                            what.restored[number] = mark
                            for d in self.devices:
                                if d.iommufd is what and d.hwpt == old:
                                    d.hwpt = number
                for fd in session.files.values():
                    what = self.object_of(fd)
                    if isinstance(what, Device):
                        what.number = 0
                        what.irqs = {}
            self.vm = None

    def end(self):
        self.ended = True
        self.join()
