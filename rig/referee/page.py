# SPDX-License-Identifier: GPL-2.0-only
"""An update as one HTML page for people: what was measured, the timeline, how to read them."""

import html

from . import summary

STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 1140px; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.5em; line-height: 1.25; } h2 { font-size: 1.15em; margin: 2em 0 .7em; }
table { border-collapse: collapse; } td { padding: .15em .8em .15em 0; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } .good { color: #2f6f4e; font-weight: bold; }
.bad { color: #c0392b; font-weight: bold; } .tables { display: flex; flex-wrap: wrap; column-gap: 6em; }
figure { margin: 0; overflow-x: auto; } figure svg { display: block; width: 100%; min-width: 740px; height: auto; }
.wider { display: none; } dl { max-width: 48em; } dt { font-weight: bold; margin-top: .8em; } dd { margin-left: 0; }
@media (max-width: 770px) { .wider { display: block; } }
"""

# What has to be 0.
LOSSES = ("frames_lost", "frames_corrupt", "answers_lost", "audio_samples_out_of_pattern", "iommu_faults", "dma_misdirected",
          "disk_records_lost", "disk_records_torn", "guest_clock_backwards", "guest_complaints")

HOW_TO_READ = (
    ("Who counted this", "Nobody in the kernels under test. Frames are numbered, sent and judged outside of the "
     "machine; the samples are those in the file that the emulator wrote; faults and the time of each DMA write are "
     "from the emulator's own trace of its IOMMU."),
    ("The timeline", "Both kernels are on one axis. Above are the phases: the old kernel's up to the jump, the new "
     "kernel's after it. Below, each column of a device's row is as dark as there were DMA writes in that time: a "
     "device that stood still would leave a pale gap."),
    ("The blackout", "From the beginning of the freeze to the end of the finish no process serves the devices. They go "
     "on with their DMA by themselves: their rows between the dashed lines. What is lost in that time would be lost "
     "frames."),
    ("The gaps", "The longest time without a DMA write, per device and for the worst of them. The machine is emulated "
     "on a busy host, so the steady state has gaps of its own; the ratio says what the update adds."),
)

VM_HOW_TO_READ = (
    ("Who counted this", "Frames are numbered and sent outside of the machine. The VM's own driver receives them, and the "
     "VM answers each one with what it has received; answers are judged outside, too. Faults and the time of each DMA are "
     "from the emulator's own trace of its IOMMU. The records are those on the VM's disk after all of it, against what "
     "the VM was told was written."),
    HOW_TO_READ[1],
    ("The blackout", "The time for which nothing was heard of the VM: its virtual CPUs stood still. Its network device "
     "went on with its DMA into the VM's memory, and the VM answered those frames afterwards."),
    HOW_TO_READ[3],
    ("What is unmodified", "QEMU is Debian's, with nothing changed; the VM's kernel has its usual driver for the device, "
     "and knows nothing of the update."),
)


def _rows(rows):
    return "\n".join(f"<tr><td>{html.escape(text)}</td><td class=\"n {mark}\">{html.escape(value)}</td>"
                     f"<td>{html.escape(unit)}</td></tr>" for text, value, unit, mark in rows)


def page(title, figures, svg, how_to_read=HOW_TO_READ):
    """title; the figures of result.json; the timeline's text. Returns the text of the file."""
    lost = sum(figures.get(key, 0) for key in LOSSES)
    measured = [(text, str(figures[key]), unit, ("bad" if figures[key] else "good") if key in LOSSES else "")
                for text, key, unit in summary.ROWS if key in figures]
    parts = "".join(f"<h2>{html.escape(heading[0].upper() + heading[1:].rstrip(':'))}</h2>\n<table>\n" + _rows(
        [(name.replace("_", " "), f"{ms:.1f}", "ms", "") for name, ms in figures[key].items()]) + "\n</table>\n"
        for heading, key in summary.TABLES if figures.get(key))
    verdict = "Nothing was lost." if not lost else f"{lost} losses: see below."
    notes = "\n".join(f"<dt>{html.escape(a)}</dt><dd>{html.escape(b)}</dd>" for a, b in how_to_read)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{html.escape(title)}</h1>
<p class="{'bad' if lost else 'good'}">{html.escape(verdict)}</p>
<p>Linux {html.escape(str(figures.get("uname_release", "")))}, IOMMU {html.escape(str(figures.get("iommu", "")))}.</p>
<div class="tables">
<div>
<h2>What was measured</h2>
<table>
{_rows(measured)}
</table>
</div>
<div>
{parts}</div>
</div>
<h2>The timeline</h2>
<p class="wider">It is wider than this window: scroll it sideways.</p>
<figure>
{svg}
</figure>
<h2>How to read this</h2>
<dl>
{notes}
</dl>
</body>
</html>
"""
