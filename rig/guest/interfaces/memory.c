// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "interfaces/memory.h"

#define KHO_PAGES	"/sys/kernel/debug/liveupdate/memory"

long kho_pages(void)
{
	static char text[64];
	unsigned long folios, pages;

	if (read_file(KHO_PAGES, text, sizeof(text)) <= 0 ||
	    sscanf(text, "format=1\nmemory folios=%lu pages=%lu\n", &folios,
		   &pages) != 2)
		die("read how many pages are preserved from %s", KHO_PAGES);
	return pages;
}

void read_vmstat(char *text, size_t len)
{
	/* What each CPU has counted for itself is added up. */
	write_file("/proc/sys/vm/stat_refresh", "1");
	if (read_file("/proc/vmstat", text, len) <= 0)
		die("read /proc/vmstat");
}

long number_of(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, name, len) && strchr(": \t", p[len]))
			return strtol(p + len + 1, NULL, 10);
		if (!*p)
			break;
	}
	return -1;
}

void emit_memory(void)
{
	static char info[8192], vmstat[16384];

	/* What is free and only cached counts as free. */
	write_file("/proc/sys/vm/drop_caches", "3");
	read_file("/proc/meminfo", info, sizeof(info));
	read_vmstat(vmstat, sizeof(vmstat));
	emit("memory",
	     ",\"MemTotal_kb\":%ld,\"MemFree_kb\":%ld,\"MemAvailable_kb\":%ld,\"Slab_kb\":%ld,\"SUnreclaim_kb\":%ld,\"PageTables_kb\":%ld,\"SecPageTables_kb\":%ld,\"VmallocUsed_kb\":%ld,\"nr_iommu_pages\":%ld,\"kho_pages\":%ld",
	     number_of(info, "MemTotal"), number_of(info, "MemFree"),
	     number_of(info, "MemAvailable"), number_of(info, "Slab"),
	     number_of(info, "SUnreclaim"), number_of(info, "PageTables"),
	     number_of(info, "SecPageTables"), number_of(info, "VmallocUsed"),
	     number_of(vmstat, "nr_iommu_pages"), kho_pages());
}
