// SPDX-License-Identifier: GPL-2.0-only
/*
 * check: is this host ready for a live update, and which of its devices could go
 * over? Changes nothing. The rules are the kernel's, as far as they can be seen from
 * outside; when something is preserved, the kernel decides, and names the rule.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <zlib.h>

#include "abi.h"
#include "cmdline.h"
#include "back.h"
#include "commands.h"
#include "continuo.h"
#include "image.h"
#include "placed.h"
#include "record.h"

#define PCI	"/sys/bus/pci/devices"
#define MOST_CONFIG	(16 << 20)	/* bytes; the largest ones have 300,000 */

/* What the kernel would say of a device, from the tables that it has it from. */
#define LIVEUPDATE_RULE(id, err, text) \
	static const char why_##id[] __attribute__((unused)) = text
#include "drivers/pci/liveupdate_rules.h"
#include "drivers/iommu/liveupdate_rules.h"
#include "drivers/iommu/amd/liveupdate_rules.h"
#include "drivers/iommu/arm/arm-smmu-v3/liveupdate_rules.h"
#include "drivers/iommu/intel/liveupdate_rules.h"
#include "drivers/vfio/pci/vfio_pci_liveupdate_rules.h"

struct check {
	const struct options *opt;
	struct json_object *host, *devices;
	char *cmdline;			/* the kernel's, "" if it cannot be read */
	char *config;			/* the kernel's configuration, or NULL */
	bool view;			/* can it be read? */
	bool noiommu;			/* devices go over without an IOMMU */
	bool amd;			/* the IOMMU is AMD-Vi */
	bool smmu;			/* it is an SMMUv3 */
	unsigned int against, candidates;
};

enum answer { NO, YES, UNKNOWN };

/* Adds to a text that grows; the first time it is NULL. To be freed. */
static void __attribute__((format(printf, 2, 3)))
add(char **text, const char *fmt, ...)
{
	char *more, *whole;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&more, fmt, args) < 0)
		abort();
	va_end(args);
	if (asprintf(&whole, "%s%s", *text ?: "", more) < 0)
		abort();
	free(more);
	free(*text);
	*text = whole;
}

static void say(struct check *c, const char *what, enum answer answer,
		const char *found, const char *remedy)
{
	struct json_object *row = model_row(c->host);

	model_text(row, "check", what);
	model_text(row, "ok", answer == YES ? "yes" : answer == NO ? "no" : "unknown");
	model_text(row, "found", found);
	if (answer != YES)
		model_text(row, "remedy", remedy);
	c->against += answer == NO;
}

/* --- the host --- */

/* Is an option of the kernel's configuration on? */
static enum answer configured(struct check *c, const char *option)
{
	char *line, *at;
	bool on;

	if (!c->config)
		return UNKNOWN;
	if (asprintf(&line, "\nCONFIG_%s=", option) < 0)
		abort();
	at = strstr(c->config, line);
	on = at && (at[strlen(line)] == 'y' || at[strlen(line)] == 'm');
	free(line);
	return on ? YES : NO;
}

static void check_live_update(struct check *c)
{
	static const char *const options[] = {
		"KEXEC_HANDOVER", "LIVEUPDATE", "LIVEUPDATE_MEMFD", "PCI_LIVEUPDATE",
		"IOMMU_LIVEUPDATE", "VFIO_PCI_LIVEUPDATE",
	};
	char *missing = NULL, *kho = cmdline_value(c->cmdline, "kho"), *lu = cmdline_value(c->cmdline, "liveupdate");
	char *crash = cmdline_value(c->cmdline, "crashkernel"), *scratch = cmdline_value(c->cmdline, "kho_scratch");
	bool there = is_there(c->opt, "/dev/liveupdate"), off;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && c->config; i++)
		if (configured(c, options[i]) != YES)
			add(&missing, "%sCONFIG_%s", missing ? " " : "", options[i]);
	if (!c->config)
		say(c, "kernel options", UNKNOWN,
		    "neither /proc/config.gz nor /boot/config-RELEASE can be read",
		    "if every other line says yes, the options are on");
	else if (missing)
		say(c, "kernel options", NO, missing,
		    "these are off: boot a kernel with Continuo's patches that has them on");
	else
		say(c, "kernel options", YES, "all are on", NULL);

	if (cmdline_is_on(kho) || (!kho && configured(c, "KEXEC_HANDOVER_ENABLE_DEFAULT") == YES))
		say(c, "kho=on", YES, kho ? "on the command line" : "on by default", NULL);
	else
		say(c, "kho=on", NO, kho ? kho : "not on the command line",
		    "add kho=on to the command line of this kernel and of the next, and reboot");
	if (cmdline_is_on(lu))
		say(c, "liveupdate=on", YES, "on the command line", NULL);
	else
		say(c, "liveupdate=on", there ? UNKNOWN : NO, lu ? lu : "not on the command line",
		    "add liveupdate=on to the command line of this kernel and of the next, and reboot");
	/* KHO finds no room for what it needs, and switches itself off: what is set aside counts as needed. */
	off = !there && crash && !scratch;
	say(c, "/dev/liveupdate", there ? YES : NO,
	    there ? "there" : off ? "not there, and crashkernel= is on the command line without kho_scratch=" : "not there",
	    off ? "if the three above are well, and the kernel log says 'KHO: Failed to reserve scratch area', add kho_scratch= to the command line of this kernel and of the next; see 'If the kernel crashes' in handover.md" :
		  "it appears when the three above are well; lines of the kernel log that begin with 'KHO:' say what KHO lacks");
	free(crash);
	free(scratch);
	free(missing);
	free(kho);
	free(lu);
}

/* To be freed. */
static char *what_is_loaded(struct check *c, enum placed *is)
{
	struct json_object *record;
	char *why, *found = NULL;
	enum placed placed = placed_find(c->opt, &record, &why);

	*is = placed;
	if (placed == PLACED_KNOWN)
		add(&found, "%s is in place since %s", record_text(record, "kernel"), record_text(record, "loaded"));
	else if (placed == PLACED_UNKNOWN)
		add(&found, "a kernel is loaded: %s", why);
	else
		add(&found, "no kernel is loaded yet%s%s", why ? ": " : "", why ?: "");
	json_object_put(record);
	free(why);
	return found;
}

static void check_kexec(struct check *c)
{
	char *loaded = read_text(c->opt, "/sys/kernel/kexec_loaded") ?:
		       read_text(c->opt, "/sys/kernel/kexec/loaded");
	char *disabled = read_text(c->opt, "/proc/sys/kernel/kexec_load_disabled");
	char *limit = read_text(c->opt, "/proc/sys/kernel/kexec_load_limit_reboot");
	enum placed placed;
	char *found = what_is_loaded(c, &placed);

	if (!loaded || !disabled)
		say(c, "kexec", NO, "this kernel has none", "it takes CONFIG_KEXEC_FILE");
	else if (strcmp(disabled, "0"))
		say(c, "kexec", NO, "it was disabled (kernel.kexec_load_disabled)",
		    "that lasts until the next reboot; find out who sets it");
	/* An update can begin from the one that was loaded before the limit was used up. */
	else if (limit && !strcmp(limit, "0") && placed != PLACED_KNOWN)
		say(c, "kexec", NO, "no kernel can be loaded any more (kernel.kexec_load_limit_reboot)",
		    "that lasts until the next reboot; find out who sets it");
	else
		say(c, "kexec", YES, found, NULL);
	free(found);
	free(limit);
	free(loaded);
	free(disabled);
}

/*
 * Does the kernel demand of an image that it can verify its signature? Whether it can is known when it
 * is loaded; that it could of none is the host's property.
 */
static void check_signature(struct check *c)
{
	char *list = read_text(c->opt, "/sys/kernel/security/lockdown"), *lockdown = image_lockdown(list);
	bool locked = strcmp(lockdown, "none"), forced = configured(c, "KEXEC_SIG_FORCE") == YES;
	enum answer sig = configured(c, "KEXEC_SIG");
	bool none = sig == YES && configured(c, "KEXEC_BZIMAGE_VERIFY_SIG") == NO && configured(c, "KEXEC_IMAGE_VERIFY_SIG") == NO;
	enum placed placed;
	char *found = NULL, *loaded = what_is_loaded(c, &placed);

	if (locked)
		add(&found, "this kernel is locked down (%s)", lockdown);
	else
		add(&found, "this kernel %s", forced ? "demands one (CONFIG_KEXEC_SIG_FORCE)" : "is not locked down");
	if (locked && sig == NO)
		add(&found, ", and looks at none (CONFIG_KEXEC_SIG is off)");
	if ((!locked && !forced) || sig == NO) {
		say(c, "image signature", YES, found, NULL);
	} else if (none) {
		add(&found, ", and can verify that of no image");
		say(c, "image signature", NO, found,
		    "boot a kernel with CONFIG_KEXEC_BZIMAGE_VERIFY_SIG, or for arm64 CONFIG_KEXEC_IMAGE_VERIFY_SIG");
	} else if (placed == PLACED_KNOWN) {
		add(&found, "; it has taken the one that is in place");
		say(c, "image signature", YES, found, NULL);
	} else {
		add(&found, "; it takes only an image whose signature it can verify");
		say(c, "image signature", UNKNOWN, found,
		    "sign the next kernel with a key that this one trusts (docs/operators.md); 'continuo load' says at once whether it is taken");
	}
	free(loaded);
	free(found);
	free(lockdown);
	free(list);
}

/* "Extended Capability Register" of the VT-d specification */
#define ECAP_DT		(1ull << 2)	/* device-TLBs */
#define ECAP_PRS	(1ull << 29)	/* page requests */
#define ECAP_PDS	(1ull << 42)	/* drains page requests */
#define ECAP_SMTS	(1ull << 43)	/* scalable mode */
#define ECAP_SSTS	(1ull << 46)	/* second-stage tables in scalable mode */

/* Is a unit with these capabilities in scalable mode? */
static bool is_scalable(struct check *c, unsigned long long ecap)
{
	const char *mode = cmdline_vtd_mode(c->cmdline);

	return ecap & ECAP_SMTS &&
	       (*mode ? !strcmp(mode, "sm_on") :
			configured(c, "INTEL_IOMMU_SCALABLE_MODE_DEFAULT_ON") == YES);
}

/* In scalable mode, and all tables that it has are first-stage ones? */
static bool has_first_stage_only(struct check *c, const char *ecap)
{
	unsigned long long bits = strtoull(ecap, NULL, 16);

	return is_scalable(c, bits) && !(bits & ECAP_SSTS);
}

/* As the kernel asks the CPU; false if nothing is known of it. */
static bool lacks_cx16(struct check *c)
{
	char *info = read_text(c->opt, "/proc/cpuinfo");
	bool lacks = info && strstr(info, "\nflags") && !strstr(info, " cx16 ");

	free(info);
	return lacks;
}

/*
 * The next kernel has to use VT-d if this one does, and not if this one does not. What the
 * command line does not say is as that kernel was built, which is not known here.
 */
static void check_next_iommu(struct check *c, bool vtd)
{
	const char *on = cmdline_vtd(c->cmdline);

	if (vtd)
		say(c, "intel_iommu=on", *on ? YES : UNKNOWN,
		    *on ? "on the command line" : "not on the command line; in this kernel it is on by default",
		    "add intel_iommu=on to the command line of this kernel and of the next: one without such a default would stop all devices");
	else if (c->noiommu && is_there(c->opt, "/sys/firmware/acpi/tables/DMAR"))
		say(c, "intel_iommu=off", *on ? YES : UNKNOWN,
		    *on ? "on the command line" : "not on the command line; in this kernel it is off by default",
		    "add intel_iommu=off to the command line of this kernel and of the next: one that uses VT-d by default would stop all devices");
}

/* Does a list of the command line have that word? Each such parameter counts. */
static bool is_listed(struct check *c, const char *name, const char *word)
{
	char *copy = strdup(c->cmdline), *save = NULL, *param, *list, *at;
	size_t n = strlen(name);
	bool found = false;

	for (param = strtok_r(copy, " \n", &save); param;
	     param = strtok_r(NULL, " \n", &save)) {
		if (strncmp(param, name, n) || param[n] != '=')
			continue;
		for (list = param + n + 1; (at = strsep(&list, ","));)
			found |= !strcmp(at, word);
	}
	free(copy);
	return found;
}

/* Can this unit have guest page tables (GT and GIOSup)? Without, the kernel ignores pgtbl_v2. */
static bool has_guest_tables(const char *features)
{
	unsigned long long bits = strtoull(features, NULL, 16);

	return bits >> 4 & bits >> 48 & 1;
}

/* AMD-Vi, which can be carried over as 7.3 sets it up by itself. @guest: has each unit v2? */
static void check_amd(struct check *c, const char *found, bool guest)
{
	if (is_listed(c, "mem_encrypt", "on"))
		say(c, "IOMMU", NO, why_amd_sme, "boot this kernel and the next with mem_encrypt=off");
	else if (guest && is_listed(c, "amd_iommu", "pgtbl_v2"))
		say(c, "IOMMU", NO, "its HWPTs are guest page tables, which cannot be carried over",
		    "boot this kernel and the next without amd_iommu=pgtbl_v2");
	else
		say(c, "IOMMU", YES, found, NULL);
}

/* What the units of this host are */
struct iommus {
	struct check *c;
	char *found;
	unsigned int vtd, amd, smmu, other;
	bool first_stage, guest;
};

static void check_unit(const char *name, void *arg)
{
	struct iommus *u = arg;
	const struct options *opt = u->c->opt;
	char *cap = read_text(opt, "/sys/class/iommu/%s/intel-iommu/cap", name);
	char *ecap = read_text(opt, "/sys/class/iommu/%s/intel-iommu/ecap", name);
	char *features = read_text(opt, "/sys/class/iommu/%s/amd-iommu/features", name);

	if (cap && ecap)
		u->vtd++;
	else if (features)
		u->amd++;
	else if (!strncmp(name, "smmu3.", 6))
		u->smmu++;
	else
		u->other++;
	add(&u->found, "%s%s", u->found ? "; " : "", name);
	if (cap && ecap)
		add(&u->found, " cap %s ecap %s", cap, ecap);
	else if (features)
		add(&u->found, " features %s", features);
	u->first_stage |= cap && ecap && has_first_stage_only(u->c, ecap);
	u->guest &= !features || has_guest_tables(features);
	free(cap);
	free(ecap);
	free(features);
}

static void check_iommu(struct check *c)
{
	struct iommus u = { .c = c, .guest = true };
	bool noiommu = is_without_iommu(c->opt);

	each_iommu(c->opt, check_unit, &u);
	c->amd = u.amd;
	c->smmu = u.smmu;
	c->noiommu = noiommu && configured(c, "IOMMU_LIVEUPDATE_NOIOMMU") != NO;
	if (u.vtd && !u.other && lacks_cx16(c))
		say(c, "IOMMU", NO, why_vtd_cpu, "there is none: it takes a CPU that has cmpxchg16b");
	else if (u.vtd && !u.other && u.first_stage)
		say(c, "IOMMU", NO, "in scalable mode it has first-stage tables only, which cannot be carried over",
		    "boot this kernel and the next with intel_iommu=on,sm_off");
	else if (u.vtd && !u.other)
		say(c, "IOMMU", YES, u.found, NULL);
	else if (u.amd && !u.other)
		check_amd(c, u.found, u.guest);
	else if (u.smmu > 1 && !u.other)
		say(c, "IOMMU", NO, why_smmuv3_alone, "there is none so far: ASIDs belong to all units, and are kept for one");
	else if (u.smmu && !u.other)
		say(c, "IOMMU", YES, u.found, NULL);
	else if (u.vtd || u.other)
		say(c, "IOMMU", NO, u.found,
		    "only Intel VT-d, AMD-Vi and Arm's SMMUv3 can be carried over so far");
	else if (c->noiommu)
		say(c, "IOMMU", YES, "none is in use, and vfio.enable_unsafe_noiommu_mode allows devices without one",
		    NULL);
	else if (noiommu)
		say(c, "IOMMU", NO, "none is in use, and this kernel carries no device over without one",
		    "boot one with CONFIG_IOMMU_LIVEUPDATE_NOIOMMU, or turn VT-d on in the firmware and add intel_iommu=on");
	else
		say(c, "IOMMU", NO, "none is in use",
		    "turn VT-d or AMD-Vi on in the firmware, add intel_iommu=on to the command line if it is VT-d, and reboot");
	free(u.found);
	check_next_iommu(c, u.vtd && !u.other);
}

/* Does the iommufd know our calls? Asked for a HWPT that cannot be. */
static void check_iommufd(struct check *c)
{
	struct uio_hwpt_mark_preserve arg = { .size = sizeof(arg), .hwpt_token = 1 };
	char *path;
	int fd;

	if (!is_there(c->opt, "/dev/iommu")) {
		say(c, "iommufd", NO, "there is no /dev/iommu", "it takes CONFIG_IOMMUFD");
		return;
	}
	if (*c->opt->root) {
		say(c, "iommufd", UNKNOWN, "/dev/iommu, which cannot be asked from here",
		    "run this on the machine itself");
		return;
	}
	if (asprintf(&path, "%s/dev/iommu", c->opt->root) < 0)
		abort();
	fd = open(path, O_RDWR | O_CLOEXEC);
	free(path);
	if (fd < 0)
		say(c, "iommufd", UNKNOWN, strerror(errno), "run this as root");
	else if (ioctl(fd, UIO_HWPT_MARK_PRESERVE, &arg) && errno == ENOENT)
		say(c, "iommufd", YES, "it can mark HWPTs to be carried over", NULL);
	else
		say(c, "iommufd", NO, "it cannot mark HWPTs to be carried over",
		    "boot a kernel with Continuo's patches and CONFIG_IOMMU_LIVEUPDATE");
	if (fd >= 0)
		close(fd);
}

static void check_vfio(struct check *c)
{
	bool driver = is_there(c->opt, "/sys/bus/pci/drivers/vfio-pci");
	enum answer cdev = configured(c, "VFIO_DEVICE_CDEV");

	if (is_there(c->opt, "/sys/class/vfio-dev"))
		cdev = YES;
	say(c, "vfio-pci", driver ? YES : NO, driver ? "there" : "the driver is not there",
	    "modprobe vfio-pci; it takes CONFIG_VFIO_PCI");
	say(c, "VFIO cdevs", cdev,
	    cdev == YES ? "there" : cdev == NO ? "this kernel has none" : "no device is bound to vfio-pci",
	    "they take CONFIG_VFIO_DEVICE_CDEV");
}

static void check_access(struct check *c)
{
	say(c, "root", geteuid() ? NO : YES, geteuid() ? "this is another user" : "this is root",
	    "only root can see all of it, and only root can update");
}

/* As the other commands read it: an update takes it. */
static void check_view(struct check *c)
{
	char *view = read_text(c->opt, VIEW_DEVICE), *debugfs = NULL;
	int err = view ? 0 : errno;

	if (err == ENOENT)
		debugfs = read_text(c->opt, VIEW_DEBUGFS "/outgoing");
	c->view = view || debugfs;
	if (view)
		say(c, "view", YES, VIEW_DEVICE, NULL);
	else if (debugfs)
		say(c, "view", YES, "in debugfs; this kernel is of before " VIEW_DEVICE, NULL);
	else if (err == ENOENT)
		say(c, "view", NO, "there is no " VIEW_DEVICE,
		    "boot a kernel with Continuo's patches and CONFIG_LIVEUPDATE; one of before this device has the view in debugfs, which has to be mounted then");
	else
		say(c, "view", NO, strerror(err), "run this as root; list and show can be run by a group that udev gives " VIEW_DEVICE " to");
	free(view);
	free(debugfs);
}

/* How many there are of all sizes; gigantic: of more than 4 MiB each. */
static unsigned long long huge_pages(struct check *c, unsigned long long *gigantic)
{
	unsigned long long nr, sum = 0;
	char *path, *text;
	struct dirent *de;
	DIR *dir;

	*gigantic = 0;
	if (asprintf(&path, "%s/sys/kernel/mm/hugepages", c->opt->root) < 0)
		abort();
	dir = opendir(path);
	free(path);
	while (dir && (de = readdir(dir))) {
		if (strncmp(de->d_name, "hugepages-", 10))
			continue;
		text = read_text(c->opt, "/sys/kernel/mm/hugepages/%s/nr_hugepages", de->d_name);
		nr = text ? strtoull(text, NULL, 10) : 0;
		free(text);
		sum += nr;
		if (strtoull(de->d_name + 10, NULL, 10) > 4096)
			*gigantic += nr;
	}
	if (dir)
		closedir(dir);
	return sum;
}

/* Whether a VM has any of them is not known, so none of this stands against the host. */
static void check_huge_pages(struct check *c)
{
	unsigned long long gigantic, nr = huge_pages(c, &gigantic);
	char *freed = read_text(c->opt, "/proc/sys/vm/hugetlb_optimize_vmemmap");
	char *cma = cmdline_value(c->cmdline, "hugetlb_cma"), *found = NULL;

	if (nr)
		add(&found, "%llu, of them %llu gigantic", nr, gigantic);
	if (!nr)
		say(c, "huge pages", YES, "there are none", NULL);
	else if (configured(c, "LIVEUPDATE_HUGETLB") == NO)
		say(c, "huge pages", UNKNOWN, found,
		    "VMs that have them cannot be carried over: CONFIG_LIVEUPDATE_HUGETLB is off");
	else if (freed && strcmp(freed, "0"))
		say(c, "huge pages", UNKNOWN, found,
		    "VMs that have them cannot be carried over: boot with hugetlb_free_vmemmap=off");
	else if (cma)
		say(c, "huge pages", UNKNOWN, found,
		    "VMs that have gigantic ones cannot be carried over: boot without hugetlb_cma=");
	else
		say(c, "huge pages", YES, found, NULL);
	free(found);
	free(cma);
	free(freed);
}

/*
 * A watchdog is not served from the last time before the jump until user space of the next kernel
 * runs. Who serves it does that at half of its time-out, as systemd does: half is left.
 */
static void check_watchdog(struct check *c)
{
	long long us = history_last_jump(c->opt), least = 0;
	char *path, *found = NULL, *remedy = NULL;
	struct dirent *de;
	DIR *dir;

	if (asprintf(&path, "%s/sys/class/watchdog", c->opt->root) < 0)
		abort();
	dir = opendir(path);
	free(path);
	while (dir && (de = readdir(dir))) {
		char *state = read_text(c->opt, "/sys/class/watchdog/%s/state", de->d_name);
		char *timeout = read_text(c->opt, "/sys/class/watchdog/%s/timeout", de->d_name);
		long long s = timeout ? strtoll(timeout, NULL, 10) : 0;

		if (*de->d_name != '.' && state && !strcmp(state, "active") && s > 0) {
			add(&found, "%s%s: %lld s", found ? "; " : "", de->d_name, s);
			if (!least || s < least)
				least = s;
		}
		free(timeout);
		free(state);
	}
	if (dir)
		closedir(dir);
	if (!found) {
		say(c, "watchdog", YES, "none is active", NULL);
	} else if (us < 0) {
		say(c, "watchdog", UNKNOWN, found,
		    "no update of this host has been measured yet: see that half of the time-out is longer than a kexec takes");
	} else {
		add(&found, "; in the last update nobody served it for %lld.%lld s", us / 1000000, us / 100000 % 10);
		add(&remedy, "raise its time-out above %lld s (RuntimeWatchdogSec= of systemd), or stop it for the update",
		    2 * us / 1000000 + 1);
		say(c, "watchdog", least * 1000000 > 2 * us ? YES : NO, found, remedy);
	}
	free(remedy);
	free(found);
}

/* --- devices --- */

/* One thing more that stands against a device, and what can be done about it. */
struct objections {
	char *why, *remedy;
};

static void against(struct objections *o, const char *why, const char *remedy)
{
	add(&o->why, "%s%s", o->why ? "; " : "", why);
	add(&o->remedy, "%s%s", o->remedy ? "; " : "", remedy);
}

/*
 * What makes the next kernel's boot, and so the pause, longer than it has to be: as far as this
 * kernel, its command line and the host are what the next one will have. docs/bench.md has what
 * each of it costs. None of it stands against the host.
 */
static void check_pause(struct check *c)
{
	static const struct {
		const char *option;
		enum answer bad;
		const char *why, *remedy;
	} options[] = {
		{ "KERNEL_XZ", YES, "the kernel is packed with XZ, which is slow to unpack", "build it with CONFIG_KERNEL_ZSTD or CONFIG_KERNEL_LZ4" },
		{ "KERNEL_LZMA", YES, "the kernel is packed with LZMA, which is slow to unpack", "build it with CONFIG_KERNEL_ZSTD or CONFIG_KERNEL_LZ4" },
		{ "KERNEL_BZIP2", YES, "the kernel is packed with bzip2, which is slow to unpack", "build it with CONFIG_KERNEL_ZSTD or CONFIG_KERNEL_LZ4" },
		{ "DEFERRED_STRUCT_PAGE_INIT", NO, "one CPU sets up all memory", "build the kernel with CONFIG_DEFERRED_STRUCT_PAGE_INIT" },
	};
	char *console = cmdline_value(c->cmdline, "console"), *quiet = cmdline_value(c->cmdline, "quiet");
	char *ptys = cmdline_value(c->cmdline, "pty.legacy_count");
	char *shmem = read_text(c->opt, "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
	struct objections o = { 0 };

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (configured(c, options[i].option) == options[i].bad)
			against(&o, options[i].why, options[i].remedy);
	if (configured(c, "LEGACY_PTYS") == YES && (!ptys || strcmp(ptys, "0")))
		against(&o, "the kernel makes terminals of an old kind", "boot with pty.legacy_count=0");
	if (console && !strncmp(console, "ttyS", 4) && !quiet)
		against(&o, "the boot is written to a serial console", "boot with quiet");
	if (shmem && strstr(shmem, "[never]"))
		against(&o, "memory of VMs that is no huge pages is kept page by page",
			"write advise into /sys/kernel/mm/transparent_hugepage/shmem_enabled");
	if (o.why)
		say(c, "pause", UNKNOWN, o.why, o.remedy);
	else
		say(c, "pause", YES, "nothing is known that makes it longer", NULL);
	free(o.why);
	free(o.remedy);
	free(shmem);
	free(ptys);
	free(quiet);
	free(console);
}

/*
 * Could an update have a way back (docs/way-back.md)? None of it stands against the host. Whether
 * there is memory for both images "load" says, which knows them.
 */
static void check_way_back(struct check *c)
{
	struct objections o = { 0 };

	if (!is_there(c->opt, BACK_FOLDER))
		against(&o, "this kernel knows none", "boot a kernel that has " BACK_FOLDER ", or update without");
	else if (c->smmu)
		against(&o, "the driver of the SMMUv3 knows none: an update with a way back is refused if a device is behind it", "update without");
	else if (c->noiommu)
		against(&o, "devices that have no IOMMU are not kept from what can go back", "turn VT-d on, or update without");
	if (o.why)
		say(c, "way back", UNKNOWN, o.why, o.remedy);
	else
		say(c, "way back", YES, back_is_loaded(c->opt) ? "an image to go back to is loaded" : "an update can have one", NULL);
	free(o.why);
	free(o.remedy);
}

/* Nothing begins before it is known whether this kernel stays. */
static void check_confirmed(struct check *c)
{
	char *state = back_state(c->opt);

	if (!strcmp(state, "armed"))
		say(c, "confirmed", NO, "this kernel is not confirmed yet, and the machine may still go back",
		    "wait until the agent confirms it; 'continuo report' says what it waits for, and 'continuo confirm' does it by hand");
	else
		say(c, "confirmed", YES, !strcmp(state, "came-back") ? "the machine has come back to this kernel; 'continuo report' says why" : "nothing is to be confirmed", NULL);
	free(state);
}

/* Configuration space as far as it can be read, which takes root. */
struct config {
	unsigned char byte[4096];
	ssize_t n;
};

static void read_config(struct check *c, const char *bdf, struct config *cfg)
{
	char *path;
	int fd;

	cfg->n = 0;
	if (asprintf(&path, "%s" PCI "/%s/config", c->opt->root, bdf) < 0)
		abort();
	fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (fd < 0)
		return;
	cfg->n = read(fd, cfg->byte, sizeof(cfg->byte));
	close(fd);
}

static unsigned int config16(const struct config *cfg, unsigned int at)
{
	return cfg->byte[at] | cfg->byte[at + 1] << 8;
}

/* PCI Express capability (PCI Express Base Specification 6.0, 7.5.3); 0 if there is none. */
static unsigned int express(const struct config *cfg)
{
	unsigned int at, n = 48;

	if (cfg->n < 256 || !(config16(cfg, 0x06) & 0x10))
		return 0;
	for (at = cfg->byte[0x34] & ~3u; at >= 0x40 && n--; at = cfg->byte[at + 1] & ~3u)
		if (cfg->byte[at] == 0x10)
			return at;
	return 0;
}

/* Extended capability with this id, of which @size bytes are there; 0 if there is none. */
static unsigned int extended(const struct config *cfg, unsigned int id, unsigned int size)
{
	unsigned int at = 0x100, n = 960;

	while (at >= 0x100 && at + size <= (unsigned int)(cfg->n < 0 ? 0 : cfg->n) && n--) {
		if (config16(cfg, at) == id)
			return at;
		at = config16(cfg, at + 2) >> 4 & ~3u;
	}
	return 0;
}

/*
 * Does the kernel let it use ATS (10.5.1)? Then it is on, or the requests are not aligned to
 * pages, which keeps it off. It is off, too, where the firmware does not allow it.
 */
static bool may_use_ats(const struct config *cfg)
{
	unsigned int at = extended(cfg, 0x000f, 8);

	return at && (config16(cfg, at + 6) & 0x8000 || !(config16(cfg, at + 4) & 0x20));
}

/* Is ATS (10.5.1) enabled? Of its control register it is the highest bit. */
static bool uses_ats(const struct config *cfg)
{
	unsigned int at = extended(cfg, 0x000f, 8);

	return at && config16(cfg, at + 6) & 0x8000;
}

/*
 * Does the Function Dependency Link of SR-IOV (9.3.3) name another function? An endpoint has
 * all of a bus, and so 256 of them (ARI), but for one of the root complex.
 */
static bool depends_on_another(const struct config *cfg, const char *bdf)
{
	unsigned int cap = express(cfg), at = extended(cfg, 0x0010, 0x14), slot, function;

	if (!cap || !at || sscanf(bdf, "%*x:%*x:%x.%x", &slot, &function) != 2)
		return false;
	if (cfg->byte[cap + 2] >> 4 != 9)
		function |= slot << 3;
	return cfg->byte[at + 0x12] != function;
}

/* The name of the first bridge above that is no PCI Express port, or NULL. */
static char *odd_bridge(struct check *c, const char *bdf)
{
	char *link, *path, *at;
	struct config cfg;

	if (asprintf(&link, "%s" PCI "/%s", c->opt->root, bdf) < 0)
		abort();
	path = realpath(link, NULL);
	free(link);
	if (!path)
		return NULL;
	/* /sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0: the last one is the device. */
	for (at = strrchr(path, '/'); at; at = strrchr(path, '/')) {
		unsigned int cap, type;
		char *name;

		*at = 0;
		name = strrchr(path, '/');
		if (!name || !strchr(name, ':') || !strncmp(name, "/pci", 4))
			break;
		name++;
		read_config(c, name, &cfg);
		cap = express(&cfg);
		type = cap ? cfg.byte[cap + 2] >> 4 : 0;
		/* Root port, upstream and downstream port of a switch */
		if (cfg.n >= 256 && (!cap || type < 4 || type > 6)) {
			name = strdup(name);
			free(path);
			return name;
		}
	}
	free(path);
	return NULL;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Another device of the group, or NULL; sets whether there is a group. */
static char *companion(struct check *c, const char *bdf, bool *group)
{
	char *path, *other = NULL;
	struct dirent *de;
	DIR *dir;

	if (asprintf(&path, "%s" PCI "/%s/iommu_group/devices", c->opt->root, bdf) < 0)
		abort();
	dir = opendir(path);
	free(path);
	*group = dir;
	while (dir && (de = readdir(dir)) && !other)
		if (de->d_name[0] != '.' && strcmp(de->d_name, bdf))
			other = strdup(de->d_name);
	if (dir)
		closedir(dir);
	return other;
}

static char *link_name(struct check *c, const char *bdf, const char *what)
{
	char target[512], *path;
	ssize_t n;

	if (asprintf(&path, "%s" PCI "/%s/%s", c->opt->root, bdf, what) < 0)
		abort();
	n = readlink(path, target, sizeof(target) - 1);
	free(path);
	if (n < 0)
		return NULL;
	target[n] = 0;
	return strdup(strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
}

/*
 * May it use the Page Request Interface (10.5.2)? The kernel asks whether it can, and its unit,
 * as the entry of the device then allows it. A virtual function uses that of its physical one.
 * ATS alone is not in the way.
 */
static bool may_use_pri(struct check *c, const char *bdf, const struct config *cfg)
{
	char *unit = link_name(c, bdf, "iommu"), *pf = link_name(c, bdf, "physfn"), *text = NULL;
	const unsigned long long needed = ECAP_DT | ECAP_PRS | ECAP_PDS;
	unsigned long long ecap;
	struct config above;

	if (unit)
		text = read_text(c->opt, "/sys/class/iommu/%s/intel-iommu/ecap", unit);
	ecap = text ? strtoull(text, NULL, 16) : 0;
	read_config(c, pf ?: bdf, &above);
	free(text);
	free(unit);
	free(pf);
	return is_scalable(c, ecap) && (ecap & needed) == needed && may_use_ats(cfg) &&
	       extended(&above, 0x000f, 8) && extended(&above, 0x0013, 8);
}

/* Can the next kernel's driver take a physical function over while its virtual ones go on? */
static bool takes_pf(const char *driver)
{
	return !strcmp(driver, "igb") || !strcmp(driver, "pci-pf-stub");
}

/* What is above a virtual function stays as it is, if who drives it can take it over. */
static void check_pf(struct check *c, const char *bdf, struct objections *o)
{
	char *pf = link_name(c, bdf, "physfn"), *driver = NULL;
	struct config cfg;

	if (!pf)
		return;
	if (c->noiommu)
		against(o, why_iommu_vf, "turn VT-d on in the firmware, and boot with intel_iommu=on; or turn AMD-Vi on");
	driver = link_name(c, pf, "driver");
	if (driver && !strcmp(driver, "vfio-pci"))
		against(o, why_pci_pf_first, "who has that one has to do so; or give it to igb, if that is its driver, or to pci-pf-stub (driver_override)");
	else if (driver && !takes_pf(driver))
		against(o, why_pci_pf_driver, "give its physical function to pci-pf-stub (driver_override); of the drivers of network cards only igb can stay");
	read_config(c, pf, &cfg);
	if (depends_on_another(&cfg, pf))
		against(o, why_pci_pf_link, "these cannot be carried over yet");
	free(driver);
	free(pf);
}

static void check_device(struct check *c, const char *bdf)
{
	char *class = read_text(c->opt, PCI "/%s/class", bdf);
	char *vendor = read_text(c->opt, PCI "/%s/vendor", bdf);
	char *device = read_text(c->opt, PCI "/%s/device", bdf);
	unsigned long code = class ? strtoul(class, NULL, 16) : 0;
	char *driver, *group, *other, *bridge, *text, *line = NULL;
	struct objections o = {};
	struct json_object *row;
	struct config cfg;
	bool grouped;

	read_config(c, bdf, &cfg);
	/* Bridges go over with what is below them. */
	if (!class || !vendor || !device || code >> 16 == 0x06 ||
	    (cfg.n >= 64 && cfg.byte[0x0e] & 0x7f))
		goto out;

	driver = link_name(c, bdf, "driver");
	group = link_name(c, bdf, "iommu_group");
	other = companion(c, bdf, &grouped);
	if (!grouped && !c->noiommu) {
		against(&o, why_iommu_none, "see the check of the IOMMU");
	} else if (other) {
		add(&line, "%s with %s", why_iommu_group, other);
		against(&o, line, "put it into a slot that isolates it (a port with ACS)");
	}
	check_pf(c, bdf, &o);
	text = read_text(c->opt, PCI "/%s/sriov_numvfs", bdf);
	if (text && strcmp(text, "0") && (!driver || strcmp(driver, "vfio-pci")))
		against(&o, "it has virtual functions, and vfio-pci has not switched them on",
			"its virtual functions can go over; for itself, write 0 into its sriov_numvfs");
	else if (text && strcmp(text, "0") && depends_on_another(&cfg, bdf))
		against(&o, why_pci_pf_link, "these cannot be carried over yet");
	free(text);
	/* VGA (also as it was before there were classes), and each display of Intel's. */
	if (code >> 8 == 0x0300 || code >> 8 == 0x0001 || (code >> 16 == 0x03 && !strcmp(vendor, "0x8086")))
		against(&o, why_vfio_display, "these cannot be carried over yet");
	text = read_text(c->opt, PCI "/%s/iommu_group/reserved_regions", bdf);
	if (text && (strstr(text, " direct\n") || strstr(text, " direct-relaxable\n")))
		against(&o, why_iommu_rmrr,
			"look for a setting of the firmware that takes its hands off the device");
	free(text);
	if (may_use_pri(c, bdf, &cfg))
		against(&o, why_vtd_pri, "boot with pci=noats");
	if (c->amd && uses_ats(&cfg))
		against(&o, why_amd_ats, "boot with pci=noats");
	if (c->smmu && uses_ats(&cfg))
		against(&o, why_smmuv3_ats, "boot with pci=noats");
	bridge = odd_bridge(c, bdf);
	if (bridge) {
		free(line);
		line = NULL;
		add(&line, "%s: %s", why_pci_bridge, bridge);
		against(&o, line, "put it into a PCI Express slot");
	}
	if (!o.why && (!driver || strcmp(driver, "vfio-pci")))
		add(&o.remedy, "give it to vfio-pci (driver_override) when a VM is to have it");

	row = model_row(c->devices);
	model_text(row, "bdf", bdf);
	model_format(row, "id", "%s:%s", strlen(vendor) > 2 ? vendor + 2 : vendor,
		     strlen(device) > 2 ? device + 2 : device);
	model_text(row, "class", strlen(class) > 2 ? class + 2 : class);
	model_text(row, "driver", driver ?: "none");
	model_text(row, "group", group ?: "none");
	model_text(row, "candidate", o.why ? "no" : "yes");
	model_text(row, "why", o.why);
	model_text(row, "remedy", o.remedy);
	c->candidates += !o.why;

	free(o.why);
	free(o.remedy);
	free(line);
	free(bridge);
	free(other);
	free(driver);
	free(group);
out:
	free(class);
	free(vendor);
	free(device);
}

static void check_devices(struct check *c)
{
	struct dirent **list = NULL;
	char *path;
	int n;

	if (asprintf(&path, "%s" PCI, c->opt->root) < 0)
		abort();
	n = scandir(path, &list, NULL, by_name);
	free(path);
	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.')
			check_device(c, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	say(c, "a device that could go over", c->candidates ? YES : NO,
	    c->candidates ? "there" : n > 0 ? "none; see below what stands against each" : "there is no PCI",
	    "clear what stands against one of them");
}

/* What came with the last update and has no VM yet goes over once more, if it says of what it consists. */
static void check_last_update(struct check *c)
{
	struct json_object *o = json_object_new_object();
	char *found = NULL, *lost = NULL;
	const char *name;
	size_t at = 0;

	if (!c->view || view_incoming(c->opt, o)) {
		say(c, "last update", UNKNOWN, "the view cannot be read", "see to the view");
	} else {
		while ((name = view_untaken(o, &at))) {
			if (view_has_manifest(o, name))
				add(&found, "%s%s", found ? " " : "nobody has taken over, and the next update passes on: ", name);
			else
				add(&lost, "%s%s", lost ? " " : "nobody has taken over, and they have no manifest: ", name);
		}
		say(c, "last update", lost ? NO : YES, lost ?: found ?: "everything that came with it has been taken over, or nothing did",
		    "start their VMs, or 'continuo finish --discard' the sessions, or 'continuo update --leave' them");
	}
	free(found);
	free(lost);
	json_object_put(o);
}

/* One that is stopped takes connections, and never answers. */
#define AGENT_MS	5000

static void check_agent(struct check *c)
{
	struct continuo *ctx = NULL;
	int ret;

	if (*c->opt->root)
		say(c, "agent", UNKNOWN, "this is a copy of another machine", "run this on the machine");
	else if ((ret = continuo_new(&ctx)))
		say(c, "agent", UNKNOWN, strerror(-ret), "run this again");
	else if ((ret = continuo_deadline(ctx, AGENT_MS) ?: continuo_agent(ctx, c->opt->given[OPT_AGENT])) == -EACCES)
		say(c, "agent", UNKNOWN, continuo_why(ctx), "run this as root, or in the group that may ask the agent");
	else if (ret)
		say(c, "agent", NO, continuo_why(ctx),
		    "start it ('systemctl start continuo-agent'), or say where it listens (--agent)");
	else
		say(c, "agent", YES, "it answers", NULL);
	continuo_free(ctx);
}

/* The text that is gzip'ed in a file; NULL if that is not whole. Closes @fd. */
static char *read_gzip(int fd)
{
	gzFile f = gzdopen(fd, "rb");
	char *text;
	int n = -1;

	if (!f) {
		close(fd);
		return NULL;
	}
	text = malloc(MOST_CONFIG + 1);
	if (!text)
		abort();
	/* What is no gzip'ed file would be read as it is. */
	if (!gzdirect(f))
		n = gzread(f, text, MOST_CONFIG);
	/* A file that is cut off is an error of the end only. */
	if (gzclose(f) != Z_OK || n <= 0 || n == MOST_CONFIG) {
		free(text);
		return NULL;
	}
	text[n] = 0;
	return text;
}

/* Of the running kernel: as gzip'ed text in /proc, or beside its image. */
static char *read_kernel_config(struct check *c)
{
	char *path, *text, *release;
	int fd;

	if (asprintf(&path, "%s/proc/config.gz", c->opt->root) < 0)
		abort();
	fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	text = fd < 0 ? NULL : read_gzip(fd);
	if (text)
		return text;
	/* The release of the machine that is looked at, which need not be this one. */
	release = read_text(c->opt, "/proc/sys/kernel/osrelease");
	if (release && !strchr(release, '/'))
		text = read_text(c->opt, "/boot/config-%s", release);
	free(release);
	return text;
}

/* @begin: also what an update begins from, which is none of the host's properties. */
static struct json_object *look(const struct options *opt, bool begin)
{
	struct json_object *o = model_new("check");
	struct check c = { .opt = opt };

	c.cmdline = read_text(opt, "/proc/cmdline") ?: strdup("");
	c.config = read_kernel_config(&c);
	/* In the order in which they are read. */
	model_bool(o, "ready", false);
	c.host = model_table(o, "host");
	c.devices = model_table(o, "device");

	check_live_update(&c);
	check_kexec(&c);
	check_signature(&c);
	check_iommu(&c);
	check_iommufd(&c);
	check_vfio(&c);
	check_access(&c);
	check_view(&c);
	check_huge_pages(&c);
	check_watchdog(&c);
	check_pause(&c);
	check_way_back(&c);
	check_confirmed(&c);
	if (begin) {
		check_last_update(&c);
		check_agent(&c);
	}
	check_devices(&c);

	model_bool(o, "ready", !c.against);
	free(c.cmdline);
	free(c.config);
	return o;
}

struct json_object *check_host(const struct options *opt)
{
	return look(opt, false);
}

int cmd_check(const struct options *opt)
{
	struct json_object *o, *ready;
	int ret;

	if (opt->given[OPT_BUNDLE])
		return bundle(opt);
	o = look(opt, true);
	json_object_object_get_ex(o, "ready", &ready);
	ret = json_object_get_boolean(ready) ? EXIT_FINE : EXIT_NOT_READY;
	model_print(stdout, o, opt->json);
	json_object_put(o);
	return ret;
}
