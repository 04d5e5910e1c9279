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
    ("answers lost", "answers_lost", ""),
    ("IOMMU faults", "iommu_faults", ""),
    ("DMA misdirected", "dma_misdirected", ""),
    ("records on the VM's disk", "disk_records", ""),
    ("records lost", "disk_records_lost", ""),
    ("records torn", "disk_records_torn", ""),
    ("the VM's clocks step back", "guest_clock_backwards", "times"),
    ("complaints of the VM's kernel", "guest_complaints", ""),
    ("longest gap between DMA writes, steady", "dma_gap_steady_us", "us"),
    ("longest gap between DMA writes, update", "dma_gap_update_us", "us"),
    ("ratio of the two", "dma_gap_ratio", ""),
    ("the VM's virtual CPUs stand still for", "pause_ms", "ms"),
)

# A heading, and the figures below it.
TABLES = (
    ("length of the update by phase:", "phases_ms"),
    ("of which the virtual CPUs stand still:", "pause_phases_ms"),
)


def table(figures):
    rows = [(text, str(figures[key]), unit) for text, key, unit in ROWS if key in figures]
    parts = [(heading, [("  " + name.replace("_", " "), f"{ms:.1f}", "ms") for name, ms in figures[key].items()])
             for heading, key in TABLES if figures.get(key)]
    every = [*rows, *(row for _, part in parts for row in part)]
    left, right = (max(len(row[i]) for row in every) for i in (0, 1))

    def lines(part):
        return [f"{text:{left}}  {value:>{right}} {unit}".rstrip() for text, value, unit in part]

    return "\n".join(sum(([heading, *lines(part)] for heading, part in parts), lines(rows)))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as result:
        print(table(json.load(result)))
