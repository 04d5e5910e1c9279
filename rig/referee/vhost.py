# SPDX-License-Identifier: GPL-2.0-only
"""
A network device with a translation cache of its own, outside of QEMU: what ATS is about.

QEMU's virtio devices ask its IOMMU for each access, so a cache of theirs could not be stale.
A device by vhost-user is another process, which asks for translations and keeps them until it is
told to forget them ("Vhost-user Protocol", section "IOMMU support"); with ats=on that is when
the guest invalidates the device-TLB, and not before. The memory is shared: a write by a
translation that should have been forgotten lands where that says.

A Backend is that process. It fills the receive queue (VIRTIO 1.2, "Split Virtqueues") with a
frame now and then, no CPU of the guest involved, and writes down what it was told. It asks for
the translations of all buffers that are posted as soon as it can, and again when it had to forget:
so a translation of each is there to be stale.

A frame is received as a whole or not at all: all translations that it needs are looked up
before the first byte is written, once more if one was forgotten meanwhile. So what is written
before QEMU's message is answered used the old translations, and nothing after that does,
as "Invalidation Completion" in the PCI Express Base Specification demands.
"""

import array
import json
import mmap
import os
import select
import socket
import struct
import subprocess
import sys
import time
import zlib

# Requests to the backend, and the one of its own ("Front-end message types", "Back-end ...")
(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM,
 SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR,
 GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE) = range(1, 19)
SET_BACKEND_REQ_FD, IOTLB_MSG = 21, 22
BACKEND_IOTLB_MSG = 1
VERSION, REPLY, NEED_REPLY = 1, 4, 8
F_PROTOCOL, F_VERSION_1, F_ACCESS_PLATFORM = 30, 32, 33
P_REPLY_ACK, P_BACKEND_REQ = 3, 5
MISS, UPDATE, INVALIDATE = 1, 2, 3
READ, WRITE = 1, 2

MESSAGE = struct.Struct("<III")
IOTLB = struct.Struct("<QQQBB6x")
PAGE = 4096
NET_HEADER = b"\0" * 10 + b"\1\0"       # VIRTIO 1.2, "Packet Transmission": one buffer
HEADER = struct.Struct("<QII")          # sequence, length of what follows, checksum
LARGEST = 520


def frame(seq):
    """The frame, and its checksum, from its number alone."""
    body = bytes((seq * 7 + i * 13) & 0xff for i in range(64 + seq * 193 % (LARGEST - 64)))
    crc = zlib.crc32(body, zlib.crc32(struct.pack("<QI", seq, len(body))))
    return NET_HEADER + HEADER.pack(seq, len(body), crc) + body, crc


class Again(Exception):
    """A translation was missing, and has been asked for."""


class Refused(Exception):
    """The IOMMU does not translate that."""


class Device:
    def __init__(self, sock, rate, log):
        self.sock, self.rate, self.log = sock, rate, log
        self.own = None                 # channel for requests of our own
        self.regions = []               # (QEMU's address, size, memory, offset in it)
        self.tlb = {}                   # {page: (QEMU's address, what it is good for)}
        self.generation = 0             # one more whenever something is forgotten
        self.ahead = None               # the one for which it has looked ahead
        self.answers = []
        self.vring = {"num": 0, "addr": None, "base": 0, "kick": False, "on": False}
        self.used = 0
        self.seq, self.stopping = 0, False
        self.figures = {"misses": 0, "invalidations": 0, "refused": 0, "dropped": 0}

    # -- messages ---------------------------------------------------------

    def note(self, what, **more):
        self.log.write(json.dumps({"ns": time.monotonic_ns(), "what": what, **more}) + "\n")
        self.log.flush()

    @staticmethod
    def receive(sock):
        size = 12 + 8 * array.array("i").itemsize
        data, control, _, _ = sock.recvmsg(MESSAGE.size, socket.CMSG_SPACE(size))
        if len(data) < MESSAGE.size:
            raise EOFError
        request, flags, length = MESSAGE.unpack(data)
        fds = array.array("i")
        for _, _, raw in control:
            fds.frombytes(raw[:len(raw) - len(raw) % fds.itemsize])
        payload = b""
        while len(payload) < length:
            more = sock.recv(length - len(payload))
            if not more:
                raise EOFError
            payload += more
        return request, flags, payload, list(fds)

    def reply(self, request, payload):
        self.sock.sendall(MESSAGE.pack(request, VERSION | REPLY, len(payload)) + payload)

    def serve(self):
        """One message of QEMU's."""
        request, flags, payload, fds = self.receive(self.sock)
        answer = None
        if request == GET_FEATURES:
            answer = struct.pack("<Q", 1 << F_PROTOCOL | 1 << F_VERSION_1 | 1 << F_ACCESS_PLATFORM)
        elif request == GET_PROTOCOL_FEATURES:
            answer = struct.pack("<Q", 1 << P_REPLY_ACK | 1 << P_BACKEND_REQ)
        elif request == SET_FEATURES:
            self.note("features", value=struct.unpack("<Q", payload)[0])
        elif request == SET_MEM_TABLE:
            self.take_memory(payload, fds)
            fds = []
        elif request == SET_BACKEND_REQ_FD:
            self.own = socket.socket(fileno=fds.pop(0))
        elif request == IOTLB_MSG:
            self.told(*IOTLB.unpack(payload[:IOTLB.size]))
        elif request in (SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_ENABLE):
            index, number = struct.unpack("<II", payload[:8])
            if index == 0:
                answer = self.set_vring(request, number)
            elif request == GET_VRING_BASE:
                answer = struct.pack("<II", index, 0)
        elif request == SET_VRING_ADDR:
            index, _, desc, used, avail, _ = struct.unpack("<IIQQQQ", payload)
            if index == 0:
                self.vring["addr"] = desc, used, avail
        elif request == SET_VRING_KICK and payload[0] == 0:
            self.vring["kick"] = True
            self.note("started")
        for fd in fds:
            os.close(fd)
        if answer is not None:
            self.reply(request, answer)
        elif flags & NEED_REPLY:
            self.reply(request, struct.pack("<Q", 0))

    def set_vring(self, request, number):
        if request == SET_VRING_NUM:
            self.vring["num"] = number
        elif request == SET_VRING_BASE:
            self.vring["base"] = self.used = number
        elif request == SET_VRING_ENABLE:
            self.vring["on"] = bool(number)
        else:
            self.vring["kick"] = False
            self.note("stopped")
            return struct.pack("<II", 0, self.vring["base"])
        return None

    def take_memory(self, payload, fds):
        self.regions = []
        for i, fd in enumerate(fds):
            _, size, address, offset = struct.unpack_from("<QQQQ", payload, 8 + i * 32)
            self.regions.append((address, size, mmap.mmap(fd, offset + size), offset))
            os.close(fd)
        self.forget(0, 1 << 64)

    # -- translations -----------------------------------------------------

    def forget(self, iova, size):
        self.generation += 1
        for page in [p for p in self.tlb if iova <= p < iova + size]:
            del self.tlb[page]

    def told(self, iova, size, address, perm, kind):
        if kind == UPDATE:
            for at in range(0, size, PAGE):
                self.tlb[iova + at] = address + at, perm
        elif kind == INVALIDATE:
            self.figures["invalidations"] += 1
            self.note("forget", iova=iova, size=size, had=len(self.tlb))
            # One of all 2^64 bytes does not fit into the field.
            self.forget(iova, size or 1 << 64)

    def miss(self, page, perm):
        self.figures["misses"] += 1
        self.own.sendall(MESSAGE.pack(BACKEND_IOTLB_MSG, VERSION | NEED_REPLY, IOTLB.size)
                         + IOTLB.pack(page, 0, 0, perm, MISS))
        while not self.answers:
            self.wait(None)
        if self.answers.pop(0):
            self.figures["refused"] += 1
            self.note("refused", iova=page)
            raise Refused
        raise Again

    def look_up(self, iova, size, perm):
        """[(memory, offset, bytes)] of what the device wants to reach."""
        out = []
        while size:
            page = iova & ~(PAGE - 1)
            address, allowed = self.tlb.get(page, (0, 0))
            if perm & ~allowed:
                self.miss(page, perm)
            n = min(size, page + PAGE - iova)
            address += iova - page
            for base, length, memory, offset in self.regions:
                if base <= address < base + length:
                    out.append((memory, offset + address - base, n))
                    break
            else:
                raise Refused
            iova, size = iova + n, size - n
        return out

    @staticmethod
    def read(places):
        return b"".join(memory[at:at + n] for memory, at, n in places)

    @staticmethod
    def write(places, data):
        for memory, at, n in places:
            memory[at:at + n] = data[:n]
            data = data[n:]

    # -- the receive queue ------------------------------------------------

    def translated(self, iova, size, perm):
        """Look it up, and ask for what is missing: as look_up()."""
        while True:
            try:
                return self.look_up(iova, size, perm)
            except Again:
                pass

    def look_ahead(self):
        """Have a translation of each buffer that is posted."""
        self.ahead = self.generation
        desc, _, avail = self.vring["addr"]
        num, at = self.vring["num"], self.vring["base"]
        end, = struct.unpack("<H", self.read(self.translated(avail + 2, 2, READ)))
        while at & 0xffff != end:
            head, = struct.unpack("<H", self.read(self.translated(avail + 4 + 2 * (at % num), 2, READ)))
            buffer, size = struct.unpack("<QI", self.read(self.translated(desc + 16 * head, 12, READ)))
            self.translated(buffer, size, WRITE)
            at += 1

    def put(self, data):
        """A frame into the next buffer: False if there is none."""
        desc, used, avail = self.vring["addr"]
        num = self.vring["num"]
        while True:
            began = self.generation
            try:
                index, = struct.unpack("<H", self.read(self.look_up(avail + 2, 2, READ)))
                if index == self.vring["base"] & 0xffff:
                    return False
                at = avail + 4 + 2 * (self.vring["base"] % num)
                head, = struct.unpack("<H", self.read(self.look_up(at, 2, READ)))
                buffer, = struct.unpack("<Q", self.read(self.look_up(desc + 16 * head, 8, READ)))
                places = self.look_up(buffer, len(data), WRITE)
                entry = self.look_up(used + 4 + 8 * (self.used % num), 8, WRITE)
                count = self.look_up(used + 2, 2, WRITE)
            except Again:
                continue
            if began == self.generation:
                break
        self.write(places, data)
        self.write(entry, struct.pack("<II", head, len(data)))
        self.vring["base"] = self.vring["base"] + 1 & 0xffff
        self.used = self.used + 1 & 0xffff
        self.write(count, struct.pack("<H", self.used))
        return True

    def ready(self):
        return self.vring["kick"] and self.vring["on"] and self.vring["addr"] and self.vring["num"]

    def wait(self, until_ns):
        """Serve what comes, until then or until something came."""
        left = None if until_ns is None else max(0, until_ns - time.monotonic_ns()) / 1e9
        ways = [self.sock, *[self.own] * bool(self.own), *[0] * (not self.stopping)]
        came = select.select(ways, [], [], left)[0]
        if self.own in came:
            self.answers.append(struct.unpack("<Q", self.receive(self.own)[2])[0])
        if self.sock in came:
            self.serve()
        if 0 in came:
            os.read(0, 64)
            self.stopping = True
            print(json.dumps({"sent": self.seq, **self.figures}), flush=True)

    def run(self):
        due = None
        while True:
            if not self.ready() or self.stopping:
                due = None
                self.wait(None)
                continue
            due = due or time.monotonic_ns()
            self.wait(due)
            if time.monotonic_ns() < due or self.stopping or not self.ready():
                continue
            due += 1_000_000_000 // self.rate
            data, _ = frame(self.seq)
            try:
                if self.ahead != self.generation:
                    self.look_ahead()
                if not self.put(data):
                    self.figures["dropped"] += 1
            except Refused:
                continue        # It is counted; the frame is lost.
            finally:
                self.seq += 1


def main(path, log, rate):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print(json.dumps({"listening": True}), flush=True)
    sock, _ = listener.accept()
    with open(log, "w", encoding="utf-8") as f:
        try:
            Device(sock, int(rate), f).run()
        except (EOFError, ConnectionError):
            pass


class Backend:
    """The process, and what it says of itself. To be made before QEMU is started."""

    def __init__(self, folder, rate):
        self.folder, self.log = folder, os.path.join(folder, "device.log")
        if os.path.exists(os.path.join(folder, "device.sock")):
            os.unlink(os.path.join(folder, "device.sock"))
        self._process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "device.sock", "device.log", str(rate)],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._process.stdout.readline()

    def stop(self):
        """Send no more; how many frames there were, and what else happened."""
        self._process.stdin.write(b"stop\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def said(self, what=None):
        with open(self.log, encoding="utf-8") as f:
            return [e for e in map(json.loads, f) if what in (None, e["what"])]

    def close(self):
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
