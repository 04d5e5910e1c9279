# SPDX-License-Identifier: GPL-2.0-only
"""
The wire of a VM that answers: frames go in at their times, and each word of the VM is
noted when it comes out. The frames are those of frames.py; what the VM says of each one,
of its clocks and of its disk is struct word of rig/vm/wire.h.

A Wire is a process of its own, as a Sender is. A frame that QEMU does not take in time is
dropped and counts as sent.
"""

import array
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections import namedtuple

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if __name__ == "__main__":
    sys.path.insert(0, TOP)
    sys.dont_write_bytecode = True

from rig.referee import frames                                   # noqa: E402

ETHERTYPE = 0x88b6
MAGIC, VERSION = 0x56474952, 1
STATUS, ANSWER, END = 1, 2, 3
LAST, REBOOT = 1, 2                     # what a frame says that ends the VM's answers: enum wire_end
FIELDS = ("kind", "seq", "counted", "crc", "length", "mono_ns", "real_ns", "tsc", "acknowledged", "backwards", "cpus", "sounds")
_WORD = struct.Struct("<IHHQQIIQQQQQII")
_HEARD = struct.Struct("<QQ")           # the host's monotonic and wall clock
Word = namedtuple("Word", ("heard_ns", "heard_real_ns", *FIELDS))

# A clock that shows less than this share of the time that went by stands still. Times are
# the wire's, which a busy host stretches, so only what lasts counts.
STILL_SHARE, STILL_NS = 0.1, 1_000_000_000
FINDINGS = 20


def parse(frame, heard_ns, heard_real_ns):
    """A frame of the VM's as a Word; None if it is something else's."""
    if len(frame) < 14 + _WORD.size or int.from_bytes(frame[12:14], "big") != ETHERTYPE:
        return None
    magic, version, *values = _WORD.unpack_from(frame, 14)
    if magic != MAGIC or version != VERSION:
        return None
    return Word(heard_ns, heard_real_ns, *values)


def pack(word):
    """The frame of a Word, for tests."""
    return b"\xff" * 6 + b"\x52\x54\0\xc0\0\1" + ETHERTYPE.to_bytes(2, "big") + _WORD.pack(
        MAGIC, VERSION, *word[2:])


class Splitter:
    """Frames of QEMU's stream: each has its length before it."""

    def __init__(self):
        self._rest = b""

    def feed(self, data):
        self._rest += data
        while len(self._rest) >= 4:
            end = 4 + int.from_bytes(self._rest[:4], "big")
            if len(self._rest) < end:
                return
            yield self._rest[4:end]
            self._rest = self._rest[end:]


# -- the process ----------------------------------------------------------

class _Process:
    """Told by lines on stdin: "send", "last", "reboot", "status"; ends when stdin does."""

    def __init__(self, path, mac, rate, log):
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.setsockopt(socket.SOL_SOCKET, 32, frames.BUFFER_BYTES)     # SO_SNDBUFFORCE
        self._sock.connect(path)
        self._sock.setblocking(False)
        self._maker, self._rate, self._log = frames.Maker(mac), rate, log
        self._splitter, self._left = Splitter(), b""
        self._times, self._crcs, self._flags = array.array("Q"), array.array("L"), array.array("B")
        self._heard = []
        self._last_word = None
        self._start = None              # when frame 0 was due, or would have been
        self._over = False              # the last frame is on the wire
        self._late_ns = 0
        self._open = True

    def run(self):
        try:
            os.nice(-10)
        except PermissionError:
            pass
        os.set_blocking(0, False)
        print(json.dumps({"connected": True}), flush=True)
        asked = b""
        while True:
            readable, _, _ = select.select([0, *[self._sock] * self._open], [], [], self._until_due())
            if 0 in readable:
                new = os.read(0, 4096)
                if not new:
                    break
                *lines, asked = (asked + new).split(b"\n")
                for line in lines:
                    self._told(line.decode())
            if self._sock in readable:
                self._receive()
            self._send_due()
        self._write()

    def _told(self, line):
        if line == "send":
            self._start = time.monotonic_ns() - len(self._times) * 1_000_000_000 // self._rate
        elif line == "last":
            self._put(last=LAST)
            self._over = True
        elif line == "reboot":
            self._put(last=REBOOT)
            self._start = None
        if line in ("status", "last"):
            print(json.dumps({"sent": len(self._times), "words": len(self._heard), "open": self._open,
                              "last": self._last_word and self._last_word._asdict()}), flush=True)

    def _due(self):
        return self._start + len(self._times) * 1_000_000_000 // self._rate

    def _until_due(self):
        if self._start is None or self._over:
            return 0.01 if self._left else None
        return max(0, self._due() - time.monotonic_ns()) / 1e9

    def _send_due(self):
        self._push()
        while self._start is not None and not self._over and self._due() <= time.monotonic_ns():
            self._late_ns = max(self._late_ns, time.monotonic_ns() - self._due())
            self._put()

    def _push(self):
        """What is left of a frame that QEMU has taken a part of."""
        try:
            self._left = self._left[self._sock.send(self._left):] if self._left else b""
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self._left, self._open = b"", False

    def _put(self, last=0):
        now = time.monotonic_ns()
        frame, crc = self._maker.make(len(self._times), now, last)
        self._times.append(now)
        self._crcs.append(crc)
        # Nobody would answer a last frame that was dropped.
        taken = self._open and (last or not self._left)
        self._flags.append(0 if taken else frames.DROPPED)
        if taken:
            self._left += len(frame).to_bytes(4, "big") + frame
            before = len(self._left)
            self._push()
            if len(self._left) == before and not last:
                # Not a byte of it was taken: the wire is full.
                self._left, self._flags[-1] = b"", frames.DROPPED

    def _receive(self):
        try:
            data = self._sock.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        mono, real = time.monotonic_ns(), time.time_ns()
        if not data:
            self._open = False
        for frame in self._splitter.feed(data):
            word = parse(frame, mono, real)
            if word:
                self._heard.append(_HEARD.pack(mono, real) + frame)
                self._last_word = word

    def _write(self):
        with open(self._log, "wb") as f:
            for column in (self._times, self._crcs, self._flags):
                column.tofile(f)
        with open(self._log + ".words", "wb") as f:
            for entry in self._heard:
                f.write(len(entry).to_bytes(4, "big") + entry)
        print(json.dumps({"sent": len(self._times), "dropped": sum(self._flags), "latest_ns": self._late_ns}), flush=True)


class Wire:
    """From start to close(); then .sent, .dropped, .log and .words are there."""

    def __init__(self, folder, name, mac, rate):
        self._log = os.path.join(folder, f"wire-{name}.bin")
        self._process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), f"{name}.sock", mac, str(rate), self._log],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not self._process.stdout.readline():
            raise RuntimeError(f"the wire of {name} did not start")

    def _tell(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _ask(self, line):
        self._tell(line)
        answer = json.loads(self._process.stdout.readline())
        if answer["last"]:
            answer["last"] = Word(**answer["last"])
        return answer

    def status(self):
        """{"sent", "words", "open", "last": Word or None} as of now."""
        return self._ask("status")

    def send(self):
        """Frames go out from now on."""
        self._tell("send")

    def reboot(self):
        """One more frame, which has the VM boot again; no others go out until send()."""
        self._tell("reboot")

    def last(self):
        """One more frame, which says that it is the last one."""
        return self._ask("last")

    def close(self):
        self._process.stdin.close()
        with self._process.stdout as out:
            end = json.loads(out.readline())
        self._process.wait()
        self.sent, self.dropped, self.latest_ns = end["sent"], end["dropped"], end["latest_ns"]
        self.log = frames.Log(self._log, self.sent)
        with open(self._log + ".words", "rb") as f:
            self.words = [parse(entry[_HEARD.size:], *_HEARD.unpack_from(entry)) for entry in Splitter().feed(f.read())]
        for path in (self._log, self._log + ".words"):
            os.unlink(path)

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


# -- the judge ------------------------------------------------------------

def boots(words):
    """The words of each boot of the VM: it counts anew, and its clock begins again."""
    parts = []
    for before, word in zip([None, *words], words):
        if before is None or word.counted < before.counted and word.mono_ns < before.mono_ns:
            parts.append([])
        parts[-1].append(word)
    return parts


def judge(words, log, reboots=0):
    """What the VM says that it has got, in all of its boots, against what was sent. reboots: how often it was to boot again.

    Returns figures and a list of findings, which is empty if each frame was counted once,
    and answered once, whole and in order."""
    sent, findings = len(log.crcs), []
    seen = bytearray(sent)
    corrupt = twice = disorder = unknown = answers = 0
    counted, next_count, last_seq, before = 0, 1, -1, 0
    firsts = {part[0] for part in boots(words)[1:]}
    if len(firsts) != reboots:
        findings.append(f"the VM booted again {len(firsts)} times, and was to do so {reboots} times")

    def find(text):
        if len(findings) < FINDINGS:
            findings.append(text)

    for word in words:
        if word in firsts:
            before, next_count = counted, 1
        counted = max(counted, before + word.counted)
        if word.kind != ANSWER:
            continue
        answers += 1
        if word.counted != next_count:
            disorder += 1
            find(f"answer {word.counted} came where answer {next_count} was expected")
        next_count = word.counted + 1
        if word.seq >= sent:
            unknown += 1
            find(f"answer {word.counted}: frame {word.seq} was never sent")
            continue
        if word.crc != log.crcs[word.seq] or word.length != frames.frame_length(word.seq):
            corrupt += 1
            find(f"answer {word.counted}: frame {word.seq} has not come in as it was sent")
            continue
        if seen[word.seq]:
            twice += 1
            find(f"frame {word.seq} was answered twice")
        elif word.seq < last_seq:
            disorder += 1
            find(f"frame {word.seq} was answered after frame {last_seq}")
        seen[word.seq] = 1
        last_seq = max(last_seq, word.seq)
    lost = sent - counted + corrupt + twice + unknown
    if lost > 0:
        missing = [seq for seq in range(sent) if not seen[seq]]
        find(f"{lost} of {sent} frames lost, first {missing[:5]} ({sum(log.flags)} of them because the device took nothing)")
    if answers != counted:
        find(f"{counted} frames were counted, and {answers} answered")
    return {"frames_sent": sent, "frames_received": counted, "frames_lost": lost, "frames_corrupt": corrupt,
            "frames_twice": twice, "frames_out_of_order": disorder, "frames_unknown": unknown,
            "answers_lost": counted - answers}, findings


def judge_clocks(words):
    """Do the VM's clocks go on, and never back? As judge()."""
    findings, between = [], 0
    parts = boots(words)
    for before, after in (pair for part in parts for pair in zip(part, part[1:])):
        for name in ("mono_ns", "tsc"):
            if getattr(after, name) < getattr(before, name):
                between += 1
                if len(findings) < FINDINGS:
                    findings.append(f"the VM's {name} goes from {getattr(before, name)} to {getattr(after, name)}")
    inside = max((word.backwards for word in words), default=0)
    if inside:
        findings.append(f"a clock stepped back {inside} times, as the VM's CPUs see it")
    still = max(map(longest_still, parts), default=0)
    if still > STILL_NS:
        findings.append(f"the VM's clock stood still for {still / 1e9:.1f} s while it spoke")
    return {"guest_clock_backwards": inside + between, "guest_clock_still_ms": round(still / 1e6, 1)}, findings


def judge_sounds(words, windows):
    """
    Does the audio device raise interrupts that reach the VM, before the first update and after each? windows: of
    the updates, by the host's monotonic clock, in ns. As judge().
    """
    words = [word for word in words if word.kind != ANSWER]
    edges = [0, *(ns for window in windows for ns in window), words[-1].heard_ns]
    each, findings = [], []
    # From an update's end on: what was raised meanwhile may come with its first words.
    for n, (begin, end) in enumerate(zip(edges[::2], edges[1::2])):
        counts = [word.sounds for word in words if begin < word.heard_ns <= end]
        each.append(counts[-1] - counts[0] if counts else 0)
        if not each[-1]:
            findings.append(f"no interrupt of the audio device has come to the VM {f'after update {n}' if n else 'before the first update'}")
    return {"sound_interrupts": each}, findings


def longest_still(words):
    """The longest time, by the host's clock, in which the VM spoke and its own clock hardly moved.

    Words that waited for each other come out at once: what counts is a run of words, each
    of which is later by the host's clock and not by the VM's."""
    longest, begin = 0, 0
    for i in range(1, len(words)):
        host = words[i].heard_ns - words[i - 1].heard_ns
        own = words[i].mono_ns - words[i - 1].mono_ns
        # A VM that is silent has stopped, and its clock with it.
        if own > host * STILL_SHARE or host > STILL_NS:
            begin = i
        longest = max(longest, words[i].heard_ns - words[begin].heard_ns)
    return longest


def silence(words, begin_ns, end_ns):
    """The longest time without a word within a window of the host's clock: (from, until)."""
    edges = [begin_ns, *[w.heard_ns for w in words if begin_ns <= w.heard_ns <= end_ns], end_ns]
    return max(zip(edges, edges[1:]), key=lambda pair: pair[1] - pair[0])


def wall_offset_ms(words):
    """By how much the VM's wall clock is behind the host's."""
    offsets = sorted((w.heard_real_ns - w.real_ns) / 1e6 for w in words)
    return round(offsets[len(offsets) // 2], 1) if offsets else None


if __name__ == "__main__":
    _Process(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]).run()
