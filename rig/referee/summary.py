# SPDX-License-Identifier: GPL-2.0-only
"""The figures of a case as a table for people. The data are result.json's."""

import json
import sys

ROWS = (
    ("frames sent", "frames_sent", ""),
    ("frames received", "frames_received", ""),
    ("frames lost", "frames_lost", ""),
    ("frames corrupt", "frames_corrupt", ""),
    ("audio samples played", "audio_samples", ""),
    ("audio samples out of pattern", "audio_samples_out_of_pattern", ""),
    ("IOMMU faults", "iommu_faults", ""),
    ("DMA misdirected", "dma_misdirected", ""),
    ("longest gap between DMA writes, steady", "dma_gap_steady_us", "us"),
    ("longest gap between DMA writes, update", "dma_gap_update_us", "us"),
    ("ratio of the two", "dma_gap_ratio", ""),
)


def table(figures):
    rows = [(text, str(figures[key]), unit) for text, key, unit in ROWS if key in figures]
    rows += [("  " + name.replace("_", " "), f"{ms:.1f}", "ms")
             for name, ms in figures.get("phases_ms", {}).items()]
    left = max(len(r[0]) for r in rows)
    right = max(len(r[1]) for r in rows)
    out = []
    for text, value, unit in rows:
        if text.startswith("  ") and (not out or not out[-1].startswith("  ")):
            out.append("length of the update by phase:")
        out.append(f"{text:{left}}  {value:>{right}} {unit}".rstrip())
    return "\n".join(out)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as result:
        print(table(json.load(result)))
