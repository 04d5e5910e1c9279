// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver without hardware for the core of IOMMU live update, and a model of two
 * kernels that goes through all orders in which its units can come up, fail and be
 * given up, and its devices be probed, retrieved, moved and removed.
 *
 * After each step it looks at all devices: one that can do DMA has to reach the
 * tables that are its own, and these must not have been freed. At the end no restored
 * domain is left over, and no page is, unless something was refused.
 */
#include <stdarg.h>

#include "model.h"

/* The core itself; its state is begun anew with each run. */
#include "../../kernel/src/drivers/iommu/liveupdate.c"

enum { TYPE_MODEL = 0x7f01 };

struct part_iommu {
	u64 table_pa;
};

struct part_device {
	u32 entry;
};

static char story[512];		/* what was done in this run */
static unsigned int faults;
static unsigned long runs;

void model_fault(const char *format, ...)
{
	va_list args;

	if (!faults++) {
		printf("after%s: ", story);
		va_start(args, format);
		vprintf(format, args);
		va_end(args);
		printf("\n");
	}
}

static void tell(const char *what, int n)
{
	size_t at = strlen(story);

	snprintf(story + at, sizeof(story) - at, " %s", what);
	at = strlen(story);
	if (n >= 0)
		snprintf(story + at, sizeof(story) - at, "-%d", n);
	shim_log("%s %d\n", what, n);
}

/* ---- the driver ---- */

static struct model_unit *to_unit(struct iommu_device *iommu)
{
	return container_of(iommu, struct model_unit, iommu);
}

static struct model_domain *to_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct model_domain, domain);
}

static struct model_device *to_device(struct device *dev)
{
	return container_of(dev, struct model_device, pci.dev);
}

static unsigned int device_nr(struct device *dev)
{
	return to_device(dev) - model.devices;
}

/* The first device is behind the first unit, the others are behind the second. */
static struct model_unit *unit_of(unsigned int device)
{
	return &model.units[!!device];
}

static const struct part_iommu *iommu_part(const struct iommu_hw_ser *hw)
{
	return (const struct part_iommu *)hw->part;
}

static const char *check_iommu(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_hw_ser *hw = &view->iommus[i];
	u64 pa = iommu_part(hw)->table_pa;

	if (hw->length != sizeof(struct part_iommu))
		return "another length";
	if (!view->mem->get(view->mem, pa, 0) ||
	    !view->mem->claim(view->mem, pa))
		return "the table was not preserved";
	return NULL;
}

static const char *check_domain(const struct iommu_ser_view *view, u32 i)
{
	u64 pa = view->domains[i].top_pa;

	if (!view->mem->get(view->mem, pa, 0) ||
	    !view->mem->claim(view->mem, pa))
		return "the topmost table was not preserved";
	return NULL;
}

static const char *check_device(const struct iommu_ser_view *view, u32 i)
{
	const struct iommu_device_ser *d = &view->devices[i];

	return ((const struct part_device *)d->part)->entry < ENTRIES ? NULL :
		"there is no such entry";
}

static const struct iommu_ser_driver checks = {
	.type = TYPE_MODEL,
	.check_iommu = check_iommu,
	.check_domain = check_domain,
	.check_device = check_device,
};

static void identify(struct iommu_device *iommu,
		     struct iommu_liveupdate_unit *unit)
{
	unit->id = 0xfed00000 + (to_unit(iommu) - model.units);
	unit->name = to_unit(iommu) == model.units ? "unit 0" : "unit 1";
}

static int model_preserve_iommu(struct iommu_device *iommu,
				struct iommu_hw_ser *ser)
{
	struct part_iommu *part = (struct part_iommu *)ser->part;

	ser->length = sizeof(*part);
	part->table_pa = virt_to_phys(to_unit(iommu)->table);
	return iommu_liveupdate_keep(to_unit(iommu)->table);
}

static void model_unpreserve_iommu(struct iommu_device *iommu,
				   const struct iommu_hw_ser *ser)
{
	(void)ser;
	iommu_liveupdate_unkeep(to_unit(iommu)->table);
}

static int interrupts;

static int preserve_interrupts(struct iommu_device *iommu)
{
	(void)iommu;
	if (shim_fails())
		return -ENOMEM;
	interrupts++;
	return 0;
}

static void unpreserve_interrupts(struct iommu_device *iommu)
{
	(void)iommu;
	interrupts--;
}

static int preserve_domain(struct iommu_domain *domain,
			   struct iommu_domain_ser *ser)
{
	ser->top_pa = virt_to_phys(to_domain(domain)->top);
	ser->top_level = 3;
	ser->vasz_lg2 = 48;
	return kho_preserve_folio(virt_to_folio(to_domain(domain)->top));
}

static void unpreserve_domain(struct iommu_domain *domain,
			      const struct iommu_domain_ser *ser)
{
	(void)ser;
	kho_unpreserve_folio(virt_to_folio(to_domain(domain)->top));
}

static int can_replace(struct device *dev)
{
	(void)dev;
	return 0;
}

static int preserve_device(struct device *dev, struct iommu_domain *domain,
			   struct iommu_device_ser *ser)
{
	struct part_device *part = (struct part_device *)ser->part;

	(void)domain;
	if (shim_fails())
		return -ENOMEM;
	ser->length = sizeof(*part);
	part->entry = device_nr(dev);
	return 0;
}

static void unpreserve_device(struct device *dev,
			      const struct iommu_device_ser *ser)
{
	(void)dev, (void)ser;
}

static const char *compare(struct model_unit *unit, unsigned int entry,
			   const struct iommu_ser_view *view,
			   const struct iommu_device_ser *ser)
{
	return unit->table[entry] == view->domains[ser->domain].top_pa ? NULL :
	       "its entry says something else";
}

static const char *compare_device(struct device *dev,
				  const struct iommu_ser_view *view,
				  const struct iommu_device_ser *ser)
{
	return compare(unit_of(device_nr(dev)), device_nr(dev), view, ser);
}

static void scrub_iommu(struct iommu_device *iommu)
{
	unsigned int i;

	for (i = 0; i < NR_DEVICES; i++)
		if (unit_of(i) == to_unit(iommu) &&
		    !iommu_liveupdate_device_outgoing(iommu, 0, model.devices[i].pci.bdf))
			to_unit(iommu)->table[i] = 0;
}

static void block_interrupts(struct iommu_device *iommu)
{
	to_unit(iommu)->silent = true;
}

static const char *compare_iommu(struct iommu_device *iommu,
				 const struct iommu_hw_ser *hw)
{
	if (virt_to_phys(to_unit(iommu)->table) != iommu_part(hw)->table_pa)
		return "it has another table";
	return to_unit(iommu)->fails == FAILS_COMPARE ? "compare" : NULL;
}

static const char *policy(struct iommu_device *iommu,
			  const struct iommu_hw_ser *hw)
{
	(void)hw;
	return to_unit(iommu)->fails == FAILS_POLICY ? "policy" : NULL;
}

/* Where the table below a topmost one would be; there is none, only the claim. */
#define BELOW		(1ull << 40)

static const char *check_all(struct iommu_device *iommu,
			     const struct iommu_ser_view *view,
			     const struct iommu_domain_ser *domain)
{
	struct model_unit *unit = to_unit(iommu);

	unit->walks++;
	if (!view->mem->get(view->mem, domain->top_pa, 0))
		return "the topmost table was not preserved";
	if (!view->mem->claim(view->mem, domain->top_pa + BELOW))
		return "a table is in two places";
	return unit->cannot_walk ? "the unit cannot read such a table" : NULL;
}

static const char *model_adopt_iommu(struct iommu_device *iommu,
				     const struct iommu_hw_ser *hw,
				     const struct iommu_ser_view *view)
{
	struct model_unit *unit = to_unit(iommu);
	const struct iommu_device_ser *ser = NULL;
	bool known[ENTRIES] = {};
	unsigned int i;

	if (unit->fails == FAILS_ADOPT)
		return "out of memory";
	if (!iommu_pages_restore(iommu_part(hw)->table_pa, PAGE_SIZE))
		return "the table was not preserved";
	while ((ser = iommu_liveupdate_next_incoming(hw, ser))) {
		i = ((const struct part_device *)ser->part)->entry;
		if (iommu_liveupdate_may_go_on(ser) &&
		    !compare(unit, i, view, ser))
			known[i] = true;
		else
			iommu_liveupdate_drop_incoming(ser, "it is not there");
	}
	for (i = 0; i < NR_DEVICES; i++) {
		model.devices[i].adopted += known[i];
		if (!unit->table[i] || known[i])
			continue;
		iommu_liveupdate_stop_stranger(0, model.devices[i].pci.bdf);
		unit->table[i] = 0;
	}
	return NULL;
}

static void unadopt_iommu(struct iommu_device *iommu,
			  const struct iommu_hw_ser *hw)
{
	(void)hw;
	memset(to_unit(iommu)->table, 0, ENTRIES * sizeof(u64));
}

static void forget_device(const struct iommu_device_ser *ser)
{
	model.devices[((const struct part_device *)ser->part)->entry].forgotten++;
}

static bool is_behind(struct iommu_device *iommu, struct device *dev)
{
	return unit_of(device_nr(dev)) == to_unit(iommu);
}

static int restored_attach(struct iommu_domain *domain, struct device *dev,
			   struct iommu_domain *old)
{
	if (to_device(dev)->attach_fails)
		return -ENOMEM;
	if (old || unit_of(device_nr(dev))->table[device_nr(dev)] !=
		   virt_to_phys(to_domain(domain)->top))
		model_fault("a restored domain is attached to something else");
	return 0;
}

static void domain_free(struct iommu_domain *domain)
{
	struct model_domain *d = to_domain(domain);
	unsigned int i;

	for (i = 0; i < NR_DEVICES; i++)
		if (unit_of(i)->on && unit_of(i)->table[i] == virt_to_phys(d->top))
			model_fault("tables are freed that device %u reaches", i);
	page_free(d->top);
	free(d);
}

/* Those that there are; what is kept until the next reboot is freed with the run. */
static struct model_domain *restored[NR_DOMAINS];

static void restored_domain_free(struct iommu_domain *domain)
{
	for (unsigned int i = 0; i < NR_DOMAINS; i++)
		if (restored[i] == to_domain(domain))
			restored[i] = NULL;
	model.restored--;
	domain_free(domain);
}

static void restored_forget(void)
{
	for (unsigned int i = 0; i < NR_DOMAINS; i++) {
		if (restored[i])
			free(restored[i]->domain.restored);
		free(restored[i]);
		restored[i] = NULL;
	}
}

static const struct iommu_domain_ops restored_ops = {
	.attach_dev = restored_attach,
	.free = restored_domain_free,
};

static struct iommu_domain *restore_domain(struct iommu_device *iommu,
					   const struct iommu_domain_ser *ser)
{
	struct model_domain *d;

	if (!iommu)
		model_fault("a domain is restored without a unit");
	d = shim_zalloc(sizeof(*d), false);
	if (!d)
		return ERR_PTR(-ENOMEM);
	d->top = iommu_pages_restore(ser->top_pa, PAGE_SIZE);
	if (!d->top) {
		free(d);
		return ERR_PTR(-EINVAL);
	}
	d->domain.ops = &restored_ops;
	restored[!!restored[0]] = d;
	model.restored++;
	return &d->domain;
}

static void refuse_device(struct device *dev)
{
	if (to_device(dev)->pci.master)
		model_fault("device %u runs into an entry that is gone", device_nr(dev));
	unit_of(device_nr(dev))->table[device_nr(dev)] = 0;
}

/* Of the version before, which has a place for a domain id: that is the entry here. */
static void v1_read(const struct iommu_ser_v1_view *from,
		    const struct iommu_ser_arrays *to)
{
	for (unsigned int i = 0; i < ENTRIES; i++) {
		to->iommus[i].flags = from->iommus[i].flags;
		to->iommus[i].type = TYPE_MODEL;
		to->iommus[i].length = sizeof(struct part_iommu);
		to->iommus[i].id = from->iommus[i].reg_pa;
		((struct part_iommu *)to->iommus[i].part)->table_pa = from->iommus[i].root_pa;
		to->domains[i].flags = from->domains[i].flags;
		to->domains[i].type = TYPE_MODEL;
		to->domains[i].top_pa = from->domains[i].top_pa;
		to->devices[i].flags = from->devices[i].flags;
		to->devices[i].type = TYPE_MODEL;
		to->devices[i].length = sizeof(struct part_device);
		to->devices[i].bdf = from->devices[i].bdf;
		to->devices[i].domain = from->devices[i].domain;
		to->devices[i].iommu = from->devices[i].iommu;
		((struct part_device *)to->devices[i].part)->entry = from->devices[i].did;
	}
}

static bool v1_can_hold;

static bool v1_holds(const struct iommu_ser_view *view)
{
	return v1_can_hold;
}

static void v1_write(const struct iommu_ser_view *from,
		     const struct iommu_ser_v1_arrays *to)
{
	for (unsigned int i = 0; i < ENTRIES; i++) {
		to->iommus[i].flags = from->iommus[i].flags;
		to->iommus[i].reg_pa = from->iommus[i].id;
		to->iommus[i].root_pa = iommu_part(&from->iommus[i])->table_pa;
		to->domains[i].flags = from->domains[i].flags;
		to->domains[i].top_pa = from->domains[i].top_pa;
		to->devices[i].flags = from->devices[i].flags;
		to->devices[i].bdf = from->devices[i].bdf;
		to->devices[i].domain = from->devices[i].domain;
		to->devices[i].iommu = from->devices[i].iommu;
		to->devices[i].did = ((const struct part_device *)from->devices[i].part)->entry;
	}
}

static const struct iommu_ser_v1_ops v1_ops = {
	.read = v1_read,
	.holds = v1_holds,
	.write = v1_write,
};

static const struct iommu_liveupdate_ops model_ops = {
	.name = "model",
	.checks = &checks,
	.v1 = &v1_ops,
	.compatible = "model-v1",
	.identify = identify,
	.preserve_iommu = model_preserve_iommu,
	.unpreserve_iommu = model_unpreserve_iommu,
	.preserve_interrupts = preserve_interrupts,
	.unpreserve_interrupts = unpreserve_interrupts,
	.preserve_domain = preserve_domain,
	.unpreserve_domain = unpreserve_domain,
	.can_replace = can_replace,
	.preserve_device = preserve_device,
	.unpreserve_device = unpreserve_device,
	.compare_device = compare_device,
	.scrub_iommu = scrub_iommu,
	.block_interrupts = block_interrupts,
	.compare_iommu = compare_iommu,
	.policy = policy,
	.check_tables = check_all,
	.adopt_iommu = model_adopt_iommu,
	.unadopt_iommu = unadopt_iommu,
	.forget_device = forget_device,
	.is_behind = is_behind,
	.restore_domain = restore_domain,
	.refuse_device = refuse_device,
};

static int blocked_attach(struct iommu_domain *domain, struct device *dev,
			  struct iommu_domain *old)
{
	(void)domain, (void)old;
	refuse_device(dev);
	return 0;
}

static const struct iommu_domain_ops blocked_ops = {
	.attach_dev = blocked_attach,
};

static struct model_domain blocked = { .domain.ops = &blocked_ops };

static const struct iommu_ops iommu_ops = {
	.liveupdate = &model_ops,
	.blocked_domain = &blocked.domain,
};

/* In one step, as a replace has to be */
static int paging_attach(struct iommu_domain *domain, struct device *dev,
			 struct iommu_domain *old)
{
	(void)old;
	unit_of(device_nr(dev))->table[device_nr(dev)] =
		virt_to_phys(to_domain(domain)->top);
	to_device(dev)->may_reach = to_domain(domain)->top;
	return 0;
}

static const struct iommu_domain_ops paging_ops = {
	.attach_dev = paging_attach,
	.free = domain_free,
};

static struct iommu_domain *paging_alloc(void)
{
	struct model_domain *d = calloc(1, sizeof(*d));

	d->top = page_alloc();
	d->domain.type = __IOMMU_DOMAIN_PAGING;
	d->domain.ops = &paging_ops;
	d->domain.owner = &iommu_ops;
	return &d->domain;
}

/* ---- what the kernel around the core does ---- */

struct iommu_domain *iommu_get_domain_for_dev(struct device *dev)
{
	return to_device(dev)->domain;
}

/* What the loaded kernel reads, and what came */
static bool reads_v2, reads_driver;
static struct liveupdate_flb_op_args incoming_args;

bool luo_format_reads(const char *format)
{
	return !strcmp(format, IOMMU_LIVEUPDATE_COMPATIBLE) ? reads_v2 :
	       !strcmp(format, model_ops.compatible) ? reads_driver : true;
}

int luo_format_ask(const char *format)
{
	return luo_format_reads(format) ? 0 : -ENOEXEC;
}

int liveupdate_flb_get_incoming(struct liveupdate_flb *flb, void **obj)
{
	if (!incoming_args.data)
		return -ENOENT;
	if (!incoming_args.obj)
		flb->ops->retrieve(&incoming_args);
	*obj = incoming_args.obj;
	return 0;
}

static void look(void)
{
	unsigned int i;

	for (i = 0; i < NR_DEVICES; i++) {
		struct model_unit *unit = unit_of(i);
		struct model_device *d = &model.devices[i];
		void *top;

		if (!d->pci.master)
			continue;
		if (!unit->on) {
			model_fault("device %u does DMA that is not translated", i);
			continue;
		}
		if (!page_in_use(unit->table))
			model_fault("hardware reads a table that was freed");
		top = phys_to_virt(unit->table[i]);
		if (top != d->may_reach)
			model_fault("device %u %s", i, top ?
				    "reaches what is not its own" : "has a gap");
		else if (!page_in_use(top))
			model_fault("device %u reaches tables that were freed", i);
	}
}

static const u16 bdfs[NR_DEVICES] = { 0x0010, 0x0020, 0x0028 };

/* A kernel that has booted without a live update, with all devices in use */
static struct iommu_domain *domains[NR_DOMAINS];

static void boot(void)
{
	unsigned int i;

	memset(&model.units, 0, sizeof(model.units));
	memset(&model.devices, 0, sizeof(model.devices));
	model.jumped = false;
	model.restored = 0;
	model.fail_at = 0;
	pages_reset();
	outgoing = NULL;
	incoming = NULL;
	memset(&kept, 0, sizeof(kept));
	memset(&incoming_args, 0, sizeof(incoming_args));
	memset(&iommu_liveupdate_lock, 0, sizeof(iommu_liveupdate_lock));
	kexec_in_progress = false;
	reads_v2 = reads_driver = true;
	interrupts = 0;
	*story = 0;
	iommu_device_list = (struct list_head){ &iommu_device_list, &iommu_device_list };
	for (i = 0; i < NR_UNITS; i++) {
		model.units[i].on = true;
		model.units[i].table = page_alloc();
		model.units[i].iommu.ops = &iommu_ops;
		list_add_tail(&model.units[i].iommu.list, &iommu_device_list);
	}
	for (i = 0; i < NR_DOMAINS; i++)
		domains[i] = paging_alloc();
	for (i = 0; i < NR_DEVICES; i++) {
		struct model_device *d = &model.devices[i];

		d->pci.dev.name = i == 0 ? "device 0" : i == 1 ? "device 1" : "device 2";
		d->pci.dev.iommu = &d->di;
		d->pci.dev.iommu_group = (struct iommu_group *)d;
		d->pci.bdf = bdfs[i];
		d->di.iommu_dev = &unit_of(i)->iommu;
		d->domain = domains[i == 2];
		paging_attach(d->domain, &d->pci.dev, NULL);
		d->pci.master = true;
	}
	look();
}

static void shut_down(void)
{
	for (unsigned int i = 0; i < NR_DOMAINS; i++)
		free(to_domain(domains[i]));
}

/* All of it, with as many devices; what fails is undone. */
static int preserve(struct liveupdate_flb_op_args *args, unsigned int devices)
{
	unsigned int n_domains = 0, n_devices = 0;
	u32 index;
	int ret;

	ret = iommu_flb.ops->preserve(args);
	if (ret)
		return ret;
	for (; n_domains < NR_DOMAINS && !ret; n_domains += !ret)
		ret = iommu_domain_preserve(domains[n_domains], n_domains, &index);
	for (; n_devices < devices && !ret; n_devices += !ret)
		ret = iommu_device_preserve(&model.devices[n_devices].pci.dev,
					    model.devices[n_devices].domain);
	for (unsigned int i = 0; i < n_devices && !ret; i++)
		ret = iommu_device_unchanged(&model.devices[i].pci.dev,
					     model.devices[i].domain);
	look();
	if (!ret)
		return 0;
	while (n_devices--)
		iommu_device_unpreserve(&model.devices[n_devices].pci.dev);
	while (n_domains--)
		iommu_domain_unpreserve(domains[n_domains]);
	iommu_flb.ops->unpreserve(args);
	return ret;
}

/* The last steps of the one kernel, and the first of the next one */
static void jump(struct liveupdate_flb_op_args *args)
{
	unsigned int i;

	kexec_in_progress = true;
	for (i = 0; i < NR_DEVICES; i++)
		if (!model.devices[i].di.preserved)
			model.devices[i].pci.master = false;
	for (i = 0; i < NR_UNITS; i++) {
		if (!iommu_liveupdate_shutdown(&model.units[i].iommu))
			model_fault("unit %u does not stay on", i);
		if (!model.units[i].silent)
			model_fault("unit %u lets interrupts through", i);
	}
	look();
	pages_jump();
	kexec_in_progress = false;
	model.jumped = true;
	incoming_args.data = args->data;
	/* What the old kernel had of its own is nobody's now. */
	free(args->obj);
	shut_down();
	outgoing = NULL;
	memset(&kept, 0, sizeof(kept));
	iommu_device_list = (struct list_head){ &iommu_device_list, &iommu_device_list };
	for (i = 0; i < NR_UNITS; i++) {
		model.units[i].silent = false;
		model.units[i].iommu = (struct iommu_device){};
	}
	for (i = 0; i < NR_DEVICES; i++) {
		model.devices[i].domain = NULL;
		model.devices[i].di.preserved = NULL;
	}
}

/* Off, and on again with a table of this kernel's, as a driver does it */
static void begin_anew(unsigned int n)
{
	struct model_unit *unit = &model.units[n];

	unit->on = false;
	look();
	unit->table = page_alloc();
	unit->on = true;
	look();
}

static void come_up(unsigned int n)
{
	struct model_unit *unit = &model.units[n];

	tell(unit->fails ? "unit-fails" : "unit", n);
	if (unit->fails == FAILS_UNUSED) {
		iommu_liveupdate_unused(&unit->iommu, &model_ops);
		unit->on = false;
	} else if (!iommu_liveupdate_adopt(&unit->iommu, &model_ops)) {
		begin_anew(n);
	}
	look();
}

static void give_up(unsigned int n)
{
	struct model_unit *unit = &model.units[n];

	tell("given-up", n);
	iommu_liveupdate_unadopt(&unit->iommu, &model_ops);
	look();
	unit->on = false;
	look();
}

static void register_unit(unsigned int i)
{
	model.units[i].iommu.ops = &iommu_ops;
	if (model.units[i].fails != FAILS_UNUSED)
		list_add_tail(&model.units[i].iommu.list, &iommu_device_list);
}

/* The domains of restored HWPTs, and those that devices were moved to */
static struct iommu_domain *hwpts[NR_DOMAINS], *rebuilt[NR_DEVICES];

/*
 * The probe has failed after the driver had taken over what came. The next one, after
 * another unit was found, begins with nothing.
 */
static void lose(unsigned int i)
{
	struct model_device *d = &model.devices[i];

	tell("lose", i);
	iommu_liveupdate_lost(&d->pci.dev, &model_ops);
	/* The driver frees what the entry leads to. */
	if (unit_of(i)->table[i])
		model_fault("hardware reaches what device %u had", i);
	if (iommu_liveupdate_incoming_device(&d->pci.dev))
		model_fault("device %u would be found once more", i);
	look();
}

static void probe(unsigned int i)
{
	struct model_device *d = &model.devices[i];

	tell("probe", i);
	if (!unit_of(i)->on)
		return;
	if (d->probe_fails) {
		d->probe_fails = false;
		lose(i);
	}
	d->domain = iommu_liveupdate_domain(&d->pci.dev, true);
	if (!d->domain) {
		d->domain = &blocked.domain;
		blocked_attach(&blocked.domain, &d->pci.dev, NULL);
	}
}

static int may_attach(struct model_device *d, struct iommu_domain *new,
		      struct iommu_domain *old, unsigned int flags)
{
	struct iommu_domain *gets = new;
	int ret = iommu_liveupdate_may_attach(&d->pci.dev, &gets, old, flags);

	if (gets != new)
		model_fault("a device gets another domain than it asked for");
	return ret;
}

static void move(unsigned int i)
{
	struct model_device *d = &model.devices[i];
	struct iommu_domain *old = d->domain;

	tell("move", i);
	if (!iommu_domain_is_restored(old))
		return;
	/* One that is not of paging, as the blocked one, would be a gap. */
	if (may_attach(d, &blocked.domain, old, 0) != -EOPNOTSUPP ||
	    strcmp(model.rule, "iommu_paging"))
		model_fault("device %u leaves for a domain that has a gap", i);
	rebuilt[i] = paging_alloc();
	if (may_attach(d, rebuilt[i], old, 0) ||
	    may_attach(d, &blocked.domain, rebuilt[i], 0) ||
	    may_attach(d, &blocked.domain, old, 1))
		model_fault("device %u may not be moved", i);
	rebuilt[i]->ops->attach_dev(rebuilt[i], &d->pci.dev, old);
	d->domain = rebuilt[i];
	if (iommu_liveupdate_moved(&d->pci.dev, old, old, 0))
		model_fault("device %u was moved, and the core is told that it was not", i);
}

static void pull_out(unsigned int i)
{
	struct model_device *d = &model.devices[i];

	void *owner = d->domain;

	tell("remove", i);
	d->pci.master = false;
	if (iommu_liveupdate_removed(&d->pci.dev, d->domain, &owner)) {
		d->domain = &blocked.domain;
		if (owner)
			model_fault("a domain that is gone owns the group of device %u", i);
	}
}

static void get_hwpt(unsigned int i)
{
	struct iommu_domain *domain;

	tell("get", i);
	domain = iommu_restored_domain_get(i, &hwpts[i]);
	if (!IS_ERR(domain))
		hwpts[i] = domain;
}

static void put_hwpt(unsigned int i)
{
	tell("put", i);
	if (hwpts[i])
		iommu_restored_domain_put(hwpts[i]);
	hwpts[i] = NULL;
}

/* How the next kernel comes up, and what user space does */
struct plan {
	enum model_failure fails[NR_UNITS];
	bool second_first;	/* the second unit before the first one */
	bool attach_fails;	/* of the first device */
	bool probe_fails;	/* of the first device, the first time */
	bool removed;		/* the first device, in place of being moved */
	int give_up;		/* after so many units; -1: not at all */
	bool late;		/* the second unit, while the first one is in use */
	bool late_given_up;	/* and its driver fails then */
};

/* What can happen in any order, but for what has to come before it */
enum { MAX_STEPS = 9 };

static void step(unsigned int n, const struct plan *plan)
{
	switch (n) {
	case 0 ... 2:
		probe(n);
		break;
	case 3 ... 5:
		if (!model.devices[n - 3].domain)
			break;
		if (plan->removed && n == 3)
			pull_out(n - 3);
		else
			move(n - 3);
		break;
	case 6:
		get_hwpt(0);
		break;
	case 7:
		put_hwpt(0);
		break;
	case 8:
		come_up(1);
		if (plan->late_given_up)
			give_up(1);
		else
			register_unit(1);
		break;
	}
	look();
}

static bool possible(unsigned int n, unsigned int done, bool late)
{
	static const unsigned int first[MAX_STEPS] = { [3] = BIT(0), [4] = BIT(1),
						       [5] = BIT(2), [7] = BIT(6) };
	unsigned int before = first[n] | (late && (n == 1 || n == 2) ? BIT(8) : 0);

	return !(done & BIT(n)) && (done & before) == before;
}

static unsigned int nr_steps(const struct plan *plan)
{
	return plan->late ? MAX_STEPS : MAX_STEPS - 1;
}

static void finish(const struct plan *plan)
{
	unsigned int i, own = 0;

	tell("finish", -1);
	for (i = 0; i < NR_DOMAINS; i++)
		if (iommu_restored_index_users(i))
			model_fault("a domain has users, and nobody is left");
	if (incoming_args.obj)
		iommu_flb.ops->finish(&incoming_args);
	look();
	for (i = 0; i < NR_DEVICES; i++)
		if (model.devices[i].forgotten != model.devices[i].adopted)
			model_fault("device %u was adopted %u times, and is forgotten %u times", i,
				    model.devices[i].adopted, model.devices[i].forgotten);
	/* Of what was refused the memory stays where it is until the next reboot. */
	if (model.restored && !plan->late_given_up && plan->fails[0] == FAILS_NOT &&
	    plan->fails[1] == FAILS_NOT)
		model_fault("%u restored domains are left over", model.restored);
	for (i = 0; i < NR_DEVICES; i++) {
		if (rebuilt[i]) {
			unit_of(i)->table[i] = 0;
			domain_free(rebuilt[i]);
		}
		rebuilt[i] = NULL;
	}
	for (i = 0; i < NR_UNITS; i++)
		own += model.units[i].table && page_in_use(model.units[i].table);
	restored_forget();
	if (plan->fails[0] == FAILS_NOT && plan->fails[1] == FAILS_NOT &&
	    plan->give_up < 0 && !plan->late_given_up && pages_used() != own)
		model_fault("%u pages are in use, %u are known of", pages_used(), own);
}

static void run(const struct plan *plan, const unsigned int *steps)
{
	struct liveupdate_flb_op_args args = {};
	unsigned int i;

	runs++;
	boot();
	if (preserve(&args, NR_DEVICES))
		model_fault("it cannot be preserved");
	jump(&args);
	for (i = 0; i < NR_UNITS; i++)
		model.units[i].fails = plan->fails[i];
	model.devices[0].attach_fails = plan->attach_fails;
	model.devices[0].probe_fails = plan->probe_fails;
	for (i = 0; i < NR_UNITS; i++) {
		if (plan->give_up == (int)i)
			break;
		if (!plan->late || !i)
			come_up(plan->second_first ? !i : i);
	}
	if (plan->give_up >= 0) {
		for (i = 0; i < NR_UNITS; i++)
			if (model.units[i].fails != FAILS_UNUSED)
				give_up(i);
		get_hwpt(0);
		put_hwpt(0);
		finish(plan);
		return;
	}
	register_unit(0);
	if (!plan->late)
		register_unit(1);
	for (i = 0; i < nr_steps(plan); i++)
		step(steps[i], plan);
	finish(plan);
}

static void all_orders(const struct plan *plan, unsigned int *steps,
		       unsigned int n, unsigned int done)
{
	if (n == nr_steps(plan)) {
		run(plan, steps);
		return;
	}
	for (steps[n] = 0; steps[n] < nr_steps(plan) && !faults; steps[n]++)
		if (possible(steps[n], done, plan->late))
			all_orders(plan, steps, n + 1, done | BIT(steps[n]));
}

static void all_boots(void)
{
	unsigned int steps[MAX_STEPS] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	struct plan plan;
	unsigned int n;

	for (n = 0; n < NR_FAILURES * NR_FAILURES * 8 && !faults; n++) {
		plan = (struct plan){
			.fails = { n / 8 % NR_FAILURES, n / 8 / NR_FAILURES },
			.second_first = n & 1,
			.attach_fails = n / 2 % 4 == 1,
			.removed = n / 2 % 4 == 2,
			.probe_fails = n / 2 % 4 == 3,
			.give_up = -1,
		};
		/* With both units gone, in which order nothing is done says little. */
		if (plan.fails[0] && plan.fails[1])
			run(&plan, steps);
		else
			all_orders(&plan, steps, 0, 0);
		for (plan.give_up = 0; plan.give_up <= NR_UNITS && !faults; plan.give_up++)
			run(&plan, steps);
	}
}

/* A driver whose units are devices of their own: one can be found at any time. */
static void all_late(void)
{
	unsigned int steps[MAX_STEPS];
	unsigned int n;

	for (n = 0; n < (NR_FAILURES + 1) * 2 && !faults; n++) {
		struct plan plan = {
			.fails = { FAILS_NOT, n / 2 % NR_FAILURES },
			.removed = n & 1,
			.give_up = -1,
			.late = true,
			.late_given_up = n / 2 == NR_FAILURES,
		};

		all_orders(&plan, steps, 0, 0);
	}
}

/* Each allocation of a preserve fails once: nothing is left of it, and it can be done again. */
static unsigned int all_failures(void)
{
	struct liveupdate_flb_op_args args = {};
	unsigned int n, used;
	int ret;

	boot();
	used = pages_used();
	for (n = 1; ; n++) {
		model.fail_at = n;
		ret = preserve(&args, NR_DEVICES);
		if (!ret && model.fail_at)
			break;
		tell("failure", n);
		if (!ret) {
			model_fault("a failure is not noticed");
			break;
		}
		if (pages_used() != used || pages_preserved() || interrupts)
			model_fault("%u pages more, %u preserved, %d tables of interrupts",
				    pages_used() - used, pages_preserved(), interrupts);
	}
	model.fail_at = 0;
	jump(&args);
	return n - 1;
}

/* What the freeze finds changed it refuses. */
static void changed(void)
{
	struct liveupdate_flb_op_args args = {};
	struct model_device *d = &model.devices[1];

	boot();
	preserve(&args, NR_DEVICES);
	if (may_attach(d, d->domain, d->domain, 0) != -EBUSY)
		model_fault("a preserved device is attached to a domain");
	unit_of(1)->table[1] = 0;
	d->pci.master = false;
	if (iommu_device_unchanged(&d->pci.dev, d->domain) != -EBUSY ||
	    strcmp(model.rule, "iommu_changed"))
		model_fault("an entry that has changed is not noticed");
	reads_driver = false;
	if (PTR_ERR(iommu_flb.ops->versions->written(&args)) != -ENOEXEC)
		model_fault("a kernel without the driver is jumped into");
	reads_driver = true;
	if (strcmp(iommu_flb.ops->versions->written(&args), IOMMU_LIVEUPDATE_COMPATIBLE))
		model_fault("another version is written");
	free(args.obj);
	shut_down();
}

/* A kernel is loaded that reads the version before only, and then goes on with it. */
static void older(void)
{
	const struct plan plan = { .give_up = -1 };
	struct liveupdate_flb_op_args args = {};
	const char *written;
	unsigned int n, used;

	boot();
	preserve(&args, NR_DEVICES);
	used = pages_used();
	reads_v2 = false;
	v1_can_hold = true;
	for (n = 1; n <= 4; n++) {
		model.fail_at = n;
		if (PTR_ERR(iommu_flb.ops->versions->written(&args)) != -ENOMEM ||
		    pages_used() != used)
			model_fault("failure %u to write the version before leaves something", n);
	}
	v1_can_hold = false;
	if (PTR_ERR(iommu_flb.ops->versions->written(&args)) != -ENOEXEC)
		model_fault("the version before is written, and cannot hold what there is");
	v1_can_hold = true;
	for (n = 0; n < 2; n++) {
		written = iommu_flb.ops->versions->written(&args);
		if (IS_ERR(written) || strcmp(written, IOMMU_LIVEUPDATE_COMPATIBLE_V1))
			model_fault("the version before is not written");
	}
	if (pages_used() != used + 4)
		model_fault("it is written twice");
	/* Another kernel is loaded, and then the older one again. */
	reads_v2 = true;
	for (n = 1; n <= 4; n++) {
		model.fail_at = n;
		if (PTR_ERR(iommu_flb.ops->versions->written(&args)) != -ENOMEM)
			model_fault("failure %u to go back to this version is not noticed", n);
	}
	written = iommu_flb.ops->versions->written(&args);
	if (strcmp(written, IOMMU_LIVEUPDATE_COMPATIBLE) || pages_used() != used)
		model_fault("the version before is not given up");
	reads_v2 = false;
	iommu_flb.ops->versions->written(&args);
	jump(&args);
	come_up(0);
	come_up(1);
	register_unit(0);
	register_unit(1);
	for (n = 0; n < NR_DEVICES; n++)
		probe(n);
	for (n = 0; n < NR_DEVICES; n++)
		if (!iommu_domain_is_restored(model.devices[n].domain))
			model_fault("device %u does not come in the version before", n);
	for (n = 0; n < NR_DEVICES; n++)
		move(n);
	finish(&plan);
}

/* A device that is not preserved is blocked at the jump, and gets nothing after it. */
static void bystander(void)
{
	struct liveupdate_flb_op_args args = {};

	boot();
	preserve(&args, 2);
	jump(&args);
	if (model.units[1].table[2])
		model_fault("the entry of a device that is not preserved stays");
	come_up(0);
	come_up(1);
	register_unit(0);
	register_unit(1);
	for (unsigned int i = 0; i < NR_DEVICES; i++)
		probe(i);
	if (model.devices[2].domain != &blocked.domain)
		model_fault("a device that was not preserved gets a restored domain");
	for (unsigned int i = 0; i < NR_DEVICES; i++)
		move(i);
	look();
	iommu_flb.ops->finish(&incoming_args);
	for (unsigned int i = 0; i < 2; i++) {
		unit_of(i)->table[i] = 0;
		domain_free(rebuilt[i]);
		rebuilt[i] = NULL;
	}
}

/* What the IOMMU core does with all devices of a group, in the order of its list */
static int group_attach(const unsigned int *group, unsigned int n,
			struct iommu_domain *new, unsigned int flags)
{
	struct iommu_domain *old = model.devices[group[0]].domain;
	int ret;

	for (unsigned int i = 0; i < n; i++) {
		struct model_device *d = &model.devices[group[i]];
		struct iommu_domain *gets = new;

		ret = iommu_liveupdate_may_attach(&d->pci.dev, &gets, old, flags);
		if (ret)
			return ret;
		ret = d->attach_fails ? -ENOMEM :
					gets->ops->attach_dev(gets, &d->pci.dev, old);
		ret = iommu_liveupdate_moved(&d->pci.dev, old, old, ret);
		if (ret)
			return ret;
		look();
	}
	for (unsigned int i = 0; i < n; i++)
		model.devices[group[i]].domain = new;
	return 0;
}

/* Of what comes late into the group of a restored device: what happens next */
enum late_end {
	LATE_REJECTED,		/* by the core: firmware wants a mapping for it */
	LATE_FAILS,		/* it cannot be blocked */
	LATE_FOLLOWS, LATE_CANNOT_FOLLOW, LATE_GOES, LATE_STAYS, NR_LATE_ENDS
};

/*
 * The last device turns up in the group of the one before, which is on a restored domain.
 * If it came itself, it came alone in its group.
 */
static void latecomer(bool came, enum late_end end, bool put_first)
{
	const unsigned int group[] = { 1, 2 };
	struct liveupdate_flb_op_args args = {};
	struct model_device *first = &model.devices[1], *late = &model.devices[2];
	struct iommu_domain *gets, *was;
	void *owner;

	boot();
	tell(came ? "late-incoming" : "late", end);
	preserve(&args, came ? 3 : 2);
	jump(&args);
	come_up(0);
	come_up(1);
	register_unit(0);
	register_unit(1);
	probe(0);
	probe(1);
	get_hwpt(0);
	was = owner = gets = first->domain;
	if (iommu_liveupdate_may_attach(&late->pci.dev, &gets, NULL, 0) ||
	    (end == LATE_FAILS &&
	     iommu_liveupdate_moved(&late->pci.dev, was, NULL, -ENOMEM) != -ENOMEM) ||
	    (end > LATE_FAILS &&
	     (gets->ops->attach_dev(gets, &late->pci.dev, NULL) ||
	      iommu_liveupdate_moved(&late->pci.dev, was, NULL, 0)))) {
		model_fault("a device that comes late is left without a group");
		return;
	}
	if (end > LATE_FAILS)
		late->domain = was;
	if (gets != &blocked.domain || late->pci.master)
		model_fault("a device that comes late is not blocked");
	look();
	move(0);
	/* Then there are only the devices that hold the domain. */
	if (put_first)
		put_hwpt(0);
	switch (end) {
	case LATE_REJECTED:
	case LATE_FAILS:
		/* It is in no group. */
		move(1);
		break;
	case LATE_CANNOT_FOLLOW:
		late->attach_fails = true;
		/* fall through */
	case LATE_FOLLOWS:
		rebuilt[1] = paging_alloc();
		if (group_attach(group, 2, rebuilt[1], 0))
			model_fault("a device that comes late keeps the first one from moving");
		if ((unit_of(2)->table[2] != 0) != (end == LATE_FOLLOWS))
			model_fault("a device that comes late has another domain than it should");
		break;
	case LATE_GOES:
		if (iommu_liveupdate_removed(&late->pci.dev, was, &owner) || owner != was)
			model_fault("a device that came late takes the domain with it");
		move(1);
		break;
	default:
		first->pci.master = false;
		if (!iommu_liveupdate_removed(&first->pci.dev, was, &owner) || owner)
			model_fault("the group of a device that came late belongs to nobody");
		if (group_attach(&group[1], 1, &blocked.domain, 1))
			model_fault("a device that came late gets no domain");
		break;
	}
	look();
	if (!put_first)
		put_hwpt(0);
	iommu_flb.ops->finish(&incoming_args);
	if (model.restored)
		model_fault("%u restored domains are left over", model.restored);
	look();
	for (unsigned int i = 0; i < NR_DEVICES; i++)
		unit_of(i)->table[i] = 0;
	for (unsigned int i = 0; i < NR_DEVICES; i++) {
		if (rebuilt[i])
			domain_free(rebuilt[i]);
		rebuilt[i] = NULL;
	}
}

/*
 * A unit is registered, and its device is on its restored domain. Then the driver fails,
 * gives all units up, and the core takes the devices out of their groups.
 */
static void given_up_in_use(bool others_first)
{
	struct liveupdate_flb_op_args args = {};
	struct model_device *first = &model.devices[0];

	boot();
	tell("given-up-in-use", others_first);
	preserve(&args, 2);
	jump(&args);
	for (unsigned int i = 0; i < NR_UNITS; i++)
		come_up(i);
	for (unsigned int i = 0; i < NR_UNITS; i++)
		register_unit(i);
	probe(0);
	probe(1);
	get_hwpt(0);
	give_up(0);
	if (first->pci.master)
		model_fault("a device of a unit that is given up goes on");
	if (iommu_restored_index_users(0) != 1)
		model_fault("a device of a unit that was given up is counted");
	/* What the group of the first one is on has to be there as long as that is in it. */
	if (others_first) {
		put_hwpt(0);
		move(1);
		if (model.restored != 1)
			model_fault("the domain is gone that a group is on");
	}
	pull_out(0);
	if (first->domain != &blocked.domain)
		model_fault("a device that is taken out leaves its group on the restored domain");
	if (!others_first) {
		move(1);
		put_hwpt(0);
	}
	look();
	iommu_flb.ops->finish(&incoming_args);
	if (model.restored)
		model_fault("%u restored domains are left over", model.restored);
	for (unsigned int i = 0; i < NR_DEVICES; i++) {
		unit_of(i)->table[i] = 0;
		if (rebuilt[i])
			domain_free(rebuilt[i]);
		rebuilt[i] = NULL;
	}
}

/*
 * The first domain is that of a device behind each unit. Its tables are walked for both
 * units, and what one of them cannot read only the devices behind it lose; unless it is
 * the first one, which is to find what is wrong for all.
 */
static void tables(bool second_first)
{
	const unsigned int first = second_first, second = !second_first;

	for (unsigned int cannot = 0; cannot < 4; cannot++) {
		const bool good[NR_DEVICES] = {
			!(cannot & BIT(first)) && !(cannot & BIT(0)),
			!(cannot & BIT(first)) && !(cannot & BIT(1)),
			!(cannot & BIT(1)),
		};
		struct liveupdate_flb_op_args args = {};

		boot();
		tell("tables", cannot);
		preserve(&args, NR_DEVICES);
		jump(&args);
		for (unsigned int i = 0; i < NR_UNITS; i++)
			model.units[i].cannot_walk = cannot & BIT(i);
		check_tables = true;
		come_up(first);
		come_up(second);
		check_tables = false;
		/* The second unit has a domain of its own, too. */
		if (model.units[first].walks != 1 + (first == 1) ||
		    model.units[second].walks != !(cannot & BIT(first)) + (second == 1))
			model_fault("tables are walked %u and %u times", model.units[0].walks,
				    model.units[1].walks);
		for (unsigned int i = 0; i < NR_DEVICES; i++)
			if (model.devices[i].pci.master != good[i])
				model_fault("device %u %s", i, good[i] ? "was refused" :
					    "goes on with tables that its unit cannot read");
		register_unit(0);
		register_unit(1);
		for (unsigned int i = 0; i < NR_DEVICES; i++)
			probe(i);
		look();
		for (unsigned int i = 0; i < NR_DEVICES; i++)
			unit_of(i)->table[i] = 0;
		for (unsigned int i = 0; i < NR_DEVICES; i++)
			if (iommu_domain_is_restored(model.devices[i].domain)) {
				model.devices[i].pci.master = false;
				pull_out(i);
			}
		iommu_flb.ops->finish(&incoming_args);
	}
}

/*
 * A probe that fails with anything but ENODEV has the core take all devices of the unit
 * out again: those that are on a restored domain, and those whose turn had not come.
 */
static void taken_out(unsigned int probed)
{
	struct liveupdate_flb_op_args args = {};

	boot();
	tell("taken-out", probed);
	preserve(&args, NR_DEVICES);
	jump(&args);
	come_up(0);
	come_up(1);
	register_unit(0);
	register_unit(1);
	for (unsigned int i = 0; i < probed; i++)
		probe(i);
	for (unsigned int i = 1; i < NR_DEVICES; i++) {
		struct model_device *d = &model.devices[i];
		void *owner = d->domain;

		if (iommu_liveupdate_removed(&d->pci.dev, d->domain, &owner) != !!d->domain)
			model_fault("the group of device %u has the wrong domain", i);
		if (d->pci.master || unit_of(i)->table[i])
			model_fault("device %u was taken out, and goes on", i);
		if (iommu_liveupdate_incoming_device(&d->pci.dev))
			model_fault("device %u would be found once more", i);
		d->domain = NULL;
		look();
	}
	if (!model.devices[0].pci.master)
		model_fault("a device of another unit is stopped");
	if (!probed)
		probe(0);
	move(0);
	iommu_flb.ops->finish(&incoming_args);
	if (model.restored)
		model_fault("%u restored domains are left over", model.restored);
	unit_of(0)->table[0] = 0;
	domain_free(rebuilt[0]);
	rebuilt[0] = NULL;
}

/* Does this unit stay, be it asked to leave or added again? It is @in_update or it is not. */
static void asked_to_leave(unsigned int n, bool in_update)
{
	struct iommu_device *iommu = &model.units[n].iommu;
	struct iommu_hw_ser *was = iommu->liveupdate_ser;

	if (iommu_liveupdate_unit_leaves(iommu) != (in_update ? -EBUSY : 0))
		model_fault("unit %u %s", n, in_update ? "leaves in an update" :
			    "cannot leave");
	if (iommu_liveupdate_unit_stays(iommu) != in_update)
		model_fault("unit %u %s", n, in_update ? "is added, and never left" :
			    "is not added again");
	if (iommu->liveupdate_ser != was)
		model_fault("unit %u does not come back as it was", n);
}

static unsigned int units_preserved(const struct liveupdate_flb_op_args *args)
{
	const struct iommu_handover *ho = args->obj;
	unsigned int n = 0;

	for (unsigned int i = 0; i < ENTRIES; i++)
		n += !!(ho->iommus[i].flags & IOMMU_SER_USED);
	return n;
}

/*
 * Units are plugged in and removed, but for one that is in an update: from its preserve to its
 * undo and from its adoption to the finish. One that is leaving is in no preserve.
 */
static void hotplug(bool adopted)
{
	const struct plan plan = {
		.fails = { FAILS_NOT, adopted ? FAILS_NOT : FAILS_ADOPT },
		.give_up = -1,
	};
	struct liveupdate_flb_op_args args = {};
	struct iommu_device *second = &model.units[1].iommu;
	u32 index;

	boot();
	tell("hotplug", adopted);
	asked_to_leave(0, false);
	if (iommu_liveupdate_unit_leaves(second))
		model_fault("a unit cannot leave");
	if (iommu_flb.ops->preserve(&args) || units_preserved(&args) != 1)
		model_fault("a unit that is leaving is preserved");
	asked_to_leave(0, true);
	if (iommu_liveupdate_shutdown(second))
		model_fault("a unit that is leaving stays on");
	iommu_domain_preserve(domains[0], 0, &index);
	if (iommu_device_preserve(&model.devices[1].pci.dev, domains[0]) >= 0 ||
	    strcmp(model.rule, "iommu_driver"))
		model_fault("a device is preserved whose unit is leaving");
	iommu_domain_unpreserve(domains[0]);
	/* Its removal is given up, which the preserve that has begun knows nothing of. */
	if (iommu_liveupdate_unit_stays(second))
		model_fault("a unit is taken for one that is in an update");
	asked_to_leave(1, false);
	iommu_flb.ops->unpreserve(&args);
	asked_to_leave(0, false);
	if (iommu_liveupdate_unit_leaves(second))
		model_fault("a unit cannot leave after an undo");
	iommu_liveupdate_unit_stays(second);
	if (preserve(&args, NR_DEVICES) || units_preserved(&args) != NR_UNITS)
		model_fault("a unit that has stayed is not preserved");
	asked_to_leave(0, true);
	asked_to_leave(1, true);
	jump(&args);
	/* Not yet looked at: there is nothing that could have come from it. */
	asked_to_leave(0, false);
	model.units[1].fails = plan.fails[1];
	come_up(0);
	come_up(1);
	register_unit(0);
	register_unit(1);
	asked_to_leave(0, true);
	asked_to_leave(1, adopted);
	for (unsigned int i = 0; i < NR_DEVICES; i++)
		probe(i);
	for (unsigned int i = 0; i < NR_DEVICES; i++)
		move(i);
	asked_to_leave(0, true);
	finish(&plan);
	asked_to_leave(0, false);
	asked_to_leave(1, false);
}

int main(int argc, char **argv)
{
	unsigned int failures;

	model.verbose = argc > 1 && !strcmp(argv[1], "-v");
	if (iommu_liveupdate_register(&model_ops) ||
	    iommu_liveupdate_register(&model_ops) != -EEXIST)
		model_fault("a driver is registered twice");
	failures = all_failures();
	changed();
	older();
	bystander();
	tables(false);
	tables(true);
	hotplug(true);
	hotplug(false);
	for (unsigned int n = 0; n <= NR_DEVICES; n++)
		taken_out(n);
	given_up_in_use(false);
	given_up_in_use(true);
	for (unsigned int n = 0; n < NR_LATE_ENDS * 4 && !faults; n++)
		latecomer(n & 1, n / 4, n & 2);
	all_late();
	all_boots();
	printf("%u failures of a preserve, %lu runs of two kernels, %s\n", failures, runs,
	       faults ? "and one that goes wrong" : "all as they should be");
	return !!faults;
}
