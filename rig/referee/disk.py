# SPDX-License-Identifier: GPL-2.0-only
"""
The judgement of a disk: an NVMe controller that a driver in the guest keeps busy, see
rig/guest/devices/nvme.c.

What a command does follows from its number. So three accounts can be held against each
other: the completions that the driver has taken from the queue, in their order; those
that QEMU says its controller has made; and the file behind the disk, in which each block
says which command has written it. A command that the driver was told of has completed once, in
the controller's order; what it wrote is in the file; what it read is what was written.

Queue entries: "NVM Express Base Specification", revision 1.4, section 4.6 "Completion
Queue Entry".
"""

import re
import struct
import zlib

from rig.referee import trace

TAKEN, MADE = "pci_nvme_io_cmd", "pci_nvme_enqueue_req_completion"
EVENTS = (TAKEN, MADE)
QUEUE = 1                       # id of the I/O queues
QUEUE_ENTRIES = 256             # NVME_CQ_ENTRIES in rig/guest/devices/dma_memory.h
DEPTH = 32                      # NVME_DEPTH
PLACES = 2048                   # on the disk, of two blocks each
BLOCK = 4096
BUFFER = 2 * BLOCK             # of a command, in memory
METADATA = 8                    # of each block, behind all blocks
BYTES = 2 * PLACES * (BLOCK + METADATA) + (1 << 20)

_MAGIC = 0x4b4c424f554e4f43
_WORDS = 508
_HEAD = struct.Struct("<QQQI")
_BODY = struct.Struct(f"<{_WORDS}Q")
_ENTRY = struct.Struct("<IIHHHH")
_MOST = 1 << 16                 # commands, whose identifiers are to differ
_TAKEN = re.compile(r"cid (\d+) nsid \S+ sqid (\d+) ")
_MADE = re.compile(r"cid (\d+) cqid (\d+) .*status 0x(\w+)")


# -- what command n does ----------------------------------------------------

def is_write(n):
    return not n & 1 or n <= DEPTH


def written_by(n):
    """The command whose blocks it writes or reads."""
    return n if is_write(n) else n - 1 - DEPTH


def lbas(n):
    first = written_by(n) % PLACES * 2
    return range(first, first + 1 + (written_by(n) >> 1 & 1))


def buffers(n):
    """Where its blocks are in memory, in the buffers of all commands."""
    return [n % DEPTH * BUFFER + i * BLOCK for i in range(len(lbas(n)))]


def block(n, lba):
    """What command n writes there, and its checksum."""
    mask = (1 << 64) - 1
    head = _HEAD.pack(_MAGIC, lba, n, 0)
    first = n * 0x9e3779b97f4a7c15 + lba
    body = _BODY.pack(*(first + i * 0xff51afd7ed558ccd & mask for i in range(_WORDS)))
    crc = zlib.crc32(body, zlib.crc32(head))
    return head + crc.to_bytes(4, "little") + body, crc


# -- what there is to see ----------------------------------------------------

def commands(lines):
    """(commands that the controller has fetched, [(command, status)] that it has completed), in order."""
    fetched, made = [], []
    for line in lines:
        found = trace.parse(line)
        if not found or found[1] not in EVENTS:
            continue
        values = (_TAKEN if found[1] == TAKEN else _MADE).match(found[2])
        if not values:
            raise ValueError(line)
        if int(values[2]) != QUEUE:
            continue
        if found[1] == TAKEN:
            fetched.append(int(values[1]))
        else:
            made.append((int(values[1]), int(values[3], 16)))
    return fetched, made


def entries(page, begin, count):
    """The completions number begin and following in a queue as it is in memory; shorter if there are not so many."""
    out = []
    for i in range(begin, begin + count):
        _, _, _, _, command, status = _ENTRY.unpack_from(page, i % QUEUE_ENTRIES * _ENTRY.size)
        # The phase tag changes with each round, and begins with 1.
        if status & 1 == i // QUEUE_ENTRIES & 1:
            break
        out.append(command)
    return out


# -- the judgement -----------------------------------------------------------

def _first(items):
    return ", ".join(map(str, items[:5])) + ("..." if len(items) > 5 else "")


def _taken(events, found):
    """The commands in the order in which the driver has taken their completions."""
    taken = []
    for event in events:
        if event["ev"] == "diskbad":
            found.append(f"command {event['command']}: {event['why']} ({event['value']:#x})")
        if event["ev"] != "completed":
            continue
        if event["at"] != len(taken):
            found.append(f"the completions from {len(taken)} on are missing, or there twice: the next list begins with {event['at']}")
            break
        taken += event["cids"]
        expected = sum(block(written_by(n), lba)[1] for n in event["cids"] if not is_write(n) for lba in lbas(n))
        if event["crcs"] != expected:
            found.append(f"what was read by the commands from completion {event['at']} on is not what was written")
    return taken


def _stored(image, taken, issued):
    """Writes of which the driver was told, and that are not in the file."""
    last = {}
    for n in sorted(n for n in taken if is_write(n)):
        last.update(dict.fromkeys(lbas(n), n))
    maybe = {}
    for n in set(range(issued)) - set(taken):
        for lba in lbas(n) if is_write(n) else ():
            maybe.setdefault(lba, []).append(n)
    lost = []
    for lba, n in sorted(last.items()):
        image.seek(lba * BLOCK)
        there = image.read(BLOCK)
        # One that nobody was told of may have been written, too.
        if all(there != block(each, lba)[0] for each in (n, *maybe.get(lba, ()))):
            lost.append(n)
    return len(last), lost


def judge(events, lines, image):
    """(figures, findings). lines: of QEMU's trace; image: the file behind the disk, opened."""
    found = []
    taken = _taken(events, found)
    said = [event for event in events if event["ev"] == "disk"]
    issued = said[-1]["issued"] if said else 0
    if issued > _MOST:
        raise ValueError(f"{issued} commands: their identifiers do not tell them apart")
    _, made = commands(lines)
    refused = [n for n, status in made if status]
    if refused:
        found.append(f"the controller refuses {len(refused)} commands ({_first(refused)})")
    twice = sorted({n for n in taken if taken.count(n) > 1}) if len(set(taken)) != len(taken) else []
    if twice:
        found.append(f"{len(twice)} commands completed twice ({_first(twice)})")
    missing = sorted(set(range(issued)) - set(taken))
    if missing:
        found.append(f"{len(missing)} commands never completed ({_first(missing)})")
    order = [n for n, _ in made]
    if taken != order:
        at = next((i for i, pair in enumerate(zip(taken, order)) if pair[0] != pair[1]), min(len(taken), len(order)))
        found.append(f"the driver has {len(taken)} completions, the controller made {len(order)}; they differ from number {at} on")
    blocks, lost = _stored(image, taken, issued)
    if lost:
        found.append(f"{len(lost)} blocks of acknowledged writes are not in the file (commands {_first(lost)})")
    figures = {"disk_commands": issued, "disk_completions": len(taken), "disk_reads": sum(not is_write(n) for n in taken),
               "disk_blocks_compared": blocks, "disk_blocks_lost": len(lost), "disk_commands_lost": len(missing)}
    return figures, found
