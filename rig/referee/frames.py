# SPDX-License-Identifier: GPL-2.0-only
"""
Frames for the network device under test, and the judgement of what became of them.

A Sender is a process of its own, for steady timing. It is the wire: a frame is
put on it at its time, whether or not anybody takes it. What the socket to QEMU
cannot take (its buffer holds about half a second; QEMU stops reading when the
device cannot receive) is dropped and counts as sent, as it would on a cable. Who has
it stop waits until QEMU has taken what is in the buffer.
The sender logs each frame's checksum, from which the judge recomputes what the
guest says that it has read.

With messages each frame fills a receive buffer, and four bytes more are its message. The
guest has the device write these to an address that asks for an interrupt: they are the data
of the request. The frame's checksum is of what is in the buffer.
"""

import array
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import termios
import time
import zlib

ETHERTYPE = 0x88b5
HEADER = struct.Struct("<HQQI")         # length, sequence, time in ns, whether it is the last one
CRC = struct.Struct("<I")
OVERHEAD = 14 + HEADER.size + CRC.size
SMALLEST, LARGEST = 64, 1000
BUFFER = 1024                           # NIC_BUF in rig/guest/devices/dma_memory.h
MESSAGE = struct.Struct("<I")
BUFFER_BYTES = 700_000                  # doubled by the host's kernel; 1.3 kB a frame

DROPPED = 1                             # flag in the log


def message(seq):
    """Vector, delivery mode and all: in 65536 frames each number of 16 bits comes once."""
    return seq * 40503 & 0xffff


def frame_length(seq, messages=False):
    """Lengths are spread over all that fits; with it goes where pages are crossed."""
    if messages:
        return BUFFER + MESSAGE.size
    return SMALLEST + seq * 193 % (LARGEST - SMALLEST + 1)


class Maker:
    """Frames with a payload that differs from frame to frame."""

    def __init__(self, mac, messages=False):
        self._messages = messages
        self._head = bytes.fromhex(mac.replace(":", "")) + b"\x02rig\0\1" + ETHERTYPE.to_bytes(2, "big")
        x, noise = 1, bytearray()
        while len(noise) < 65536 + LARGEST:
            x = x * 1103515245 + 12345 & 0x7fffffff
            noise.append(x >> 16 & 0xff)
        self._noise = bytes(noise)

    def make(self, seq, now_ns, last=False):
        """The frame, and its checksum."""
        length = frame_length(seq, self._messages)
        tail = MESSAGE.pack(message(seq)) if self._messages else b""
        at = seq * 67 % 65536
        info = HEADER.pack(length, seq, now_ns, last)
        data = self._noise[at:at + length - OVERHEAD - len(tail)]
        crc = zlib.crc32(data, zlib.crc32(info))
        return self._head + info + CRC.pack(crc) + data + tail, crc


# -- the sender -----------------------------------------------------------

def _send(sock, frame):
    """Whole or not at all; False if the wire is full."""
    data = len(frame).to_bytes(4, "big") + frame
    try:
        done = sock.send(data)
    except BlockingIOError:
        return False
    if done < len(data):
        # The stream must not lose its framing.
        sock.setblocking(True)
        sock.sendall(data[done:])
        sock.setblocking(False)
    return True


def _waiting(sock):
    """Bytes that nobody has read, and what the host's kernel needs to keep them."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, struct.pack("i", 0)))[0]


def _sender(path, mac, rate, log, messages):
    sock = socket.socket(socket.AF_UNIX)
    sock.setsockopt(socket.SOL_SOCKET, 32, BUFFER_BYTES)     # SO_SNDBUFFORCE
    sock.connect(path)
    sock.setblocking(False)
    try:
        os.nice(-10)
    except PermissionError:
        pass
    maker = Maker(mac, messages)
    os.set_blocking(0, False)
    times, crcs, flags = array.array("Q"), array.array("L"), array.array("B")
    start, seq, late_ns = time.monotonic_ns(), 0, 0
    print(json.dumps({"started_ns": start}), flush=True)
    while True:
        due = start + seq * 1_000_000_000 // rate
        now = time.monotonic_ns()
        if now < due:
            time.sleep((due - now) / 1e9)
            now = time.monotonic_ns()
        late_ns = max(late_ns, now - due)
        if seq % 16 == 0:
            try:
                asked = os.read(0, 16)
                break
            except BlockingIOError:
                pass
        frame, crc = maker.make(seq, now)
        times.append(now)
        crcs.append(crc)
        try:
            flags.append(0 if _send(sock, frame) else DROPPED)
        except (BrokenPipeError, ConnectionResetError):
            flags.append(DROPPED)
        seq += 1
    # Each time that somebody asks: what is on the wire that QEMU has not taken?
    os.set_blocking(0, True)
    while asked:
        print(json.dumps({"waiting": _waiting(sock)}), flush=True)
        asked = os.read(0, 16)
    with open(log, "wb") as f:
        for column in (times, crcs, flags):
            column.tofile(f)
    print(json.dumps({"sent": seq, "dropped": sum(flags), "latest_ns": late_ns,
                      "span_ns": time.monotonic_ns() - start}), flush=True)


class Log:
    """What a sender sent: per sequence number, time, checksum, dropped or not."""

    def __init__(self, path, count):
        self.times, self.crcs, self.flags = array.array("Q"), array.array("L"), array.array("B")
        with open(path, "rb") as f:
            for column in (self.times, self.crcs, self.flags):
                column.fromfile(f, count)


class Sender:
    """Sends from start to stop(); then .sent, .dropped and .log are there."""

    def __init__(self, folder, name, mac, rate, messages=False, turn=None):
        """turn: returns when QEMU has looked at all of its sockets since; for stop()."""
        self._turn = turn
        self._log = os.path.join(folder, f"frames-{name}.bin")
        # The socket's name is relative: its length is limited.
        self._process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), f"{name}.sock", mac, str(rate), self._log,
             *["messages"] * messages],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = self._process.stdout.readline()
        if not first:
            raise RuntimeError(f"the frame sender for {name} did not start")
        self.started_ns = json.loads(first)["started_ns"]

    def _wait(self):
        """What is on the wire is QEMU's, unless it does not take any more, however late it is."""
        left = None
        while True:
            self._process.stdin.write("stop\n")
            self._process.stdin.flush()
            now = json.loads(self._process.stdout.readline())["waiting"]
            if not now or now == left or not self._turn:
                return
            left = now
            self._turn()

    def stop(self):
        self._wait()
        self._process.stdin.close()
        end = json.loads(self._process.stdout.readline())
        self._process.wait()
        self.sent, self.dropped = end["sent"], end["dropped"]
        self.latest_ns, self.span_ns = end["latest_ns"], end["span_ns"]
        self.log = Log(self._log, self.sent)
        os.unlink(self._log)

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


# -- the judge ------------------------------------------------------------

def judge(events, log, name="nic", messages=False):
    """Compare the guest's report of its receive slots with what was sent.

    events: the guest's "rx" (runs) and "rxbad" (single slots) of that device,
    in the order in which they were said. Returns figures and a list of findings, which
    is empty if each frame arrived once, whole and in order, in slot after slot.
    """
    sent = len(log.crcs)
    seen = bytearray(sent)
    findings, corrupt, twice, disorder, unknown = [], 0, 0, 0, 0
    next_slot, last_seq = 0, -1

    def find(text):
        if len(findings) < 20:
            findings.append(text)

    for event in events:
        if event["ev"] not in ("rx", "rxbad") or event.get("nic") != name:
            continue
        slot = event["slot"]
        if slot != next_slot:
            disorder += 1
            find(f"slot {next_slot} expected, slot {slot} reported")
        if event["ev"] == "rxbad":
            corrupt += 1
            find(f"slot {slot}: {event['why']} (sequence {event['seq']}, {event['length']} bytes)")
            next_slot = slot + 1
            continue
        seq, n = event["seq"], event["n"]
        next_slot = slot + n
        if seq + n > sent:
            unknown += n
            find(f"slot {slot}: frames {seq} to {seq + n - 1} were never sent")
            continue
        if (event["bytes"] != sum(frame_length(i, messages) for i in range(seq, seq + n))
                or event["crcs"] != sum(log.crcs[seq:seq + n])):
            corrupt += n
            find(f"slot {slot}: the bytes of frames {seq} to {seq + n - 1} are not those sent")
            continue
        again = sum(map(bool, seen[seq:seq + n]))
        if again:
            twice += again
            find(f"slot {slot}: {again} of frames {seq} to {seq + n - 1} are there twice")
        if seq <= last_seq:
            disorder += 1
            find(f"slot {slot}: frame {seq} after frame {last_seq}")
        seen[seq:seq + n] = b"\1" * n
        last_seq = seq + n - 1
    received = sum(seen)
    lost = sent - received
    if lost:
        gaps, at = [], seen.find(0)
        while at >= 0 and len(gaps) < 5:
            end = seen.find(1, at)
            end = sent if end < 0 else end
            gaps.append(f"{at}..{end - 1}")
            at = seen.find(0, end)
        find(f"{lost} of {sent} frames lost, first {', '.join(gaps)} "
             f"({sum(log.flags)} of them because the device took nothing)")
    return {"frames_sent": sent, "frames_received": received, "frames_lost": lost,
            "frames_corrupt": corrupt, "frames_twice": twice,
            "frames_out_of_order": disorder, "frames_unknown": unknown}, findings


if __name__ == "__main__":
    _sender(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], "messages" in sys.argv[5:])
