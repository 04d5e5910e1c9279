// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmdline.h"

/* Is the word that begins there this parameter? */
static bool is_of(const char *word, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(word, name, n) && strchr("= \n", word[n]);
}

char *cmdline_value(const char *line, const char *name)
{
	char *copy = strdup(line), *save = NULL, *word, *value = NULL;
	size_t n = strlen(name);

	for (word = strtok_r(copy, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save)) {
		if (!is_of(word, name))
			continue;
		free(value);
		value = strdup(word[n] ? word + n + 1 : "");
	}
	free(copy);
	return value;
}

char *cmdline_without(const char *line, const char *name)
{
	char *without = strdup(line), *at = without, *rest;

	while (*at) {
		rest = at + strcspn(at, " \n");
		rest += strspn(rest, " \n");
		if (is_of(at, name))
			memmove(at, rest, strlen(rest) + 1);
		else
			at = rest;
	}
	/* It was the last. */
	while (at > without && strchr(" \n", at[-1]))
		*--at = 0;
	return without;
}

bool cmdline_is_on(const char *value)
{
	return value && (!*value || strchr("1yY", *value) || !strcasecmp(value, "on"));
}

/* Each intel_iommu= counts, and each has a list. */
const char *cmdline_vtd_mode(const char *line)
{
	const char *mode = "";
	char *copy = strdup(line), *save = NULL, *word;

	for (word = strtok_r(copy, " ,=\n", &save); word;
	     word = strtok_r(NULL, " ,=\n", &save)) {
		if (!strcmp(word, "sm_on"))
			mode = "sm_on";
		else if (!strcmp(word, "sm_off"))
			mode = "sm_off";
	}
	free(copy);
	return mode;
}

/* iommu=off is for all IOMMUs, whatever else the line says. */
const char *cmdline_vtd(const char *line)
{
	char *copy = strdup(line), *save = NULL, *word, *list, *at;
	bool none = false, vtd;
	const char *on = "";

	for (word = strtok_r(copy, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save)) {
		vtd = !strncmp(word, "intel_iommu=", 12);
		if (!vtd && strncmp(word, "iommu=", 6))
			continue;
		for (list = strchr(word, '=') + 1; (at = strsep(&list, ","));) {
			if (vtd)
				on = !strcmp(at, "on") ? "on" : !strcmp(at, "off") ? "off" : on;
			else
				none |= !strcmp(at, "off");
		}
	}
	free(copy);
	return none ? "off" : on;
}

/* NULL if devices find the next kernel with an IOMMU just if they have one in this. */
static const char *iommu_objection(const char *was, const char *is, bool without_iommu)
{
	if (!without_iommu) {
		if (!strcmp(was, is) || !strcmp(was, "off") || !strcmp(is, "on"))
			return NULL;
		return *is ? "intel_iommu=off, or iommu=off, is on it, and not on that of this kernel: all devices would be stopped; leave it out" :
			     "intel_iommu=on is not on it, as on that of this kernel: all devices would be stopped; add it";
	}
	if (!strcmp(is, "on") && strcmp(was, "on"))
		return "intel_iommu=on is on it, and this kernel uses no IOMMU: all devices would be stopped; leave it out";
	if (!strcmp(was, "off") && strcmp(is, "off"))
		return "intel_iommu=off is not on it, as on that of this kernel: with an IOMMU all devices would be stopped; add it";
	return NULL;
}

/*
 * What has a kernel keep memory for what can be moved. Memory of a device that lies in
 * there cannot be taken up for the device again. Where it begins follows from all of
 * these words, so all are as on this kernel's line, or none is there.
 */
static char *movable_objection(const char *now, const char *next)
{
	static const char *const words[] = { "kernelcore", "movablecore", "movable_node" };
	bool any = false, differs = false;

	for (size_t i = 0; i < 3; i++) {
		char *was = cmdline_value(now, words[i]);
		char *is = cmdline_value(next, words[i]);

		any |= !!is;
		differs |= !was != !is || (was && strcmp(was, is));
		free(was);
		free(is);
	}
	return any && differs ?
		strdup("kernelcore=, movablecore= and movable_node are not as on that of this kernel: the devices' memory could be in ZONE_MOVABLE, where VMs cannot take it up; leave them out, or say the same") :
		NULL;
}

/* All values of a parameter, one after another; "" if the line does not have it. To be freed. */
static char *values(const char *line, const char *name)
{
	char *copy = strdup(line), *save = NULL, *word, *all = calloc(1, strlen(line) + 1);

	if (!copy || !all)
		abort();
	for (word = strtok_r(copy, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		if (is_of(word, name)) {
			strcat(all, word);
			strcat(all, " ");
		}
	}
	free(copy);
	return all;
}

/* Memory that this kernel has and the next one does not, or has set aside for something else. */
static char *memory_objection(const char *now, const char *next)
{
	static const char *const words[] = { "mem", "memmap", "crashkernel" };
	char *why = NULL;

	for (size_t i = 0; i < 3 && !why; i++) {
		char *was = values(now, words[i]), *is = values(next, words[i]);

		/* Without an address the kernel looks for memory that is free. */
		if (*is && strcmp(was, is) && (i < 2 || strchr(is, '@')) &&
		    asprintf(&why, "%s is not as on that of this kernel: the memory of VMs and devices could be in what it takes away; leave it out, or say the same",
			     i < 2 ? (i ? "memmap=" : "mem=") : "crashkernel=SIZE@ADDRESS") < 0)
			abort();
		free(was);
		free(is);
	}
	return why;
}

/* The last word counts. */
static bool without_intremap(const char *line)
{
	char *copy = strdup(line), *save = NULL, *word, *list, *at;
	bool without = false;

	for (word = strtok_r(copy, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save)) {
		if (!strcmp(word, "nointremap"))
			without = true;
		if (strncmp(word, "intremap=", 9))
			continue;
		for (list = word + 9; (at = strsep(&list, ","));)
			without = !strcmp(at, "off") || (without && strcmp(at, "on"));
	}
	free(copy);
	return without;
}

/* NAME=WORD,WORD…: is @what one of them? Each counts that the line has. */
static bool is_listed(const char *line, const char *name, const char *what)
{
	char *copy = strdup(line), *save = NULL, *word, *list, *at;
	size_t n = strlen(name);
	bool found = false;

	for (word = strtok_r(copy, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save)) {
		if (strncmp(word, name, n) || word[n] != '=')
			continue;
		for (list = word + n + 1; (at = strsep(&list, ","));)
			found |= !strcmp(at, what);
	}
	free(copy);
	return found;
}

static bool without_ats(const char *line)
{
	return is_listed(line, "pci", "noats");
}

/* By its name in /proc/cpuinfo, or by its number: word 1, bit 26 of arch/x86/include/asm/cpufeatures.h. */
static bool without_gib_pages(const char *line)
{
	return is_listed(line, "clearcpuid", "pdpe1gb") || is_listed(line, "clearcpuid", "58");
}

/* Is AMD-Vi switched off by the line, or are its HWPTs guest page tables? The last word counts. */
static const char *amd_without(const char *line)
{
	char *copy = strdup(line), *save = NULL, *word, *list, *at;
	const char *without = NULL;

	for (word = strtok_r(copy, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save)) {
		if (strncmp(word, "amd_iommu=", 10))
			continue;
		for (list = word + 10; (at = strsep(&list, ","));)
			without = !strcmp(at, "off") ? "amd_iommu=off" :
				  !strcmp(at, "pgtbl_v2") ? "amd_iommu=pgtbl_v2" :
				  !strcmp(at, "pgtbl_v1") ? NULL : without;
	}
	free(copy);
	return without;
}

char *cmdline_objection(const char *now, const char *next, bool without_iommu)
{
	static const char *const switches[] = { "kho", "liveupdate" };
	const char *iommu;
	char *why = NULL;

	for (size_t i = 0; i < 2 && !why; i++) {
		char *was = cmdline_value(now, switches[i]);
		char *is = cmdline_value(next, switches[i]);

		/* Without the word it is as the kernel was built; this one was not, either. */
		if (is ? !cmdline_is_on(is) : !!was)
			if (asprintf(&why, "%s=on is not on it: all devices would be stopped; add it",
				     switches[i]) < 0)
				abort();
		free(was);
		free(is);
	}
	iommu = iommu_objection(cmdline_vtd(now), cmdline_vtd(next), without_iommu);
	if (!why && iommu)
		why = strdup(iommu);
	if (!why && strcmp(cmdline_vtd_mode(now), cmdline_vtd_mode(next)) &&
	    asprintf(&why, "intel_iommu has %s, and this kernel has %s: tables of another mode cannot be gone on with; say the same",
		     *cmdline_vtd_mode(next) ? cmdline_vtd_mode(next) : "no mode",
		     *cmdline_vtd_mode(now) ? cmdline_vtd_mode(now) : "none") < 0)
		abort();
	if (!why && amd_without(next) && !amd_without(now) &&
	    asprintf(&why, "%s is on it, and not on that of this kernel: all devices behind AMD-Vi would be stopped; leave it out",
		     amd_without(next)) < 0)
		abort();
	if (!why && without_ats(next) && !without_ats(now))
		why = strdup("pci=noats is on it, and not on that of this kernel: devices that use ATS would be stopped; leave it out");
	if (!why && !without_iommu && without_intremap(next) && !without_intremap(now))
		why = strdup("intremap=off, or nointremap, is on it, and not on that of this kernel: VFIO would give no VM its device back; leave it out");
	if (!why && without_gib_pages(next) && !without_gib_pages(now))
		why = strdup("clearcpuid=pdpe1gb is on it, and not on that of this kernel: memory of VMs in huge pages of 1 GiB could not be taken up again; leave it out");
	return why ?: memory_objection(now, next) ?: movable_objection(now, next);
}

/*
 * The kernel converts nanoseconds to ticks of the timer as mult / 2^shift, and lets it count
 * each 16th clock. A timer that goes by the time stamp counter ("lapic-deadline") is not
 * measured.
 */
static unsigned long long lapic_khz(const char *timers)
{
	static const char name[] = "Clock Event Device: lapic\n";
	unsigned long long mult, khz;
	const char *at = strstr(timers, name);
	unsigned int shift;

	if (!at || sscanf(at + sizeof(name) - 1, " max_delta_ns: %*u min_delta_ns: %*u mult: %llu shift: %u",
			  &mult, &shift) != 2 || shift > 32 || mult >> 32)
		return 0;
	/* Rounded: mult was rounded down. */
	khz = (mult * 16 * 1000000 + (1ull << shift) / 2) >> shift;
	return khz >> 32 ? 0 : khz;
}

char *cmdline_with_timer(const char *line, const char *timers)
{
	unsigned long long khz = lapic_khz(timers);
	char *given = cmdline_value(line, "lapic_timer_khz"), *whole;

	if (!khz || given)
		whole = strdup(line);
	else if (asprintf(&whole, "%.*s%slapic_timer_khz=%llu", (int)strcspn(line, "\n"), line,
			  *line && *line != '\n' ? " " : "", khz) < 0)
		whole = NULL;
	free(given);
	return whole;
}
