// SPDX-License-Identifier: GPL-2.0-only
/*
 * Three units of AMD-Vi, of which two share the device table of their PCI segment, and two
 * devices behind each: all ways in which the old kernel hands them over and the next one
 * finds them. The core is a list of what was handed over; hardware is here.
 *
 * Hardware can have read an entry at any time since it was last told to forget it. So after
 * each store of the driver the entry as it is now, and as it was when hardware was last told,
 * is judged: what it lets through, and whether the device had been stopped by then.
 */
#include <stdarg.h>

#include "shim.h"

/* The driver's part, in one piece with the checks; its state is begun anew with each run. */
#include "liveupdate_init_stubs.h"
#include "liveupdate.c"
#undef pr_fmt
#include "liveupdate_check.c"
#include "liveupdate_init.h"

enum {
	DEVICES = 2 * UNITS, TABLE = 0x1000, LAST_BDF = 0x5f,
	/* An entry of a device that no unit translates for, and one behind all devices */
	NOBODYS = 0x50, BEHIND = 0x70,
	DID = 7, LEVELS = 3,
};

enum { RUNNING, STOPPED };
enum { OUT, IN, OVER };

struct hardware {
	u64 control, table;
	u64 rest[0x2028 / 8];
};

static struct hardware regs[UNITS];
struct amd_iommu amd_units[UNITS];
struct amd_iommu_pci_seg amd_segments[SEGMENTS];
static struct amd_iommu *rlookup[SEGMENTS][LAST_BDF + 1];
static u16 alias[SEGMENTS][LAST_BDF + 1];
static struct dev_table_entry *tables[8];	/* those of both kernels */
static bool is_kept_by_kho[8];
/* What KHO has kept at first: on the way back that is kept once more. */
static bool came[8];

/* Of each segment the same numbers, on purpose; the second one of a unit is a bystander. */
static const u16 devids[DEVICES] = { 0x10, 0x11, 0x20, 0x21, 0x10, 0x11 };
static struct model_dev {
	int state;
	bool preserved, found_on, gone, first_phase;
	struct dev_table_entry stale;
	u64 tables;
	u16 did;
} devices[DEVICES];

static struct iommu_hw_ser hw_ser[UNITS];
static struct iommu_domain_ser domain_ser[DEVICES];
static struct iommu_device_ser device_ser[DEVICES];
static bool handed_over[UNITS], adopted[UNITS], dropped[DEVICES];
static bool reserved[65536];
static int phase, kept;
static bool reported_all;
static char run_name[200];
static unsigned long runs, faults, carried;

bool amd_iommu_irq_remap = true, irq_remapping_enabled = true, amd_iommu_snp_en;
unsigned int amd_iommu_hpt_vasize = 48;
int amd_iommu_pgtable = PD_MODE_V1;
bool kexec_in_progress;
__typeof__(boot_cpu_data) boot_cpu_data = { 48 };

static void fault(const char *format, ...)
{
	va_list args;

	if (faults++)
		return;
	printf("%s: ", run_name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

void shim_bug(const char *what)
{
	fault("warning: %s", what);
}

void shim_log(const char *format, ...)
{
}

bool shim_fails(void)
{
	return false;
}

void *shim_zalloc(size_t size, bool nofail)
{
	return calloc(1, size);
}

static int unit_of(int d)
{
	return d / 2;
}

static int segment_of(int unit)
{
	return unit / 2;
}

/* --- hardware --- */

static struct dev_table_entry *hardware_table(int unit)
{
	return (void *)(unsigned long)(regs[unit].table & PM_ADDR_MASK);
}

enum { BLOCKED, TRANSLATES, OPEN };

static int lets(const struct dev_table_entry *dte)
{
	u64 word = dte->data[0];

	if ((word & 3) != 3 || word & DTE_GV)
		return OPEN;
	if (!(word & (DTE_IR | DTE_IW)))
		return BLOCKED;
	return word & DTE_MODE ? TRANSLATES : OPEN;
}

static void judge_entry(int d, const struct dev_table_entry *dte, const char *which)
{
	struct model_dev *dev = &devices[d];

	if (dev->state == STOPPED)
		return;
	switch (lets(dte)) {
	case OPEN:
		/* The old kernel may have had it so, until the scrub. */
		if (phase == IN)
			fault("device %d: the entry that is %s is open", d, which);
		break;
	case TRANSLATES:
		if ((dte->data[0] & DTE_ROOT) != dev->tables ||
		    (dte->data[1] & DTE_DID) != dev->did)
			fault("device %d: the entry that is %s leads elsewhere", d, which);
		break;
	case BLOCKED:
		if (phase == OUT ? dev->preserved : !dev->first_phase)
			fault("device %d: runs into a blocked entry (%s)", d, which);
	}
}

static void judge(int d)
{
	int unit = unit_of(d);

	if (!devices[d].found_on)
		return;
	if (!(regs[unit].control & BIT_ULL(CONTROL_IOMMU_EN))) {
		if (devices[d].state == RUNNING)
			fault("device %d: its unit was switched off", d);
		return;
	}
	judge_entry(d, &hardware_table(unit)[devids[d]], "there");
	judge_entry(d, &devices[d].stale, "cached");
}

static void judge_all(void)
{
	int d;

	for (d = 0; d < DEVICES; d++)
		judge(d);
}

void model_stored(const void *p)
{
	u32 devid = ((unsigned long)p & (TABLE - 1)) / sizeof(struct dev_table_entry);
	int d;

	for (d = 0; d < DEVICES; d++)
		if (devids[d] == devid)
			judge(d);
}

static int unit_at(const void *reg)
{
	return ((u8 *)reg - (u8 *)regs) / sizeof(struct hardware);
}

u64 readq(const void *reg)
{
	struct hardware *r = &regs[unit_at(reg)];

	switch ((u8 *)reg - (u8 *)r) {
	case MMIO_DEV_TABLE_OFFSET:
		return r->table;
	case MMIO_CONTROL_OFFSET:
		return r->control;
	}
	return 0;
}

void writeq(u64 value, void *reg)
{
	struct hardware *r = &regs[unit_at(reg)];

	switch ((u8 *)reg - (u8 *)r) {
	case MMIO_DEV_TABLE_OFFSET:
		r->table = value;
		break;
	case MMIO_CONTROL_OFFSET:
		r->control = value;
		break;
	}
	judge_all();
}

void *ioremap(phys_addr_t pa, size_t size)
{
	return phys_to_virt(pa);
}

static void forget(int unit)
{
	int d;

	for (d = 0; d < DEVICES; d++)
		if (unit_of(d) == unit)
			devices[d].stale = hardware_table(unit)[devids[d]];
}

void amd_iommu_flush_all_caches(struct amd_iommu *iommu)
{
	if (iommu->lock.held)
		fault("unit %d: waits for a lock that a stopped CPU has", iommu->index);
	forget(iommu - amd_units);
	judge_all();
}

/* --- what init.c has, see liveupdate_init_stubs.h --- */

static void iommu_set_device_table(struct amd_iommu *iommu)
{
	/* To another table that is as quiet: hardware has not forgotten the old one. */
	writeq(virt_to_phys(iommu->pci_seg->dev_table), iommu->mmio_base + MMIO_DEV_TABLE_OFFSET);
}

/* The event log comes later, in the driver; it is the same to those who look at it. */
static void iommu_enable_command_buffer(struct amd_iommu *iommu)
{
	writeq(readq(iommu->mmio_base + MMIO_CONTROL_OFFSET) | BIT_ULL(CONTROL_CMDBUF_EN) | BIT_ULL(CONTROL_EVT_LOG_EN),
	       iommu->mmio_base + MMIO_CONTROL_OFFSET);
}

static void early_enable_iommu(struct amd_iommu *iommu)
{
	iommu_set_device_table(iommu);
	amd_iommu_flush_all_caches(iommu);
	writeq(BIT_ULL(CONTROL_IOMMU_EN), iommu->mmio_base + MMIO_CONTROL_OFFSET);
}

/* --- KHO, PCI and the driver --- */

static int table_index(const void *table)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		if (tables[i] == table)
			return i;
	return -1;
}

bool is_kho_boot(void)
{
	return true;
}

bool kho_is_preserved(phys_addr_t pa, unsigned int order)
{
	int i = table_index(phys_to_virt(pa));

	return i >= 0 && is_kept_by_kho[i];
}

unsigned int get_order(size_t size)
{
	return 0;
}

void iommu_free_pages(void *p)
{
	if (kho_is_preserved(virt_to_phys(p), 0))
		fault("a table was freed that KHO keeps");
}

void *iommu_pages_restore(phys_addr_t pa, size_t size)
{
	int i = table_index(phys_to_virt(pa));

	if (i < 0 || !is_kept_by_kho[i])
		fault("a table was restored that is not kept");
	else
		is_kept_by_kho[i] = false;
	return phys_to_virt(pa);
}

int iommu_liveupdate_keep(void *table)
{
	kept++;
	return 0;
}

void iommu_liveupdate_unkeep(void *table)
{
	kept--;
}

int amd_iommu_pdom_id_reserve(u16 id, gfp_t gfp)
{
	if (reserved[id])
		fault("domain id %u was reserved twice", id);
	reserved[id] = true;
	return id;
}

void amd_iommu_pdom_id_free(int id)
{
	if (!reserved[id])
		fault("domain id %d was freed, and was free", id);
	reserved[id] = false;
}

int ida_alloc_range(struct ida *ida, unsigned int min, unsigned int max, gfp_t gfp)
{
	ida->used[min] = true;
	return min;
}

/* What firmware wants to pass, of one device: LINT1 and INIT, and messages to the system */
static struct dev_table_entry passing = { { 0, 1ull << 40, 1ull << 63 | 1ull << 56 } };

struct dev_table_entry *amd_iommu_get_ivhd_dte_flags(u16 segment, u16 devid)
{
	return segment == 0 && devid == devids[3] ? &passing : NULL;
}

static u64 passes_by(int d, int word)
{
	return d == 3 ? passing.data[word] : 0;
}

unsigned int model_segment(struct pci_dev *pdev)
{
	return 0;
}

/* What no run comes by */
struct iommu_domain *amd_liveupdate_restore(phys_addr_t top, unsigned int level, unsigned int bits, u16 did) { abort(); }
void liveupdate_show_word(struct liveupdate_view *v, const char *key, const char *word) { abort(); }
void liveupdate_show_pa(struct liveupdate_view *v, const char *key, u64 pa) { abort(); }
int iommu_liveupdate_register(const struct iommu_liveupdate_ops *ops) { return 0; }

/* --- the core, as far as it is asked --- */

static const struct iommu_ser_view view = { NULL, NULL, hw_ser, domain_ser, device_ser };

bool iommu_liveupdate_shutdown(struct iommu_device *iommu)
{
	return false;
}

const struct iommu_device_ser *
iommu_liveupdate_device_outgoing(struct iommu_device *iommu, u32 segment, u16 bdf)
{
	int d;

	for (d = 0; d < DEVICES; d++)
		if (devices[d].preserved && segment_of(unit_of(d)) == segment && devids[d] == bdf &&
		    &amd_units[unit_of(d)].iommu == iommu && !dropped[d])
			return &device_ser[d];
	return NULL;
}

const struct iommu_device_ser *
iommu_liveupdate_next_incoming(const struct iommu_hw_ser *hw, const struct iommu_device_ser *prev)
{
	int d;

	for (d = prev ? prev - device_ser + 1 : 0; d < DEVICES; d++)
		if (devices[d].preserved && !dropped[d] && &hw_ser[device_ser[d].iommu] == hw)
			return &device_ser[d];
	return NULL;
}

bool iommu_liveupdate_may_go_on(const struct iommu_device_ser *ser)
{
	return !devices[ser - device_ser].gone;
}

void iommu_liveupdate_drop_incoming(const struct iommu_device_ser *ser, const char *why)
{
	dropped[ser - device_ser] = true;
	devices[ser - device_ser].state = STOPPED;
}

void iommu_liveupdate_stop_stranger(u32 segment, u16 bdf)
{
	int d;

	for (d = 0; d < DEVICES; d++)
		if (devids[d] == bdf && segment_of(unit_of(d)) == segment)
			devices[d].state = STOPPED;
}

/* The core asks is_behind() of the driver, which asks this boot's IVRS table. */
static void stop_unit(int unit)
{
	int d;

	for (d = 0; d < DEVICES; d++)
		if (rlookup[segment_of(unit_of(d))][devids[d]] == &amd_units[unit])
			devices[d].state = STOPPED;
}

bool iommu_liveupdate_adopt(struct iommu_device *iommu, const struct iommu_liveupdate_ops *ops)
{
	int unit = to_amd_iommu(iommu) - amd_units;

	if (!handed_over[unit] || ops->compare_iommu(iommu, &hw_ser[unit]) ||
	    ops->policy(iommu, &hw_ser[unit])) {
		stop_unit(unit);
		return false;
	}
	adopted[unit] = !ops->adopt_iommu(iommu, &hw_ser[unit], &view);
	return adopted[unit];
}

void iommu_liveupdate_unadopt(struct iommu_device *iommu, const struct iommu_liveupdate_ops *ops)
{
	int unit = to_amd_iommu(iommu) - amd_units;

	if (!adopted[unit])
		return;
	stop_unit(unit);
	ops->unadopt_iommu(iommu, &hw_ser[unit]);
	adopted[unit] = false;
}

/* What came in goes out again; see the core. */
bool iommu_liveupdate_back_scrub(struct iommu_device *iommu, const struct iommu_liveupdate_ops *ops)
{
	if (!adopted[to_amd_iommu(iommu) - amd_units])
		return false;
	ops->scrub_iommu(iommu);
	return true;
}

void pci_liveupdate_back_stop(u16 segment, u16 bdf)
{
	iommu_liveupdate_stop_stranger(segment, bdf);
}

void pci_liveupdate_refuse_all(const char *why)
{
	int unit;

	reported_all = true;
	for (unit = 0; unit < UNITS; unit++)
		stop_unit(unit);
}

/* --- what is refused at preserve --- */

static const char *broken;

int liveupdate_require(bool ok, const struct liveupdate_rule *rule, const char *object, ...)
{
	if (!ok)
		broken = rule->name;
	return ok ? 0 : rule->err;
}

static struct iommu_dev_data dev_data;
static struct protection_domain its_domain, another_domain;
static unsigned int more_ids;

struct iommu_dev_data *dev_iommu_priv_get(struct device *dev)
{
	return &dev_data;
}

struct amd_iommu *get_amd_iommu_from_dev(struct device *dev)
{
	return &amd_units[0];
}

int model_each_alias(struct pci_dev *pdev, int (*fn)(struct pci_dev *, u16, void *), void *data)
{
	unsigned int i;

	for (i = 0; i <= more_ids; i++)
		fn(pdev, pdev->bdf + i, data);
	return 0;
}

/* By an IVRS table, or a state, that each rule of the driver is there for */
static void refuse(void)
{
	static const char *const rules[] = {
		NULL, "amd_alias", "amd_alias", "amd_shared_id", "amd_firmware", "amd_detached", "amd_guest",
		"amd_guest", "amd_ats",
	};
	struct pci_dev pdev = { .dev.name = "device" };
	struct iommu_device_ser ser;
	int i, d, ret;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		/* Firmware wants messages of this one to pass. */
		pdev.bdf = devids[i == 4 ? 3 : 0];
		ser = (struct iommu_device_ser) { .bdf = pdev.bdf };
		dev_data = (struct iommu_dev_data) { .domain = &its_domain, .devid = pdev.bdf };
		more_ids = i == 1;
		for (d = 0; d <= LAST_BDF; d++)
			alias[0][d] = d;
		if (i == 2)
			alias[0][pdev.bdf] = 0x18;
		if (i == 3)
			alias[0][0x18] = pdev.bdf;
		if (i == 5)
			dev_data.domain = &another_domain;
		if (i == 6)
			dev_data.gcr3_info.gcr3_tbl = &its_domain;
		dev_data.ppr = i == 7;
		dev_data.ats_enabled = i == 8;
		broken = NULL;
		ret = amd_preserve_device(&pdev.dev, &its_domain.domain, &ser);
		if (!!ret != !!rules[i] || (rules[i] && strcmp(rules[i], broken ?: "")))
			fault("%d: %s in place of %s", ret, broken ?: "nothing", rules[i] ?: "nothing");
	}
}

/* --- one run --- */

/* What a run is made of: each combination is one. */
struct plan {
	int preserved;		/* of the first devices of the units */
	int kept;		/* segments whose table KHO keeps */
	int own;		/* unit 1: 0 the table of its segment; one of its own: 1 kept, 2 not */
	int on;			/* units that are found on */
	int handed_over;	/* units that the core knows */
	int damage;
	int end;
};

enum { NONE, OTHER_DID, OTHER_TABLES, STRANGER, STRAY, ENTRY_BEHIND, OWNER, GONE, ENTRY_OPEN, OTHER_SEGMENT, DAMAGES };
enum { COMES_UP, FAILS_LATE, FAILS_EARLY, UNUSED, GOES_BACK, GOES_BACK_EARLY, ENDS };

static void map_device(struct dev_table_entry *table, int d)
{
	struct dev_table_entry *dte = &table[devids[d]];

	dte->data[0] = DTE_V | DTE_TV | DTE_IR | DTE_IW | LEVELS << 9 | devices[d].tables;
	dte->data[1] = devices[d].did;
	dte->data[2] = 1ull << 60 | 1;		/* interrupts go through a table of that kernel */
}

static void begin(const struct plan *p)
{
	int i, d;

	memset(devices, 0, sizeof(devices));
	memset(regs, 0, sizeof(regs));
	memset(dropped, 0, sizeof(dropped));
	memset(adopted, 0, sizeof(adopted));
	memset(reserved, 0, sizeof(reserved));
	memset(rlookup, 0, sizeof(rlookup));
	memset(is_kept_by_kho, 0, sizeof(is_kept_by_kho));
	memset(&adopted_dids, 0, sizeof(adopted_dids));
	ready = settled = reported_all = false;
	kept = 0;
	for (i = 0; i < ARRAY_SIZE(tables); i++)
		memset(tables[i], 0, TABLE);
	for (i = 0; i < SEGMENTS; i++)
		amd_segments[i] = (struct amd_iommu_pci_seg) {
			i, LAST_BDF, TABLE, tables[i], NULL, rlookup[i], alias[i],
		};
	for (i = 0; i < UNITS; i++) {
		amd_units[i] = (struct amd_iommu) {
			.pci_seg = &amd_segments[segment_of(i)], .mmio_base = (u8 *)&regs[i],
			.mmio_phys = virt_to_phys(&regs[i]), .index = i,
		};
		handed_over[i] = p->handed_over >> i & 1;
	}
	for (d = 0; d < DEVICES; d++) {
		struct model_dev *dev = &devices[d];
		int unit = unit_of(d);

		dev->tables = 0x100000 * (d + 1);
		/* Two devices of one domain, behind different units */
		dev->did = d == 2 ? DID : DID + d;
		if (d == 2)
			dev->tables = devices[0].tables;
		dev->preserved = !(d & 1) && p->preserved >> unit & 1;
		rlookup[segment_of(unit)][devids[d]] = &amd_units[unit];
	}
}

static void describe(void)
{
	int i, d;

	for (i = 0; i < UNITS; i++) {
		struct amd_hw_ser *part = (void *)hw_ser[i].part;

		amd_preserve_iommu(&amd_units[i].iommu, &hw_ser[i]);
		if (part->table_pa != virt_to_phys(tables[segment_of(i)]) || part->table_size != TABLE)
			fault("unit %d names another table", i);
	}
	if (kept != UNITS)
		fault("the tables were kept %d times", kept);
	for (d = 0; d < DEVICES; d++) {
		domain_ser[d] = (struct iommu_domain_ser) { .top_pa = devices[d].tables, .top_level = LEVELS - 1, .vasz_lg2 = 48 };
		((struct amd_domain_ser *)domain_ser[d].part)->did = devices[d].did;
		device_ser[d] = (struct iommu_device_ser) {
			.segment = segment_of(unit_of(d)), .bdf = devids[d], .domain = d == 2 ? 0 : d, .iommu = unit_of(d),
		};
	}
}

/* The old kernel: all devices run, those that are not preserved until the scrub. */
static void old_kernel(void)
{
	struct dev_table_entry *dte;
	int i, d;

	phase = OUT;
	for (i = 0; i < UNITS; i++) {
		regs[i].table = virt_to_phys(tables[segment_of(i)]);
		regs[i].control = BIT_ULL(CONTROL_IOMMU_EN) | BIT_ULL(CONTROL_EVT_LOG_EN) | BIT_ULL(CONTROL_CMDBUF_EN);
	}
	for (d = 0; d < DEVICES; d++) {
		map_device(tables[segment_of(unit_of(d))], d);
		devices[d].found_on = true;
	}
	for (i = 0; i < UNITS; i++)
		forget(i);
	describe();
	for (i = 0; i < UNITS; i++)
		amd_scrub_iommu(&amd_units[i].iommu);
	for (d = 0; d < DEVICES; d++) {
		dte = &hardware_table(unit_of(d))[devids[d]];
		if (memcmp(dte, &devices[d].stale, sizeof(*dte)))
			fault("device %d: hardware was not told of its entry", d);
		if (!devices[d].preserved && dte->data[1] != passes_by(d, 1))
			fault("device %d: after the shutdown, messages of it pass: %llx", d, dte->data[1]);
		if (lets(dte) != (devices[d].preserved ? TRANSLATES : BLOCKED))
			fault("device %d: after the shutdown its entry is %d", d, lets(dte));
		if (dte->data[2] != (DTE_IRQ_REMAP_ENABLE | passes_by(d, 2)))
			fault("device %d: after the shutdown it can raise interrupts", d);
		/* What is blocked does not run. */
		if (!devices[d].preserved)
			devices[d].state = STOPPED;
	}
	for (i = 0; i < UNITS; i++)
		if (regs[i].control != BIT_ULL(CONTROL_IOMMU_EN))
			fault("unit %d: after the shutdown its control register is %llx", i, regs[i].control);
}

static void damage(const struct plan *p)
{
	struct dev_table_entry *shared = tables[0], *dte = &shared[devids[2]];

	switch (p->damage) {
	case OTHER_DID:
		dte->data[1] += 100;
		devices[2].did += 100;
		break;
	case OTHER_TABLES:
		dte->data[0] += 0x10000000;
		devices[2].tables += 0x10000000;
		break;
	case STRANGER:
		map_device(shared, 3);
		devices[3].state = RUNNING;
		break;
	case STRAY:
		shared[NOBODYS] = shared[devids[0]];
		shared[NOBODYS].data[0] |= DTE_V | DTE_TV | DTE_IR | DTE_IW | LEVELS << 9;
		break;
	case ENTRY_BEHIND:
		shared[BEHIND].data[0] = DTE_V | DTE_TV | DTE_IR | DTE_IW | LEVELS << 9 | devices[0].tables;
		break;
	case OWNER:
		/* The IVRS table of this boot says another unit. */
		rlookup[0][devids[2]] = &amd_units[0];
		break;
	case GONE:
		devices[2].gone = true;
		break;
	case OTHER_SEGMENT:
		/* In which there is a device of the same number. */
		device_ser[4].segment = 0;
		break;
	case ENTRY_OPEN:
		/* Of a bystander, which is not running. */
		shared[devids[1]].data[0] = 0;
		break;
	}
}

/* A domain that two devices have is one, and so are its tables. */
static bool is_expected(const struct plan *p, int d)
{
	int unit = unit_of(d), segment = segment_of(unit);
	/* The table that the segment goes on with: of its first unit that was on and has one that was kept. */
	int first;

	if (!devices[d].preserved || !(p->on >> unit & 1) || !(p->handed_over >> unit & 1))
		return false;
	if (p->damage && p->damage < STRANGER && d == 2)
		return false;
	if ((p->damage == OWNER || p->damage == GONE) && d == 2)
		return false;
	if (p->damage == OTHER_SEGMENT && d == 4)
		return false;
	for (first = 2 * segment; first < UNITS && segment_of(first) == segment; first++) {
		if (!(p->on >> first & 1))
			continue;
		if (first == 1 && p->own) {
			/* A copy of the shared table */
			if (p->own == 1)
				break;
			continue;
		}
		if (p->kept >> segment & 1)
			break;
	}
	if (first == UNITS || segment_of(first) != segment)
		return false;
	/* The handover names the table of the segment. */
	return !(first == 1 && p->own);
}

static void next_kernel(const struct plan *p)
{
	bool on[UNITS];
	int i, d;

	/* The handover is what the old kernel wrote. */
	phase = IN;
	is_kept_by_kho[0] = p->kept & 1;
	is_kept_by_kho[1] = p->kept >> 1 & 1;
	if (p->own) {
		memcpy(tables[2], tables[0], TABLE);
		regs[1].table = virt_to_phys(tables[2]);
		is_kept_by_kho[2] = p->own == 1;
	}
	for (i = 0; i < SEGMENTS; i++)
		amd_segments[i].dev_table = tables[4 + i];
	for (i = 0; i < UNITS; i++) {
		on[i] = p->on >> i & 1;
		amd_units[i].flags = on[i] ? AMD_IOMMU_FLAG_TRANS_PRE_ENABLED : 0;
		if (!on[i])
			regs[i].control = 0;
		forget(i);
	}
	for (d = 0; d < DEVICES; d++) {
		devices[d].found_on = on[unit_of(d)];
		/* Until the second phase nobody can be stopped. */
		devices[d].first_phase = true;
	}
	memcpy(came, is_kept_by_kho, sizeof(came));
	if (p->end == UNUSED)
		return;

	if (!amd_liveupdate_enable())
		for (i = 0; i < UNITS; i++)
			early_enable_iommu(&amd_units[i]);
	for (d = 0; d < DEVICES; d++) {
		if (!on[unit_of(d)])
			continue;
		/* A device whose table is gone cannot run, and was not stopped. */
		devices[d].first_phase = lets(&hardware_table(unit_of(d))[devids[d]]) == BLOCKED;
		if (hardware_table(unit_of(d))[devids[d]].data[2] != (DTE_IRQ_REMAP_ENABLE | passes_by(d, 2)))
			fault("device %d: in the first phase its interrupts are not aborted", d);
	}
	for (i = 0; i < UNITS; i++)
		if (hardware_table(i) != amd_segments[segment_of(i)].dev_table)
			fault("unit %d uses another table than its segment", i);
	if (p->end == FAILS_EARLY) {
		amd_liveupdate_failed();
		return;
	}
	if (p->end == GOES_BACK_EARLY)
		return;

	ready = true;
	amd_liveupdate_adopt();
}

static void at_the_end(const struct plan *p)
{
	int i, d;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		if (p->end == COMES_UP && is_kept_by_kho[i] && tables[i] == amd_segments[i & 1].dev_table)
			fault("the table of segment %d belongs to KHO for ever", i & 1);
	for (d = 0; d < DEVICES; d++) {
		struct dev_table_entry *dte = &hardware_table(unit_of(d))[devids[d]];
		bool runs = lets(dte) == TRANSLATES;

		if (!devices[d].found_on)
			continue;
		if (memcmp(dte, &devices[d].stale, sizeof(*dte)))
			fault("device %d: hardware was not told of its entry", d);
		if (runs != is_expected(p, d))
			fault("device %d: %s", d, runs ? "goes on" : "does not go on");
		if (runs && !reserved[devices[d].did])
			fault("device %d: its domain id is free", d);
		carried += runs;
	}
	for (i = 0; i < UNITS; i++)
		if (p->on >> i & 1 && lets(&hardware_table(i)[NOBODYS]) != BLOCKED)
			fault("unit %d: the entry of no device is not blocked", i);
	for (i = 0; i < UNITS; i++)
		if (p->on >> i & 1 && lets(&hardware_table(i)[BEHIND]) != BLOCKED)
			fault("unit %d: an entry behind the last device is not blocked", i);
}

/* What the second kernel gives devices of units that it did not adopt: translations of its own */
static void run_second_kernel(void)
{
	int d;

	for (d = 0; d < DEVICES; d++)
		if (!adopted[unit_of(d)] && rlookup[segment_of(unit_of(d))][devids[d]] == &amd_units[unit_of(d)])
			map_device(amd_segments[segment_of(unit_of(d))].dev_table, d);
}

static bool is_kept_table(const void *table)
{
	int i = table_index(table);

	return i >= 0 && came[i];
}

/* A CPU had a lock when it was stopped. PCI devices that were not handed over are stopped. */
static void go_back(const struct plan *p)
{
	int i, d;

	if (p->end == GOES_BACK)
		run_second_kernel();
	for (d = 0; d < DEVICES; d++)
		if (!devices[d].preserved)
			devices[d].state = STOPPED;
	for (i = 0; i < UNITS; i++)
		amd_units[i].lock.held = true;
	amd_back_iommus();
	for (i = 0; i < UNITS; i++) {
		if (regs[i].control & ~BIT_ULL(CONTROL_IOMMU_EN))
			fault("unit %d: goes back with buffers of this kernel's (%llx)", i, regs[i].control);
		if (regs[i].control && !is_kept_table(hardware_table(i)))
			fault("unit %d: goes back with a table that nobody keeps", i);
		if (!regs[i].control && is_kept_table(hardware_table(i)))
			fault("unit %d: was switched off on the way back, and its table is kept", i);
	}
	for (d = 0; d < DEVICES; d++) {
		struct dev_table_entry *dte = &hardware_table(unit_of(d))[devids[d]];

		if (!regs[unit_of(d)].control)
			continue;
		if (memcmp(dte, &devices[d].stale, sizeof(*dte)))
			fault("device %d: hardware was not told of its entry on the way back", d);
		if (p->end == GOES_BACK && (lets(dte) == TRANSLATES) != is_expected(p, d))
			fault("device %d: %s on the way back", d, lets(dte) == TRANSLATES ? "goes on" : "does not go on");
		if (dte->data[2] != (DTE_IRQ_REMAP_ENABLE | passes_by(d, 2)))
			fault("device %d: can raise interrupts on the way back", d);
	}
}

/* --- the IVRS table of a kernel that does not use its units --- */

static struct acpi_table_header *ivrs;

int acpi_get_table(const char *signature, int n, struct acpi_table_header **table)
{
	*table = ivrs;
	return !ivrs;
}

static u8 *put_block(u8 *at, u8 type, u16 length, int unit)
{
	u64 pa = unit < UNITS ? virt_to_phys(&regs[unit]) : 0;

	memset(at, 0xa5, length);
	at[0] = type;
	memcpy(at + 2, &length, sizeof(length));
	if (length >= 16)
		memcpy(at + 8, &pa, sizeof(pa));
	return at + length;
}

/*
 * Units have one to three blocks of different types; others are in between. cut: so many bytes
 * are missing at the end, so that the last block is not whole.
 */
static void make_ivrs(int cut, int last_length)
{
	static u8 room[512];
	u8 *at = room + IVRS_HEADER;
	u16 length;
	u32 size;

	memset(room, 0, sizeof(room));
	at = put_block(at, 0x10, 28, 0);
	at = put_block(at, 0x20, 32, UNITS);		/* IVMD: no unit */
	at = put_block(at, 0x11, 40, 0);
	at = put_block(at, 0x40, 60, 1);
	at = put_block(at, 0x10, 24, 2);
	at = put_block(at, 0x11, 44, 2);
	if (last_length >= 0) {
		length = last_length;
		put_block(at, 0x10, 32, 0);
		memcpy(at + 2, &length, sizeof(length));
		at += 32;
	}
	size = at - room - cut;
	free(ivrs);
	/* Just as long, so that what is read behind it is noticed. */
	ivrs = malloc(size);
	memcpy(ivrs, room, size);
	ivrs->length = size;
}

static void leave_unused(const struct plan *p)
{
	int i;

	amd_liveupdate_unused();
	/* A driver that fails early has switched all of them on. */
	if (reported_all != (p->on || p->end == FAILS_EARLY))
		fault("with the units %x on, the devices were%s stopped", p->on, reported_all ? "" : " not");
	for (i = 0; i < UNITS; i++)
		if (regs[i].control & BIT_ULL(CONTROL_IOMMU_EN))
			fault("unit %d stays on", i);
}

static void go(const struct plan *p)
{
	int i;

	snprintf(run_name, sizeof(run_name), "preserved %x kept %x own %d on %x handed over %x damage %d end %d",
		 p->preserved, p->kept, p->own, p->on, p->handed_over, p->damage, p->end);
	runs++;
	begin(p);
	old_kernel();
	damage(p);
	next_kernel(p);
	switch (p->end) {
	case COMES_UP:
		at_the_end(p);
		break;
	case FAILS_LATE:
		amd_liveupdate_failed();
		for (i = 0; i < DEVICES; i++)
			if (devices[i].found_on && lets(&hardware_table(unit_of(i))[devids[i]]) != BLOCKED)
				fault("device %d: not blocked, and the driver has given up", i);
		break;
	case FAILS_EARLY:
		/* Nothing can be stopped yet: what is done about it comes later. */
		leave_unused(p);
		break;
	case UNUSED:
		leave_unused(p);
		break;
	case GOES_BACK:
	case GOES_BACK_EARLY:
		go_back(p);
		break;
	}
	for (i = 0; i < DEVICES; i++)
		amd_unpreserve_iommu(NULL, &hw_ser[i / 2]);
	phase = OVER;
}

int main(void)
{
	struct plan p;
	int i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		tables[i] = aligned_alloc(TABLE, TABLE);
	make_ivrs(0, -1);
	for (p.preserved = 7; p.preserved >= 0; p.preserved -= p.preserved == 5 ? 3 : 2)
	for (p.kept = 0; p.kept < 4; p.kept++)
	for (p.own = 0; p.own < 3; p.own++)
	for (p.on = 0; p.on < 8; p.on++)
	for (p.handed_over = 0; p.handed_over < 8; p.handed_over++)
	for (p.damage = 0; p.damage < DAMAGES; p.damage++)
	for (p.end = 0; p.end < ENDS; p.end++)
		go(&p);

	/* What is left of a table is read, and nothing beyond its end; the units that it names are off. */
	p = (struct plan) { .preserved = 7, .kept = 3, .on = 7, .handed_over = 7, .end = UNUSED };
	for (i = 0; i < 32; i++) {
		make_ivrs(i, 32);
		go(&p);
	}
	for (i = 0; i < 80; i++) {
		make_ivrs(0, i);
		go(&p);
	}
	snprintf(run_name, sizeof(run_name), "preserve");
	refuse();
	printf("%lu ways, %lu devices went on, %lu faults\n", runs, carried, faults);
	return !!faults;
}
