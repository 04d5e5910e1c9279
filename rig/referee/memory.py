# SPDX-License-Identifier: GPL-2.0-only
"""
Does the memory in use grow from one update to the next?

A line is fitted to the values that the guest reported after each update. A leak
makes the line rise. It may rise by four standard errors, which the scatter of the
values determines, plus half a page an update. The smallest leak, one page an update,
is above that limit if the values scatter by less than a page or two. MemFree scatters
by megabytes from boot to boot; there a leak is found only if it adds up to more than
that over all updates. What KHO is told to preserve while no session is open does not
scatter: it has to be the same.
"""

import statistics

# Members of the guest's event "memory"; kB, or pages.
NAMES = ("MemTotal_kb", "MemFree_kb", "MemAvailable_kb", "Slab_kb", "SUnreclaim_kb", "PageTables_kb",
         "SecPageTables_kb", "VmallocUsed_kb", "nr_iommu_pages", "kho_pages")
EXACT = ("kho_pages",)
PAGE_KB = 4
SETTLED = 5             # so many updates at the start are left out


def line(values):
    """Least squares: (slope per update, its standard error)."""
    n, mean_x, mean_y = len(values), (len(values) - 1) / 2, statistics.fmean(values)
    over = sum((x - mean_x) ** 2 for x in range(n))
    if n < 3:
        return 0, 0
    slope = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(values)) / over
    rest = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in enumerate(values))
    return slope, (rest / (n - 2) / over) ** 0.5


def judge(samples, updates):
    """({name: figures}, findings) of one sample after each update."""
    figures, found = {}, []
    for name in NAMES:
        values = [s[name] for s in samples]
        if min(values) < 0:
            continue                # this kernel does not have it
        tail = values[SETTLED:] if len(values) > 2 * SETTLED else values[1:]
        slope, error = line(tail)
        figures[name] = {"first": values[0], "median": statistics.median(values), "last": values[-1],
                         "slope_per_update": round(slope, 3), "standard_error": round(error, 3)}
        worse = -slope if name.startswith("Mem") else slope
        half_a_page = 0.5 * (PAGE_KB if name.endswith("_kb") else 1)
        if worse > half_a_page + 4 * error:
            found.append(f"{name} changes by {slope:.2f} an update, {slope * updates:.0f} over {updates} updates "
                         f"(from {values[0]} to {values[-1]})")
        if name in EXACT and len(set(tail)) > 1:
            found.append(f"{name} is not the same after each update: {min(tail)} to {max(tail)}")
    return figures, found
