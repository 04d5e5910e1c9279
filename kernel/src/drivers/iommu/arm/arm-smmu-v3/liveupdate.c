// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Live update of Arm's SMMUv3
 *
 * References are to the "Arm System Memory Management Unit Architecture Specification,
 * SMMU architecture version 3".
 *
 * Blocked is a stream table entry that is valid and aborts, or a level 1 descriptor that
 * leads nowhere. A unit that is off lets everything through, but for GBPA.ABORT, which is
 * set before the jump and again by the next kernel: wherever the unit comes to be off,
 * nothing gets through.
 *
 * Domains of stage 1 have their tables from the table library while live update is on,
 * and only these can be handed over. The tables that lead there, the stream table and the
 * context descriptors, are pages like those of domains, if the unit's walks are coherent.
 *
 * Outgoing: the stream table is kept by KHO, with those tables of level 2 in which a
 * preserved device has its entry, and its context descriptors. At the shutdown of the
 * kexec all other tables of level 2 are unlinked, and all other entries abort. Then
 * hardware forgets what it has cached, and the queues that it writes to are switched off.
 * Translation stays on. Other CPUs are alive meanwhile: from then on no entry is written
 * any more, whoever attaches what.
 *
 * Incoming: the driver may be probed before the PCI devices are there, and is before they
 * are given a domain. The unit is adopted if it uses the stream table of the handover.
 * Each entry that does not abort has to be that of a device of the handover, and has to
 * say what the handover says, as does its context descriptor. One that does not is
 * blocked after its device was stopped, if that is there; else PCI stops the device when
 * it finds it. The unit gets new queues and is never off. ASIDs in use are taken out of
 * the driver's allocator. A device whose handover PCI refuses is given up when it is
 * probed, and one that was not found at the end of the boot.
 *
 * Unhappy paths
 * ~~~~~~~~~~~~~
 *
 * The unit cannot be adopted: the driver switches it off and on again as 7.3 does, with
 * GBPA.ABORT set meanwhile, and a stream table in which all entries abort. The devices
 * are stopped when PCI finds them.
 *
 * The driver fails after it has adopted the unit: the unit is switched off, with
 * GBPA.ABORT set, and stays so. If it cannot be switched off, its tables stay.
 *
 * GBPA.ABORT cannot be set: the driver leaves the unit as it found it, on. The devices are
 * stopped, as no IOMMU translates for them in this kernel.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/bitfield.h>
#include <linux/crash_dump.h>
#include <linux/error-injection.h>
#include <linux/iopoll.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/iommu.h>
#include <linux/kho/abi/smmuv3.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_rule.h>
#include <linux/liveupdate_show.h>
#include <linux/of.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/platform_device.h>

#include "arm-smmu-v3.h"
#include "liveupdate_check.h"
#include "liveupdate_rules.h"
#include "../../iommu-pages.h"

enum {
	/* Of CD.IR0 and CD.OR0: write-back, read and write allocate */
	TCR_WBWA = 1,
};

/* What stands for the domain of an ASID until that is restored */
#define ADOPTED	xa_mk_value(1)

static LIST_HEAD(adopted);

/* Of this machine: ASIDs are those of all of them, and are kept for one. */
static atomic_t nr_units;

static struct arm_smmu_device *to_smmu(struct iommu_device *dev)
{
	return container_of(dev, struct arm_smmu_device, iommu);
}

static bool is_two_level(struct arm_smmu_device *smmu)
{
	return smmu->features & ARM_SMMU_FEAT_2_LVL_STRTAB;
}

static void *strtab(struct arm_smmu_device *smmu)
{
	return is_two_level(smmu) ? (void *)smmu->strtab_cfg.l2.l1tab :
				    (void *)smmu->strtab_cfg.linear.table;
}

/* The stream table entry, of a stream that the driver has a table for */
static __le64 *ste_of(struct arm_smmu_device *smmu, u32 sid)
{
	struct arm_smmu_strtab_cfg *cfg = &smmu->strtab_cfg;

	if (is_two_level(smmu))
		return cfg->l2.l2ptrs[arm_smmu_strtab_l1_idx(sid)]
			->stes[arm_smmu_strtab_l2_idx(sid)].data;
	return cfg->linear.table[sid].data;
}

static void issue(struct arm_smmu_device *smmu, struct arm_smmu_cmd cmd)
{
	arm_smmu_cmdq_issue_cmdlist(smmu, &smmu->cmdq, &cmd, 1, true);
}

/* --- tables --- */

/*
 * Asked once, before there is any table: the core can still switch itself off at the end
 * of the boot, and a table is freed in the way in which it was allocated.
 */
static bool wants_pages __ro_after_init;

/* What hardware may read without a look into the caches is not the library's to give. */
static bool has_pages(struct arm_smmu_device *smmu)
{
	return wants_pages && smmu->features & ARM_SMMU_FEAT_COHERENCY;
}

/**
 * arm_smmu_alloc_table() - Allocate a table that leads to a domain
 * @smmu: The unit that reads it.
 * @size: Its size in bytes.
 * @dma: Where its address goes, as hardware knows it.
 * @gfp: How to allocate.
 *
 * Return: The table, all zero, aligned to its size; or NULL.
 */
void *arm_smmu_alloc_table(struct arm_smmu_device *smmu, size_t size,
			   dma_addr_t *dma, gfp_t gfp)
{
	void *table;

	if (!has_pages(smmu))
		return dma_alloc_coherent(smmu->dev, size, dma, gfp);
	table = iommu_alloc_pages_node_sz(dev_to_node(smmu->dev), gfp, size);
	if (table)
		*dma = virt_to_phys(table);
	return table;
}

/**
 * arm_smmu_free_table() - Free what arm_smmu_alloc_table() has allocated
 * @smmu: As there.
 * @size: As there.
 * @table: The table.
 * @dma: Its address, as hardware knows it.
 */
void arm_smmu_free_table(struct arm_smmu_device *smmu, size_t size, void *table,
			 dma_addr_t dma)
{
	if (has_pages(smmu))
		iommu_free_pages(table);
	else
		dma_free_coherent(smmu->dev, size, table, dma);
}

/* A unit could not be switched off: what it may read is not freed any more. */
static bool is_stuck;

static void free_strtab(void *table)
{
	if (!is_stuck)
		iommu_free_pages(table);
}

/**
 * arm_smmu_alloc_strtab() - Allocate a stream table
 * @smmu: As arm_smmu_alloc_table(); the table is freed when its driver leaves it.
 * @size: As there.
 * @dma: As there.
 * @gfp: As there.
 *
 * Return: As there.
 */
void *arm_smmu_alloc_strtab(struct arm_smmu_device *smmu, size_t size,
			    dma_addr_t *dma, gfp_t gfp)
{
	void *table;

	if (!has_pages(smmu))
		return dmam_alloc_coherent(smmu->dev, size, dma, gfp);
	table = arm_smmu_alloc_table(smmu, size, dma, gfp);
	if (!table || devm_add_action_or_reset(smmu->dev, free_strtab, table))
		return NULL;
	return table;
}

/**
 * arm_smmu_pt_applies() - Is a domain to have its tables from the table library?
 * @smmu: The unit.
 * @domain: The domain, whose stage is known.
 * @flags: What it was asked for with.
 *
 * Return: true for domains that a live update can be about.
 */
bool arm_smmu_pt_applies(struct arm_smmu_device *smmu, struct arm_smmu_domain *domain,
			 u32 flags)
{
	return has_pages(smmu) && domain->stage == ARM_SMMU_DOMAIN_S1 &&
	       !(flags & ~(u32)IOMMU_HWPT_ALLOC_PASID) && PAGE_SIZE == SZ_4K &&
	       smmu->pgsize_bitmap & SZ_4K && !IS_ENABLED(CONFIG_CPU_BIG_ENDIAN);
}

/**
 * arm_smmu_pt_cfg() - How the tables of such a domain are made
 * @oas: Number of physical address bits of the unit.
 * @vasz_lg2: Number of IOVA bits.
 *
 * Return: The configuration, the same for a domain that is restored.
 */
struct pt_iommu_armv8_cfg arm_smmu_pt_cfg(unsigned int oas, unsigned int vasz_lg2)
{
	vasz_lg2 = min(vasz_lg2, 48U);
	return (struct pt_iommu_armv8_cfg) {
		.common.features = BIT(PT_FEAT_FLUSH_RANGE),
		.common.hw_max_vasz_lg2 = vasz_lg2,
		.common.hw_max_oasz_lg2 = min(oas, 48U),
		.top_level = vasz_lg2 > 39 ? 3 : 2,
	};
}

static unsigned int ips_of(unsigned long oas)
{
	switch (oas) {
	case 32:
		return 0;
	case 36:
		return 1;
	case 40:
		return 2;
	case 42:
		return 3;
	case 44:
		return 4;
	case 48:
		return 5;
	default:
		return 6;
	}
}

/**
 * arm_smmu_make_pt_cd() - The context descriptor of a domain of the table library
 * @target: What is filled in, all zero before.
 * @master: The device.
 * @domain: The domain.
 *
 * Return: false if the domain is of another kind.
 */
bool arm_smmu_make_pt_cd(struct arm_smmu_cd *target, struct arm_smmu_master *master,
			 struct arm_smmu_domain *domain)
{
	struct pt_iommu_armv8_hw_info info;
	u64 word;

	if (!domain->domain.is_iommupt)
		return false;
	pt_iommu_armv8_hw_info(&domain->armv8, &info);
	word = FIELD_PREP(CTXDESC_CD_0_TCR_T0SZ,
			  64 - domain->armv8.armv8_pt.common.max_vasz_lg2) |
	       FIELD_PREP(CTXDESC_CD_0_TCR_IRGN0, TCR_WBWA) |
	       FIELD_PREP(CTXDESC_CD_0_TCR_ORGN0, TCR_WBWA) |
	       FIELD_PREP(CTXDESC_CD_0_TCR_SH0, ARM_SMMU_SH_ISH) |
	       CTXDESC_CD_0_TCR_EPD1 | CTXDESC_CD_0_V |
	       FIELD_PREP(CTXDESC_CD_0_TCR_IPS, ips_of(master->smmu->oas)) |
	       CTXDESC_CD_0_AA64 | (master->stall_enabled ? CTXDESC_CD_0_S : 0) |
	       CTXDESC_CD_0_R | CTXDESC_CD_0_A | CTXDESC_CD_0_ASET |
	       FIELD_PREP(CTXDESC_CD_0_ASID, domain->cd.asid);
	target->data[0] = cpu_to_le64(word);
	target->data[1] = cpu_to_le64(info.ttb & CTXDESC_CD_1_TTB0_MASK);
	target->data[3] = cpu_to_le64(SMMUV3_SER_MAIR);
	return true;
}

/* --- outgoing --- */

static void smmuv3_identify(struct iommu_device *dev,
			    struct iommu_liveupdate_unit *unit)
{
	struct arm_smmu_device *smmu = to_smmu(dev);
	struct resource *res;

	res = platform_get_resource(to_platform_device(smmu->dev), IORESOURCE_MEM, 0);
	unit->id = res->start;
	unit->name = dev_name(smmu->dev);
}

static int smmuv3_preserve_iommu(struct iommu_device *dev,
				 struct iommu_hw_ser *ser)
{
	struct smmuv3_hw_ser *part = (struct smmuv3_hw_ser *)ser->part;
	struct arm_smmu_device *smmu = to_smmu(dev);

	/* Such as have queues of their own that hardware writes to. */
	if (!has_pages(smmu) || smmu->impl_ops)
		return -EOPNOTSUPP;
	part->strtab_pa = virt_to_phys(strtab(smmu));
	part->strtab_cfg = readl_relaxed(smmu->base + ARM_SMMU_STRTAB_BASE_CFG);
	ser->length = sizeof(*part);
	return iommu_liveupdate_keep(strtab(smmu));
}

static void smmuv3_unpreserve_iommu(struct iommu_device *dev,
				    const struct iommu_hw_ser *ser)
{
	iommu_liveupdate_unkeep(phys_to_virt(smmuv3_hw_part(ser)->strtab_pa));
}

static int smmuv3_preserve_domain(struct iommu_domain *domain,
				  struct iommu_domain_ser *ser)
{
	struct smmuv3_domain_ser *part = (struct smmuv3_domain_ser *)ser->part;
	struct arm_smmu_domain *d = to_smmu_domain(domain);
	struct pt_iommu_armv8_hw_info info;

	if (domain->ops != &arm_smmu_pt_ops)
		return -EOPNOTSUPP;
	pt_iommu_armv8_hw_info(&d->armv8, &info);
	part->format = SMMUV3_DOMAIN_SER_S1;
	part->asid = d->cd.asid;
	ser->length = sizeof(*part);
	ser->top_pa = info.ttb;
	ser->top_level = info.levels - 1;
	ser->vasz_lg2 = d->armv8.armv8_pt.common.max_vasz_lg2;
	return d->iommu.ops->preserve(&d->iommu);
}
ALLOW_ERROR_INJECTION(smmuv3_preserve_domain, ERRNO);

static void smmuv3_unpreserve_domain(struct iommu_domain *domain,
				     const struct iommu_domain_ser *ser)
{
	struct arm_smmu_domain *d = to_smmu_domain(domain);

	d->iommu.ops->unpreserve(&d->iommu);
}

/* What can be preserved is what arm_smmu_replace_domain() can replace. */
static int smmuv3_can_replace(struct device *dev)
{
	return 0;
}

static void *l2_of(struct arm_smmu_device *smmu, u32 sid)
{
	return is_two_level(smmu) ?
		       smmu->strtab_cfg.l2.l2ptrs[arm_smmu_strtab_l1_idx(sid)] : NULL;
}

static int smmuv3_preserve_device(struct device *dev, struct iommu_domain *domain,
				  struct iommu_device_ser *ser)
{
	struct smmuv3_device_ser *part = (struct smmuv3_device_ser *)ser->part;
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	struct arm_smmu_ctx_desc_cfg *cds = &master->cd_table;
	struct arm_smmu_device *smmu = master->smmu;
	void *l2;
	int ret;

	ret = liveupdate_require(atomic_read(&nr_units) == 1, &rule_smmuv3_alone,
				 "%s", dev_name(dev)) ?:
	      liveupdate_require(master->num_streams == 1, &rule_smmuv3_streams,
				 "%s", dev_name(dev)) ?:
	      liveupdate_require(to_smmu_domain(domain)->smmu == smmu && cds->in_ste,
				 &rule_smmuv3_detached, "%s", dev_name(dev)) ?:
	      liveupdate_require(!master->ats_enabled, &rule_smmuv3_ats, "%s",
				 dev_name(dev)) ?:
	      liveupdate_require(!master->stall_enabled, &rule_smmuv3_stall, "%s",
				 dev_name(dev)) ?:
	      liveupdate_require(cds->s1fmt == STRTAB_STE_0_S1FMT_LINEAR &&
				 !arm_smmu_ssids_in_use(cds),
				 &rule_smmuv3_pasid, "%s", dev_name(dev));
	if (ret)
		return ret;

	l2 = l2_of(smmu, master->streams[0].id);
	part->sid = master->streams[0].id;
	part->s1cdmax = cds->s1cdmax;
	part->l2_pa = l2 ? virt_to_phys(l2) : 0;
	part->cd_pa = virt_to_phys(cds->linear.table);
	ser->length = sizeof(*part);
	ret = l2 ? iommu_liveupdate_keep(l2) : 0;
	if (ret)
		return ret;
	ret = iommu_liveupdate_keep(cds->linear.table);
	if (ret && l2)
		iommu_liveupdate_unkeep(l2);
	return ret;
}

static void smmuv3_unpreserve_device(struct device *dev,
				     const struct iommu_device_ser *ser)
{
	const struct smmuv3_device_ser *part = smmuv3_device_part(ser);

	iommu_liveupdate_unkeep(phys_to_virt(part->cd_pa));
	if (part->l2_pa)
		iommu_liveupdate_unkeep(phys_to_virt(part->l2_pa));
}

static struct smmuv3_unit describe_unit(struct arm_smmu_device *smmu)
{
	return (struct smmuv3_unit) {
		.oas = smmu->oas,
		.ips = ips_of(smmu->oas),
		.asid_bits = smmu->asid_bits,
		.el2 = smmu->features & ARM_SMMU_FEAT_E2H,
		.stalls = smmu->features & ARM_SMMU_FEAT_STALLS,
	};
}

/* What adopt_ste() will find, by the check that it will make. */
static const char *smmuv3_compare_device(struct device *dev,
					 const struct iommu_ser_view *view,
					 const struct iommu_device_ser *ser)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	const struct smmuv3_unit unit = describe_unit(master->smmu);

	if (master->ats_enabled)
		return "its ATS was switched on";
	if (atomic_read(&nr_units) != 1)
		return "another SMMUv3 has come up";
	guard(mutex)(&arm_smmu_asid_lock);
	return smmuv3_check_device(view, &unit, ser,
				   (u64 *)ste_of(master->smmu, smmuv3_device_part(ser)->sid),
				   (u64 *)master->cd_table.linear.table);
}

/*
 * Hardware may be reading: what lets requests through is in the first word, and what the
 * others are does not matter then. They are not written, as nothing says in which
 * order hardware would see it.
 */
static void block_ste(__le64 *ste)
{
	struct arm_smmu_ste abort;

	arm_smmu_make_abort_ste(&abort);
	WRITE_ONCE(ste[0], abort.data[0]);
}

static struct device *device_of(struct arm_smmu_device *smmu, u32 sid)
{
	struct rb_node *node = smmu->streams.rb_node;

	while (node) {
		struct arm_smmu_stream *s = rb_entry(node, struct arm_smmu_stream, node);

		if (s->id == sid)
			return s->master->dev;
		node = sid < s->id ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static bool goes_on(struct arm_smmu_device *smmu, u32 sid)
{
	struct device *dev = device_of(smmu, sid);

	return dev && dev_is_pci(dev) &&
	       iommu_liveupdate_device_outgoing(&smmu->iommu,
						pci_domain_nr(to_pci_dev(dev)->bus),
						pci_dev_id(to_pci_dev(dev)));
}

static void scrub_stes(struct arm_smmu_device *smmu, u32 first, u32 n)
{
	u32 sid;

	for (sid = first; n--; sid++) {
		__le64 *ste = ste_of(smmu, sid);

		if (!smmuv3_ste_blocks((u64 *)ste) && !goes_on(smmu, sid))
			block_ste(ste);
	}
}

static void scrub_l1(struct arm_smmu_device *smmu)
{
	struct arm_smmu_strtab_cfg *cfg = &smmu->strtab_cfg;
	u32 i;

	for (i = 0; i < cfg->l2.num_l1_ents; i++) {
		if (!cfg->l2.l2ptrs[i])
			continue;
		if (iommu_liveupdate_kept(cfg->l2.l2ptrs[i]))
			scrub_stes(smmu, i << STRTAB_SPLIT, STRTAB_NUM_L2_STES);
		else
			WRITE_ONCE(cfg->l2.l1tab[i].l2ptr, 0);
	}
}

static int write_reg_sync(struct arm_smmu_device *smmu, u32 val,
			  unsigned int reg, unsigned int ack)
{
	u32 now;

	writel(val, smmu->base + reg);
	return readl_relaxed_poll_timeout_atomic(smmu->base + ack, now, now == val, 1,
						 ARM_SMMU_POLL_TIMEOUT_US);
}

/* Requests that the unit does not look at, because it is off, are aborted. */
static int abort_when_off(struct arm_smmu_device *smmu)
{
	u32 reg, __iomem *gbpa = smmu->base + ARM_SMMU_GBPA;
	int ret;

	ret = readl_relaxed_poll_timeout_atomic(gbpa, reg, !(reg & GBPA_UPDATE), 1,
						ARM_SMMU_POLL_TIMEOUT_US);
	if (ret)
		return ret;
	writel(reg | GBPA_ABORT | GBPA_UPDATE, gbpa);
	return readl_relaxed_poll_timeout_atomic(gbpa, reg, !(reg & GBPA_UPDATE), 1,
						 ARM_SMMU_POLL_TIMEOUT_US);
}

static void invalidate_all(struct arm_smmu_device *smmu)
{
	issue(smmu, arm_smmu_make_cmd_cfgi_all());
	if (smmu->features & ARM_SMMU_FEAT_HYP)
		issue(smmu, arm_smmu_make_cmd_op(CMDQ_OP_TLBI_EL2_ALL));
	issue(smmu, arm_smmu_make_cmd_op(CMDQ_OP_TLBI_NSNH_ALL));
}

/*
 * The command queue stays on. It is empty, and memory is read only for what is put in
 * there. Another CPU that still invalidates something does not have to wait for ever.
 */
static void smmuv3_scrub_iommu(struct iommu_device *dev)
{
	struct arm_smmu_device *smmu = to_smmu(dev);
	u32 cr0;

	/* No stream comes or goes meanwhile, and none gets a level 2 table later. */
	mutex_lock(&arm_smmu_asid_lock);
	mutex_lock(&smmu->streams_mutex);
	smmu->liveupdate->left = true;
	if (is_two_level(smmu))
		scrub_l1(smmu);
	else
		scrub_stes(smmu, 0, smmu->strtab_cfg.linear.num_ents);
	/* Before anybody can free what an entry led to. */
	invalidate_all(smmu);
	mutex_unlock(&smmu->streams_mutex);
	mutex_unlock(&arm_smmu_asid_lock);

	if (abort_when_off(smmu))
		dev_err(smmu->dev, "liveupdate: GBPA is not responding\n");
	cr0 = readl_relaxed(smmu->base + ARM_SMMU_CR0) & ~(CR0_EVTQEN | CR0_PRIQEN);
	if (write_reg_sync(smmu, 0, ARM_SMMU_IRQ_CTRL, ARM_SMMU_IRQ_CTRLACK) |
	    write_reg_sync(smmu, cr0, ARM_SMMU_CR0, ARM_SMMU_CR0ACK))
		dev_err(smmu->dev, "liveupdate: its event queue may go on\n");
}

/**
 * arm_smmu_liveupdate_shutdown() - Leave a unit translating for the next kernel
 * @smmu: The unit.
 *
 * Context: Shutdown. Other CPUs are alive.
 * Return: true if it stays on, and only preserved devices can do DMA; false if nothing
 * was done.
 */
bool arm_smmu_liveupdate_shutdown(struct arm_smmu_device *smmu)
{
	return iommu_liveupdate_shutdown(&smmu->iommu);
}

/* --- incoming --- */

static const char *smmuv3_compare_iommu(struct iommu_device *dev,
					const struct iommu_hw_ser *hw)
{
	const u32 attributes = FIELD_PREP(CR1_TABLE_SH, ARM_SMMU_SH_ISH) |
			       FIELD_PREP(CR1_TABLE_OC, CR1_CACHE_WB) |
			       FIELD_PREP(CR1_TABLE_IC, CR1_CACHE_WB);
	const u32 mask = CR1_TABLE_SH | CR1_TABLE_OC | CR1_TABLE_IC;
	struct arm_smmu_device *smmu = to_smmu(dev);
	const u32 e2h = smmu->features & ARM_SMMU_FEAT_E2H ? CR2_E2H : 0;
	const char *why;

	why = smmuv3_check_registers(smmuv3_hw_part(hw),
				     readq_relaxed(smmu->base + ARM_SMMU_STRTAB_BASE),
				     readl_relaxed(smmu->base + ARM_SMMU_STRTAB_BASE_CFG));
	if (why)
		return why;
	if ((readl_relaxed(smmu->base + ARM_SMMU_CR1) & mask) != attributes)
		return "hardware reads its stream table in another way than this kernel";
	if (readl_relaxed(smmu->base + ARM_SMMU_CR2) != (CR2_PTM | CR2_RECINVSID | e2h))
		return "hardware is set up for another mode than this kernel's";
	return NULL;
}

/* What this kernel would have written: see arm_smmu_write_strtab(). */
static u32 own_strtab_cfg(struct arm_smmu_device *smmu)
{
	if (!is_two_level(smmu))
		return FIELD_PREP(STRTAB_BASE_CFG_LOG2SIZE, smmu->sid_bits);
	return FIELD_PREP(STRTAB_BASE_CFG_FMT, STRTAB_BASE_CFG_FMT_2LVL) |
	       FIELD_PREP(STRTAB_BASE_CFG_LOG2SIZE,
			  ilog2(smmu->strtab_cfg.l2.num_l1_ents) + STRTAB_SPLIT) |
	       FIELD_PREP(STRTAB_BASE_CFG_SPLIT, STRTAB_SPLIT);
}

static const char *smmuv3_policy(struct iommu_device *dev,
				 const struct iommu_hw_ser *hw)
{
	struct arm_smmu_device *smmu = to_smmu(dev);

	if (!has_pages(smmu) || smmu->impl_ops)
		return "this kernel uses the IOMMU in another way";
	if (smmuv3_hw_part(hw)->strtab_cfg != own_strtab_cfg(smmu))
		return "this kernel uses another format of stream tables";
	return NULL;
}

static const char *smmuv3_check_all_tables(struct iommu_device *dev,
					   const struct iommu_ser_view *view,
					   const struct iommu_domain_ser *domain)
{
	const struct smmuv3_unit unit = describe_unit(to_smmu(dev));

	return smmuv3_check_tables(view->mem, &unit, domain);
}

/*
 * The stream of a device that was not probed yet, by the device tree. Where ACPI describes
 * the machine nobody knows before that.
 */
static bool has_stream(struct arm_smmu_device *smmu, struct pci_dev *pdev, u32 *sid)
{
	struct pci_host_bridge *bridge = pci_find_host_bridge(pdev->bus);
	struct device_node *np = bridge->dev.parent ? bridge->dev.parent->of_node : NULL;
	struct of_phandle_args args = {};

	if (!np || of_map_iommu_id(np, pci_dev_id(pdev), &args))
		return false;
	of_node_put(args.np);
	*sid = args.args[0];
	return args.np == smmu->dev->of_node;
}

/* What is running must not run into an entry that aborts. */
static void stop_streams(struct arm_smmu_device *smmu, u32 first, u32 n)
{
	struct pci_dev *pdev = NULL;
	u32 sid;

	for_each_pci_dev(pdev)
		if (has_stream(smmu, pdev, &sid) && sid - first < n)
			iommu_liveupdate_stop_stranger(pci_domain_nr(pdev->bus),
						       pci_dev_id(pdev));
}

/* What adopt_iommu() needs on its way through the entries */
struct adoption {
	struct arm_smmu_device *smmu;
	const struct iommu_hw_ser *hw;
	const struct iommu_ser_view *view;
	unsigned long *seen;
};

/*
 * Nobody else may get an ASID that hardware uses. Another device of the domain may have
 * it already; no other domain has, since none was made yet.
 */
static const char *reserve_asid(const struct adoption *a,
				const struct iommu_device_ser *ser)
{
	u16 asid = smmuv3_domain_part(&a->view->domains[ser->domain])->asid;

	guard(mutex)(&arm_smmu_asid_lock);
	switch (xa_insert(&arm_smmu_asid_xa, asid, ADOPTED, GFP_KERNEL)) {
	case 0:
		return NULL;
	case -EBUSY:
		return xa_load(&arm_smmu_asid_xa, asid) == ADOPTED ?
			       NULL : "this kernel uses its ASID already";
	default:
		return "out of memory";
	}
}

static void adopt_ste(const struct adoption *a, u32 sid, __le64 *ste)
{
	const struct smmuv3_unit unit = describe_unit(a->smmu);
	const struct smmuv3_device_ser *part;
	const struct iommu_device_ser *ser = NULL;
	const char *why = NULL;

	while ((ser = iommu_liveupdate_next_incoming(a->hw, ser)))
		if (smmuv3_device_part(ser)->sid == sid)
			break;
	if (ser) {
		part = smmuv3_device_part(ser);
		why = smmuv3_check_device(a->view, &unit, ser, (u64 *)ste,
					  phys_to_virt(part->cd_pa)) ?:
		      reserve_asid(a, ser);
	}
	if (ser && !why) {
		set_bit(ser - a->view->devices, a->seen);
		return;
	}
	/*
	 * Stopped first, if PCI has found it already. Hardware forgets the entry when the
	 * command queue comes up, and nothing is freed before.
	 */
	if (ser) {
		iommu_liveupdate_drop_incoming(ser, why);
	} else {
		stop_streams(a->smmu, sid, 1);
		dev_err(a->smmu->dev, "liveupdate: entry of stream %#x blocked: it was not handed over\n",
			sid);
	}
	block_ste(ste);
}

static void adopt_stes(const struct adoption *a, u32 first, struct arm_smmu_ste *stes,
		       u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (smmuv3_ste_blocks((u64 *)stes[i].data))
			block_ste(stes[i].data);
		else
			adopt_ste(a, first + i, stes[i].data);
}

static void *take_strtab(struct arm_smmu_device *smmu, phys_addr_t pa, size_t size)
{
	void *table = iommu_pages_restore(pa, size);

	/* Hardware uses it: without an action it is not freed, neither now nor later. */
	if (!table || devm_add_action(smmu->dev, free_strtab, table))
		return NULL;
	return table;
}

static void adopt_l1(const struct adoption *a, struct arm_smmu_strtab_l1 *l1)
{
	struct arm_smmu_strtab_cfg *cfg = &a->smmu->strtab_cfg;
	u32 i;

	for (i = 0; i < cfg->l2.num_l1_ents; i++) {
		u64 desc = le64_to_cpu(l1[i].l2ptr);
		struct arm_smmu_strtab_l2 *l2 = NULL;
		const char *why;

		if (!desc)
			continue;
		why = smmuv3_check_l1(a->view, a->hw - a->view->iommus, i, desc);
		if (!why) {
			l2 = take_strtab(a->smmu, desc & STRTAB_L1_DESC_L2PTR_MASK,
					 sizeof(*l2));
			if (!l2)
				why = "out of memory";
		}
		if (why) {
			stop_streams(a->smmu, i << STRTAB_SPLIT, STRTAB_NUM_L2_STES);
			dev_err(a->smmu->dev, "liveupdate: streams from %#x on blocked: %s\n",
				i << STRTAB_SPLIT, why);
			WRITE_ONCE(l1[i].l2ptr, 0);
			continue;
		}
		cfg->l2.l2ptrs[i] = l2;
		adopt_stes(a, i << STRTAB_SPLIT, l2->stes, STRTAB_NUM_L2_STES);
	}
}

static const char *smmuv3_adopt_iommu(struct iommu_device *dev,
				      const struct iommu_hw_ser *hw,
				      const struct iommu_ser_view *view)
{
	const struct smmuv3_hw_ser *part = smmuv3_hw_part(hw);
	struct arm_smmu_device *smmu = to_smmu(dev);
	struct arm_smmu_strtab_cfg *cfg = &smmu->strtab_cfg;
	struct adoption a = { .smmu = smmu, .hw = hw, .view = view };
	const struct iommu_device_ser *ser = NULL;
	void *table;

	a.seen = bitmap_zalloc(IOMMU_SER_MAX_DEVICES, GFP_KERNEL);
	if (!a.seen)
		return "out of memory";
	table = take_strtab(smmu, part->strtab_pa,
			    max_t(size_t, PAGE_SIZE, smmuv3_strtab_size(part->strtab_cfg)));
	if (!table) {
		bitmap_free(a.seen);
		return "its stream table cannot be restored";
	}
	devm_release_action(smmu->dev, free_strtab, strtab(smmu));
	if (is_two_level(smmu)) {
		cfg->l2.l1tab = table;
		cfg->l2.l1_dma = part->strtab_pa;
		adopt_l1(&a, table);
	} else {
		cfg->linear.table = table;
		cfg->linear.ste_dma = part->strtab_pa;
		adopt_stes(&a, 0, table, cfg->linear.num_ents);
	}
	while ((ser = iommu_liveupdate_next_incoming(hw, ser)))
		if (!test_bit(ser - view->devices, a.seen))
			iommu_liveupdate_drop_incoming(ser,
						       "its stream table entry does not translate");
	bitmap_free(a.seen);
	smmu->liveupdate->hw = hw;
	smmu->liveupdate->unit = hw - view->iommus;
	list_add_tail(&smmu->liveupdate->list, &adopted);
	return NULL;
}

/*
 * GBPA.ABORT is set since the unit was found on: when it is off nothing gets through,
 * whatever the entries say.
 */
static void smmuv3_unadopt_iommu(struct iommu_device *dev,
				 const struct iommu_hw_ser *hw)
{
	struct arm_smmu_device *smmu = to_smmu(dev);

	if (!write_reg_sync(smmu, 0, ARM_SMMU_CR0, ARM_SMMU_CR0ACK))
		return;
	dev_err(smmu->dev, "liveupdate: it cannot be switched off, and keeps its tables\n");
	is_stuck = true;
}

/* The driver fails to come up. */
static void give_up(void *data)
{
	struct arm_smmu_device *smmu = data;

	list_del_init(&smmu->liveupdate->list);
	iommu_liveupdate_unadopt(&smmu->iommu, &arm_smmu_liveupdate_ops);
}

/**
 * arm_smmu_liveupdate_take() - Go on with a unit that was found on
 * @smmu: The unit, whose tables were allocated. Nothing was written to it yet.
 *
 * If it can be adopted, the stream table is that of the handover when this returns, and
 * arm_smmu_liveupdate_kept() says so. In any case nothing gets through when the unit is
 * off.
 *
 * Return: 0; -ENOMEM; -EIO if that cannot be had: the driver does not touch the unit then.
 */
int arm_smmu_liveupdate_take(struct arm_smmu_device *smmu)
{
	struct arm_smmu_liveupdate *lu;

	lu = devm_kzalloc(smmu->dev, sizeof(*lu), GFP_KERNEL);
	if (!lu)
		return -ENOMEM;
	lu->smmu = smmu;
	INIT_LIST_HEAD(&lu->list);
	smmu->liveupdate = lu;
	atomic_inc(&nr_units);
	if (!is_kho_boot() || is_kdump_kernel() ||
	    !(readl_relaxed(smmu->base + ARM_SMMU_CR0) & CR0_SMMUEN))
		return 0;
	/* To switch it off, now or later, would be to let all through. */
	if (abort_when_off(smmu)) {
		dev_err(smmu->dev, "liveupdate: GBPA is not responding; it stays as it was found, and is not used\n");
		iommu_liveupdate_unadopt(&smmu->iommu, &arm_smmu_liveupdate_ops);
		return -EIO;
	}
	lu->kept = iommu_liveupdate_adopt(&smmu->iommu, &arm_smmu_liveupdate_ops);
	return lu->kept ? devm_add_action_or_reset(smmu->dev, give_up, smmu) : 0;
}

/* Hardware has let go of what the stream and the domain's tables were. */
static void block_stream(struct arm_smmu_device *smmu,
			 const struct iommu_device_ser *ser)
{
	u32 sid = smmuv3_device_part(ser)->sid;

	mutex_lock(&arm_smmu_asid_lock);
	block_ste(ste_of(smmu, sid));
	invalidate_all(smmu);
	mutex_unlock(&arm_smmu_asid_lock);
}

/* After PCI had its turn: what it has not taken over has no translation any more. */
static int __init arm_smmu_liveupdate_late(void)
{
	const struct iommu_device_ser *ser = NULL;
	struct arm_smmu_liveupdate *lu;

	list_for_each_entry(lu, &adopted, list) {
		while ((ser = iommu_liveupdate_next_incoming(lu->hw, ser))) {
			if (iommu_liveupdate_may_go_on(ser))
				continue;
			block_stream(lu->smmu, ser);
			iommu_liveupdate_drop_incoming(ser,
						       "the PCI device is gone or was refused");
		}
		/* The handover can be finished from here on. */
		lu->hw = NULL;
	}
	return 0;
}
late_initcall_sync(arm_smmu_liveupdate_late);

static bool smmuv3_is_behind(struct iommu_device *dev, struct device *device)
{
	struct iommu_fwspec *fwspec = dev_iommu_fwspec_get(device);
	u32 sid;

	if (!fwspec)
		return has_stream(to_smmu(dev), to_pci_dev(device), &sid);
	return fwspec->iommu_fwnode == dev_fwnode(to_smmu(dev)->dev);
}

static struct iommu_domain *
smmuv3_restore_domain(struct iommu_device *dev, const struct iommu_domain_ser *ser)
{
	u16 asid = smmuv3_domain_part(ser)->asid;
	struct arm_smmu_device *smmu = to_smmu(dev);
	const struct pt_iommu_armv8_cfg cfg = arm_smmu_pt_cfg(smmu->oas, ser->vasz_lg2);
	struct arm_smmu_domain *d;
	int ret;

	d = arm_smmu_domain_alloc();
	if (IS_ERR(d))
		return ERR_CAST(d);
	d->stage = ARM_SMMU_DOMAIN_S1;
	d->smmu = smmu;
	d->cd.asid = asid;
	d->iommu.nid = NUMA_NO_NODE;
	ret = pt_iommu_armv8_restore(&d->armv8, &cfg, ser->top_pa);
	if (ret) {
		arm_smmu_domain_free(d);
		return ERR_PTR(ret);
	}
	d->domain.ops = &arm_smmu_restored_ops;
	/* In place of what stood for it: that needs no memory. */
	mutex_lock(&arm_smmu_asid_lock);
	if (xa_load(&arm_smmu_asid_xa, asid) == ADOPTED)
		xa_store(&arm_smmu_asid_xa, asid, d, GFP_KERNEL);
	mutex_unlock(&arm_smmu_asid_lock);
	return &d->domain;
}

/**
 * arm_smmu_restored_free() - Free a domain that was restored
 * @domain: The domain, which hardware does not use any more.
 */
void arm_smmu_restored_free(struct iommu_domain *domain)
{
	struct arm_smmu_domain *d = to_smmu_domain(domain);

	if (WARN_ON(!list_empty(&d->devices)))
		return;
	pt_iommu_deinit(&d->iommu);
	mutex_lock(&arm_smmu_asid_lock);
	if (xa_load(&arm_smmu_asid_xa, d->cd.asid) == d)
		xa_erase(&arm_smmu_asid_xa, d->cd.asid);
	mutex_unlock(&arm_smmu_asid_lock);
	arm_smmu_domain_free(d);
}

/**
 * arm_smmu_restored_iova_to_phys() - What does a restored domain translate an IOVA to?
 * @domain: The domain. Its tables are not trusted: a page is read only if KHO has kept it.
 * @iova: The address.
 *
 * Return: The physical address, or 0 if there is none.
 */
phys_addr_t arm_smmu_restored_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	struct pt_iommu_armv8_hw_info info;
	unsigned int level;
	u64 entry, pa, mask, *table;
	bool leaf;

	if (iova > domain->geometry.aperture_end)
		return 0;
	pt_iommu_armv8_hw_info(&to_smmu_domain(domain)->armv8, &info);
	for (level = info.levels - 1, pa = info.ttb;; level--) {
		mask = GENMASK_ULL(11 + 9 * level, 0);
		table = phys_to_virt(pa);
		entry = READ_ONCE(table[iova >> (12 + 9 * level) & 511]);
		leaf = (entry & (ITEM_VALID | ITEM_TABLE)) ==
		       (level ? ITEM_VALID : ITEM_VALID | ITEM_TABLE);
		if (!(entry & ITEM_VALID) || (leaf && level == 3) || (!leaf && !level))
			return 0;
		pa = entry & ITEM_ADDR;
		if (leaf)
			return (pa & ~mask) | (iova & mask);
		if (!kho_is_preserved(pa, 0))
			return 0;
	}
}

/**
 * arm_smmu_restored_cds() - Take over the context descriptors of a device
 * @master: The device, which has none yet.
 * @domain: The restored domain that they lead to.
 *
 * Return: 0; -EINVAL if PCI does not take the device over, if the table was not
 * preserved, or this kernel would have one of another size.
 */
int arm_smmu_restored_cds(struct arm_smmu_master *master,
			  struct arm_smmu_domain *domain)
{
	const struct iommu_device_ser *ser = iommu_liveupdate_incoming_device(master->dev);
	const struct smmuv3_device_ser *part = smmuv3_device_part(ser);
	struct arm_smmu_ctx_desc_cfg *cds = &master->cd_table;
	size_t size = SMMUV3_ENTRY_SIZE << part->s1cdmax;

	if (!iommu_liveupdate_may_go_on(ser) || arm_smmu_cdtab_allocated(cds) ||
	    master->num_streams != 1 || master->streams[0].id != part->sid ||
	    part->s1cdmax != master->ssid_bits)
		return -EINVAL;
	cds->linear.table = iommu_pages_restore(part->cd_pa,
						max_t(size_t, PAGE_SIZE, size));
	if (!cds->linear.table)
		return -EINVAL;
	cds->linear.num_ents = 1 << part->s1cdmax;
	cds->cdtab_dma = part->cd_pa;
	cds->s1fmt = STRTAB_STE_0_S1FMT_LINEAR;
	cds->s1cdmax = part->s1cdmax;
	cds->in_ste = true;
	return 0;
}

/**
 * arm_smmu_liveupdate_gap() - A restored domain could be left with a gap only
 * @dev: The device that is on it.
 *
 * Return: -EOPNOTSUPP; the log and the view say why.
 */
int arm_smmu_liveupdate_gap(struct device *dev)
{
	return liveupdate_require(false, &rule_smmuv3_stage, "the translation of %s",
				  dev_name(dev));
}

/*
 * It may be one whose probe has failed, or that turns up behind another unit: the entry is in
 * the unit of the handover.
 */
static void smmuv3_refuse_device(struct device *dev)
{
	const struct iommu_device_ser *ser = iommu_liveupdate_incoming_device(dev);
	struct arm_smmu_liveupdate *lu;

	list_for_each_entry(lu, &adopted, list)
		if (ser && lu->unit == ser->iommu)
			block_stream(lu->smmu, ser);
}

/* --- both --- */

static void smmuv3_show_iommu(struct liveupdate_view *v,
			      const struct iommu_hw_ser *hw)
{
	liveupdate_show_word(v, "type", "smmuv3");
	liveupdate_show_pa(v, "root", smmuv3_hw_part(hw)->strtab_pa);
}

static void smmuv3_show_domain(struct liveupdate_view *v,
			       const struct iommu_domain_ser *domain)
{
	liveupdate_show_word(v, "format", "armv8-s1");
}

const struct iommu_liveupdate_ops arm_smmu_liveupdate_ops = {
	.name = "smmuv3",
	.checks = &smmuv3_ser_driver,
	.compatible = SMMUV3_LIVEUPDATE_COMPATIBLE,
	.identify = smmuv3_identify,
	.preserve_iommu = smmuv3_preserve_iommu,
	.unpreserve_iommu = smmuv3_unpreserve_iommu,
	.preserve_domain = smmuv3_preserve_domain,
	.unpreserve_domain = smmuv3_unpreserve_domain,
	.can_replace = smmuv3_can_replace,
	.preserve_device = smmuv3_preserve_device,
	.unpreserve_device = smmuv3_unpreserve_device,
	.compare_device = smmuv3_compare_device,
	.scrub_iommu = smmuv3_scrub_iommu,
	.compare_iommu = smmuv3_compare_iommu,
	.policy = smmuv3_policy,
	.check_tables = smmuv3_check_all_tables,
	.adopt_iommu = smmuv3_adopt_iommu,
	.unadopt_iommu = smmuv3_unadopt_iommu,
	.is_behind = smmuv3_is_behind,
	.restore_domain = smmuv3_restore_domain,
	.refuse_device = smmuv3_refuse_device,
	.show_iommu = smmuv3_show_iommu,
	.show_domain = smmuv3_show_domain,
};

/* Before the units are set up. */
static int __init arm_smmu_liveupdate_init(void)
{
	wants_pages = liveupdate_enabled();
	return iommu_liveupdate_register(&arm_smmu_liveupdate_ops);
}
core_initcall(arm_smmu_liveupdate_init);
