# SPDX-License-Identifier: GPL-2.0-only
"""
The pattern that the audio device under test plays, looked for in the WAV file.

The left channel takes each of the 65536 16-bit values once in a period and the
right one is the left one with some bits turned, so that every sample says
where in the pattern it belongs: a break, a repetition, a foreign or a torn
sample shows. What cannot show in the samples is a pause after which the
pattern goes on where it stopped; so time is compared with the count too.

QEMU 11 loses samples of its own. Its codec fetches them from the device's memory by
one timer and hands them to the file by another one, over a buffer of 8 KiB, 43 ms. On
a host that is late by more than the room in it, the buffer is full, and all of it is
thrown away: 2048 frames that the device did fetch are not in the file. (QEMU 10 has
use-timer=off, without that buffer.) The file has its length all the same, since the
codec then fetches as many more. QEMU says so each time, by the trace event
hda_audio_overrun. So a step of just that many frames, or of a multiple, is not the
device's as long as QEMU has reported that many; any other step is, and so is one more.
"""

import array
import struct
import sys

RATE = 48000
STEP, START, TURN = 40503, 12345, 0xa5c3     # as in rig/guest/core/pattern.c
MASK = 0xffff
LONG_S = 0.25           # more than was to be played
BUFFER = 8192 // 4      # frames in the buffer of QEMU's codec
_UNSTEP = pow(STEP, -1, 65536)


def position(left):
    """Where in the pattern a left sample belongs."""
    return (left - START) * _UNSTEP & MASK


def read_wav(path):
    """Left and right samples as unsigned 16-bit numbers.

    The sizes in the header are there only if QEMU ended in peace; the
    chunks are walked as far as the file goes."""
    with open(path, "rb") as f:
        raw = f.read()
    if raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        raise ValueError(f"{path} is not a WAV file")
    at = 12
    while at + 8 <= len(raw):
        kind, size = raw[at:at + 4], int.from_bytes(raw[at + 4:at + 8], "little")
        at += 8
        if kind == b"fmt ":
            _, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", raw, at)
            if (channels, rate, bits) != (2, RATE, 16):
                raise ValueError(f"{path} is {channels} x {bits} bit at {rate} Hz, not 2 x 16 bit at {RATE} Hz")
        elif kind == b"data":
            data = raw[at:]
            samples = array.array("H")
            samples.frombytes(data[:len(data) & ~3])
            if sys.byteorder == "big":
                samples.byteswap()
            return samples[0::2], samples[1::2]
        at += size + size % 2
    raise ValueError(f"{path} has no data chunk")


def judge(left, right, expected_s=None, short_s=0.25, overruns=0):
    """Figures, and findings (empty if the pattern is unbroken from its first
    sample to its last and lasts as long as it has to). overruns: how many of its
    buffers QEMU says it has thrown away. short_s: so much less may have been played."""
    count = len(left)
    first = next((i for i in range(count) if left[i] or right[i]), count)
    last = next((i for i in range(count - 1, -1, -1) if left[i] or right[i]), -1) + 1
    bad, dropped, findings = 0, 0, []

    def find(text):
        if len(findings) < 20:
            findings.append(text)

    previous = None
    for i in range(first, last):
        l = left[i]
        if right[i] != l ^ TURN:
            bad += 1
            find(f"sample {i - first}: foreign or torn ({l:04x} {right[i]:04x})")
            previous = None if previous is None else previous + STEP & MASK
            continue
        if previous is not None and l != previous + STEP & MASK:
            buffers, rest = divmod(position(l) - position(previous) - 1 & MASK, BUFFER)
            # More than half of the pattern forward is rather a step back.
            if rest or buffers > 15 or dropped + buffers > overruns:
                bad += 1
                find(f"sample {i - first}: position {position(l)} "
                     f"after {position(previous)} of the pattern")
            else:
                dropped += buffers
        previous = l
    played = max(0, last - first)
    figures = {"audio_samples": played, "audio_samples_out_of_pattern": bad, "audio_samples_dropped_by_qemu": dropped * BUFFER}
    if not played:
        findings.append("nothing was played")
    if expected_s is not None:
        figures["audio_expected_s"] = round(expected_s, 3)
        figures["audio_played_s"] = round(played / RATE, 3)
        if not -short_s <= played / RATE - expected_s <= LONG_S:
            findings.append(f"{played / RATE:.3f} s were played, but the device ran for {expected_s:.3f} s")
    return figures, findings
