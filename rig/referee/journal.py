# SPDX-License-Identifier: GPL-2.0-only
"""
The journal on a VM's disk, as rig/vm/journal.c writes it: is each record there that the VM
was told was written, and is each one whole?
"""

import struct
import zlib

BYTES = 4096
MAGIC = b"RIGVMJ01"
_HEAD = struct.Struct("<8sQQII")        # magic, sequence, the VM's clock in ns, checksum, 0
_CRC_AT = 24
FINDINGS = 10


def record(seq, mono_ns=0, fill=b""):
    """A whole one, for tests."""
    rest = fill.ljust(BYTES - _HEAD.size, b"x")
    blank = _HEAD.pack(MAGIC, seq, mono_ns, 0, 0) + rest
    return _HEAD.pack(MAGIC, seq, mono_ns, zlib.crc32(blank), 0) + rest


def whole(data, seq):
    """Is this that record, to the last byte?"""
    if len(data) != BYTES:
        return False
    magic, number, _, crc, _ = _HEAD.unpack_from(data)
    blank = data[:_CRC_AT] + b"\0" * 4 + data[_CRC_AT + 4:]
    return magic == MAGIC and number == seq and zlib.crc32(blank) == crc


def judge(image, acknowledged):
    """image: the disk, a binary file; acknowledged: how many records the VM was told of.

    Returns figures and a list of findings."""
    lost, torn, seq, findings = [], [], 0, []
    while True:
        data = image.read(BYTES)
        if len(data) < BYTES:
            break
        empty = not any(data)
        if empty and seq >= acknowledged:
            # The VM writes them one after the other.
            rest = image.read()
            if rest.strip(b"\0"):
                findings.append(f"there is something on the disk behind the journal's end, which is {seq}")
            break
        if empty:
            lost.append(seq)
        elif not whole(data, seq):
            torn.append(seq)
        seq += 1
    lost += range(seq, acknowledged)
    missing = sorted([*lost, *(t for t in torn if t < acknowledged)])
    if missing:
        findings.append(f"{len(missing)} of {acknowledged} records that the VM was told are on its disk are not, "
                        f"first {missing[:5]}")
    if torn:
        findings.append(f"{len(torn)} records are torn, first {torn[:5]}")
    if not acknowledged:
        findings.append("the VM was told of no record on its disk")
    del findings[FINDINGS:]
    return {"disk_records": acknowledged, "disk_records_lost": len(missing), "disk_records_torn": len(torn)}, findings
