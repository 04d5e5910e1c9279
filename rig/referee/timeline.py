# SPDX-License-Identifier: GPL-2.0-only
"""Draws an update as an SVG: the phases above, each device's DMA below them.

The DMA rows are not a sketch: each column of pixels is dark in proportion to the DMA
writes that the IOMMU reported in that time, so that a gap is seen as a gap.
"""

WIDTH, LEFT, RIGHT = 1100, 110, 20
ROW, GAP = 22, 8
COLOURS = {
    "load": "#9aa5b1", "preserve": "#4c78a8", "freeze": "#e45756", "jump": "#b279a2",
    "kernel boot": "#f58518", "user space": "#eeca3b", "retrieve": "#54a24b",
    "rebuild": "#72b7b2", "replace": "#2f6f4e", "finish": "#9d755d",
}


def _escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def svg(title, spans, rows, begin, end, notes=()):
    """title; [(phase, begin, end)]; [(device, [time of a DMA write])]; the window.

    All times in one unit, microseconds. Returns the text of the file."""
    inner = WIDTH - LEFT - RIGHT
    scale = inner / max(1, end - begin)
    phase_top = 56
    dma_top = phase_top + len(spans) * (ROW + 2) + 26
    height = dma_top + len(rows) * (2 * ROW + GAP) + 40 + 18 * len(notes)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="{LEFT}" y="24" font-size="16">{_escape(title)}</text>']

    def x(t):
        return LEFT + min(max(t - begin, 0), end - begin) * scale

    # A scale of round steps.
    step = next(s for s in (10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
                            2_000_000, 5_000_000, 10_000_000, 60_000_000, 10**12)
                if (end - begin) / s <= 14)
    bottom = dma_top + len(rows) * (2 * ROW + GAP)
    for i in range(int((end - begin) // step) + 1):
        at = x(begin + i * step)
        out.append(f'<line x1="{at:.1f}" y1="{phase_top - 6}" x2="{at:.1f}" y2="{bottom}" stroke="#e0e0e0"/>')
        out.append(f'<text x="{at:.1f}" y="{phase_top - 10}" text-anchor="middle" fill="#777">'
                   f'{i * step / 1e6:g} s</text>')

    for i, (name, a, b) in enumerate(spans):
        y = phase_top + i * (ROW + 2)
        width = max(1.5, x(b) - x(a))
        out.append(f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{_escape(name)}</text>')
        out.append(f'<rect x="{x(a):.1f}" y="{y}" width="{width:.1f}" height="{ROW}" '
                   f'fill="{COLOURS.get(name, "#888")}"/>')
        label = f'{(b - a) / 1e3:.1f} ms'
        if x(a) + width + 70 < WIDTH:
            out.append(f'<text x="{x(a) + width + 5:.1f}" y="{y + 15}" fill="#444">{label}</text>')
        else:
            out.append(f'<text x="{x(a) - 5:.1f}" y="{y + 15}" text-anchor="end" fill="#444">{label}</text>')

    for i, (name, times) in enumerate(rows):
        y = dma_top + i * (2 * ROW + GAP)
        columns = [0] * (inner + 1)
        for t in times:
            if begin <= t <= end:
                columns[int((t - begin) * scale)] += 1
        most = max(columns) or 1
        out.append(f'<text x="{LEFT - 8}" y="{y + ROW + 4}" text-anchor="end">{_escape(name)}</text>')
        out.append(f'<rect x="{LEFT}" y="{y}" width="{inner}" height="{2 * ROW}" fill="#fbeaea"/>')
        at = 0
        while at <= inner:          # columns alike in one rectangle
            shade = -(-columns[at] * 8 // most)
            run = at
            while run <= inner and -(-columns[run] * 8 // most) == shade:
                run += 1
            if shade:
                out.append(f'<rect x="{LEFT + at}" y="{y}" width="{run - at}" height="{2 * ROW}" '
                           f'fill="#1f4e79" fill-opacity="{0.4 + 0.6 * shade / 8:.2f}"/>')
            at = run
    for i, note in enumerate(notes):
        out.append(f'<text x="{LEFT}" y="{bottom + 24 + 18 * i}" fill="#333">{_escape(note)}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"
