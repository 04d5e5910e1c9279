# SPDX-License-Identifier: GPL-2.0-only
"""Draws an update as an SVG: the phases above, the blackout and each device's DMA below.

The DMA rows are not a sketch: each column of pixels is dark in proportion to the DMA
writes that the IOMMU reported in that time, so that a gap is seen as a gap.
"""

# Large letters: on a page the whole is drawn smaller, down to two thirds.
WIDTH, LEFT, RIGHT, FONT = 1100, 120, 20, 15
ROW, GAP, THIN = 24, 8, 3
LABEL = 90          # room for "1234.5 ms"
COLOURS = {
    "load": "#9aa5b1", "preserve": "#4c78a8", "freeze": "#e45756", "jump": "#b279a2",
    "kernel boot": "#f58518", "user space": "#d9b200", "retrieve": "#54a24b",
    "rebuild": "#3f9a94", "verify": "#7a6fb0", "replace": "#2f6f4e", "finish": "#9d755d",
    "suspend": "#c97b84", "wire": "#7a6fb0", "start": "#b0a090", "give": "#2f6f4e", "run": "#4f8a3c",
}
DARK, EDGE = "#333", "#ffb000"
# Letters stay readable on the lines of the scale.
HALO = 'stroke="white" stroke-width="4" paint-order="stroke"'


def _escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def blackouts(spans):
    """[(begin, end)]: from each freeze until a process serves the devices again.

    The end is None if none does."""
    out = []
    for name, begin, end in spans:
        if name == "freeze":
            out.append((begin, None))
        elif name in ("replace", "finish") and out:
            out[-1] = out[-1][0], max(end, out[-1][1] or end)
    return out


def svg(title, spans, rows, begin, end, notes=(), dark=None):
    """title; [(phase, begin, end)]; [(device, [time of a DMA write])]; the window; the
    blackouts, [(begin, end)], if the phases do not say them.

    All times in one unit, microseconds. Returns the text of the file."""
    inner = WIDTH - LEFT - RIGHT
    scale = inner / max(1, end - begin)
    dark = blackouts(spans) if dark is None else dark
    phase_top = 66
    dark_top = phase_top + len(spans) * (ROW + 2) + 20
    dma_top = dark_top + (ROW + GAP if dark else 0)
    bottom = dma_top + len(rows) * (2 * ROW + GAP)
    height = bottom + 14 + 22 * len(notes)
    # Without crisp edges, columns side by side have seams when it is drawn smaller.
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" role="img" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="{FONT}" shape-rendering="crispEdges">',
           f'<title>{_escape(title)}</title>',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="{LEFT}" y="24" font-size="18">{_escape(title)}</text>']

    def x(t):
        return LEFT + min(max(t - begin, 0), end - begin) * scale

    def name_of(y, text):
        out.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{_escape(text)}</text>')

    def beside(left, right, y, text):
        """To the right of what is drawn from left to right, or to its left at the edge."""
        if right + LABEL < WIDTH:
            out.append(f'<text x="{right + 5:.1f}" y="{y}" fill="{DARK}" {HALO}>{text}</text>')
        else:
            out.append(f'<text x="{left - 5:.1f}" y="{y}" text-anchor="end" fill="{DARK}" {HALO}>{text}</text>')

    # A scale of round steps.
    step = next(s for s in (10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
                            2_000_000, 5_000_000, 10_000_000, 60_000_000, 10**12)
                if (end - begin) / s <= 14)
    for i in range(int((end - begin) // step) + 1):
        at = x(begin + i * step)
        out.append(f'<line x1="{at:.1f}" y1="{phase_top - 6}" x2="{at:.1f}" y2="{bottom - GAP}" stroke="#e0e0e0"/>')
        out.append(f'<text x="{at:.1f}" y="{phase_top - 12}" text-anchor="middle" fill="#555">'
                   f'{i * step / 1e6:g} s</text>')

    for i, (name, a, b) in enumerate(spans):
        y = phase_top + i * (ROW + 2)
        width = max(THIN, x(b) - x(a))
        name_of(y + 17, name)
        out.append(f'<rect x="{x(a):.1f}" y="{y}" width="{width:.1f}" height="{ROW}" '
                   f'fill="{COLOURS.get(name, "#888")}"/>')
        beside(x(a), x(a) + width, y + 17, f'{(b - a) / 1e3:.1f} ms')

    for i, (name, times) in enumerate(rows):
        y = dma_top + i * (2 * ROW + GAP)
        columns = [0] * (inner + 1)
        for t in times:
            if begin <= t <= end:
                columns[int((t - begin) * scale)] += 1
        most = max(columns) or 1
        name_of(y + ROW + 5, name)
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

    # Its edges go on through the DMA rows: what happened in there happened without a process.
    for a, b in dark:
        left, right = x(a), x(end if b is None else b)
        text = f'{(b - a) / 1e3:.0f} ms' if b is not None else 'not served again'
        out.append(f'<rect x="{left:.1f}" y="{dark_top}" width="{max(THIN, right - left):.1f}" height="{ROW}" fill="{DARK}"/>')
        if right - left > LABEL * 3 // 4:
            out.append(f'<text x="{(left + right) / 2:.1f}" y="{dark_top + 17}" text-anchor="middle" fill="white">{text}</text>')
        elif len(dark) == 1:
            beside(left, right, dark_top + 17, text)
        for at in (left, right) if b is not None else (left,):
            out.append(f'<line x1="{at:.1f}" y1="{dark_top + ROW}" x2="{at:.1f}" y2="{bottom - GAP}" '
                       f'stroke="{EDGE}" stroke-width="2" stroke-dasharray="5 3"/>')
    if dark:
        name_of(dark_top + 17, "blackout")

    for i, note in enumerate(notes):
        out.append(f'<text x="{LEFT}" y="{bottom + 18 + 22 * i}" fill="{DARK}">{_escape(note)}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"
