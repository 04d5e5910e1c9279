# SPDX-License-Identifier: GPL-2.0-only
"""The pause of an update by part, from what rig/lib/trail.py has seen and the guest's events, and a picture of it.

All of the time between the first mark and the last one is some part's.
"""

import re
from collections import Counter

BEGIN = "kernel_kexec"
USER = "first-of-user-space"
# What begins when a function is called. The names are those of parts.
STARTS = {
    BEGIN: "freeze",
    "kernel_restart_prepare": "device shutdown",
    "device_shutdown": "device shutdown",
    "syscore_shutdown": "stop CPUs",
    "machine_shutdown": "stop CPUs",
    "machine_kexec": "relocation",
    "entry": "decompression",
    "common_startup_64": "early",
    "setup_arch": "early",
    "init_mem_mapping": "memory",
    "acpi_boot_init": "early",
    "mm_core_init_early": "memory",
    "setup_per_cpu_areas": "memory",
    "trap_init": "memory",
    "mm_core_init": "memory",
    "kho_memory_init": "KHO",
    "memblock_free_all": "memory",
    "poking_init": "early",
    "console_init": "console",
    "setup_per_cpu_pageset": "early",
    "acpi_early_init": "ACPI",
    "x86_late_time_init": "timers",
    "sched_clock_init": "timers",
    "arch_cpu_finalize_init": "CPUs",
    "pid_idr_init": "early",
    "anon_vma_init": "early",
    "fork_init": "early",
    "acpi_subsystem_init": "ACPI",
    "rest_init": "early",
    "setup_boot_APIC_clock": "timers",
    "workqueue_init": "early",
    "smp_init": "CPUs",
    "sched_init_smp": "CPUs",
    "page_alloc_init_late": "memory",
    "driver_init": "other initcalls",
    "wait_for_initramfs": "initramfs",
    "console_on_rootfs": "user space",
    USER: "user space",
}
INITCALLS = (
    ("IOMMU", r"pci_iommu_init|.*iommu.*|ir_dev_scope_init"),
    ("ACPI", r"acpi_.*|pnpacpi_init|pcc_init|ged_driver_init"),
    ("ports", r"pcie_portdrv_init"),
    ("PCI", r"pci_.*|pcibios_.*|pcibus_.*|pf_stub_driver_init|vga_arb_device_init"),
    ("initramfs", r"populate_rootfs"),
)
# In the order of the picture.
PARTS = ("freeze", "device shutdown", "stop CPUs", "relocation", "decompression", "early", "memory", "KHO", "timers", "console",
         "CPUs", "ACPI", "PCI", "ports", "IOMMU", "initramfs", "other initcalls", "user space", "modules", "retrieve",
         "rebuild", "verify", "replace")
PHASES = ("retrieve", "rebuild", "verify", "replace")
# Functions whose calls the trail has to note.
MARKS = tuple(name for name in STARTS if name not in ("entry", USER))
INITCALL = "initcall:"


def part_of(name):
    """What a mark begins, or None if it goes on with the part before."""
    if not name.startswith(INITCALL):
        return STARTS.get(name)
    initcall = name[len(INITCALL):]
    return next((part for part, pattern in INITCALLS if re.fullmatch(pattern, initcall)), "other initcalls")


def last_update(marks):
    """The marks from the last BEGIN on, up to USER."""
    begin = max((i for i, m in enumerate(marks) if m.name == BEGIN), default=None)
    if begin is None:
        raise ValueError(f"no kernel was left: {BEGIN} was not called")
    end = next((i for i in range(begin, len(marks)) if marks[i].name == USER), None)
    if end is None:
        raise ValueError("the next kernel did not come to user space")
    return marks[begin:end + 1]


def spans(marks):
    """[(part, mark that begins it, mark that ends it)]"""
    out, part = [], None
    for a, b in zip(marks, marks[1:]):
        part = part_of(a.name) or part
        out.append((part, a, b))
    return out


def profile(marks):
    """{part: {address: instructions}} of what has been profiled, up to user space."""
    out = {}
    for part, _, end in spans(last_update(marks)):
        out.setdefault(part, Counter()).update(end.blocks)
    return out


def parts(marks, events, taken_over=True):
    """
    {"instructions_stop_to_user_space", "instructions_stop_to_run", "parts": {part: instructions}, "initcalls":
    [[name, instructions] of the longest], "events": [[name, TSC]]}. taken_over: there is something to be taken over;
    else the pause is not known beyond user space.
    """
    marks = last_update(marks)
    begin, user = marks[0].tsc, marks[-1].tsc
    sums, initcalls = Counter(), Counter()
    for part, a, b in spans(marks):
        sums[part] += b.tsc - a.tsc
        if a.name.startswith(INITCALL):
            initcalls[a.name[len(INITCALL):]] += b.tsc - a.tsc
    out = {"instructions_stop_to_user_space": user - begin}
    seen = [[m.name, m.tsc - begin] for m in marks if not m.name.startswith(INITCALL)]
    if taken_over:
        at = {f"{e['name']}.{e['edge']}": e["tsc"] for e in events if e["ev"] == "phase" and e["tsc"] > user}
        first = at[f"{PHASES[0]}.begin"]
        modules = at.get("modules.end", 0) - at.get("modules.begin", 0)
        sums["modules"] += modules
        sums["user space"] += first - user - modules
        for phase, following in zip(PHASES, (*PHASES[1:], None)):
            end = at[f"{following}.begin"] if following else at[f"{phase}.end"]
            sums[phase] += end - at[f"{phase}.begin"]
        out["instructions_stop_to_run"] = at[f"{PHASES[-1]}.end"] - begin
        seen += sorted(([name, tsc - begin] for name, tsc in at.items()), key=lambda s: s[1])
    out["parts"] = {part: sums[part] for part in PARTS if sums[part]}
    out["initcalls"] = [list(pair) for pair in initcalls.most_common(12)]
    out["events"] = seen
    return out


# --- the picture ---

WIDTH, LEFT, RIGHT, ROW, FONT = 1100, 130, 90, 34, 15
COLOURS = ("#e45756", "#c97b84", "#a04040", "#b279a2", "#7a6fb0", "#4c78a8", "#1f4e79", "#3f9a94", "#f58518", "#d9b200",
           "#9d755d", "#54a24b", "#2f6f4e", "#8cbf6a", "#88b0d8", "#c8a2c8", "#bbbbbb", "#ffb000", "#e0c070", "#2e8b57", "#69b3a2",
           "#8a7fc0", "#4f8a3c")


def svg(result):
    """Of pause.json: a bar for each version and flavour, of the parts one after the other."""
    bars = [(f"{flavour}, {version}", figures["parts"]) for flavour in result_flavours(result)
            for version in ("stock", "begin", "now") if version in result
            for name, figures in result[version]["flavours"].items() if name == flavour]
    most = max((sum(p.values()) for _, p in bars), default=1)
    scale = (WIDTH - LEFT - RIGHT) / most
    used = [part for part in PARTS if any(part in p for _, p in bars)]
    columns, legend = 6, 56 + len(bars) * (ROW + 8)
    height = legend + 24 * -(-len(used) // columns) + 14
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" role="img" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="{FONT}">',
           "<title>From stop to run</title>", f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="{LEFT}" y="26" font-size="18">From stop to run, in millions of instructions, by part</text>']
    for i, (name, values) in enumerate(bars):
        x, y = LEFT, 44 + i * (ROW + 8)
        out.append(f'<text x="{LEFT - 8}" y="{y + 22}" text-anchor="end">{name}</text>')
        for part in PARTS:
            width = values.get(part, 0) * scale
            if width:
                out.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW}" fill="{COLOURS[PARTS.index(part)]}">'
                           f"<title>{part}: {values[part] / 1e6:.1f}</title></rect>")
            x += width
        out.append(f'<text x="{x + 6:.1f}" y="{y + 22}">{sum(values.values()) / 1e6:.0f}</text>')
    for i, part in enumerate(used):
        x, y = LEFT + i % columns * 155, legend + 24 * (i // columns)
        out.append(f'<rect x="{x}" y="{y}" width="14" height="14" fill="{COLOURS[PARTS.index(part)]}"/>'
                   f'<text x="{x + 20}" y="{y + 12}">{part}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def result_flavours(result):
    """In the order in which they were measured."""
    return list(dict.fromkeys(f for v in ("stock", "begin", "now") if v in result for f in result[v]["flavours"]))
