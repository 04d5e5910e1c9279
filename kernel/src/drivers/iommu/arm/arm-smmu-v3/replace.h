/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * A part of arm-smmu-v3.c, with the functions that only that file has: to replace the
 * domain of a device while the device is doing DMA.
 */

/**
 * DOC: Replacing a domain of the SMMUv3 without a gap
 *
 * References are to the "Arm System Memory Management Unit Architecture Specification,
 * SMMU architecture version 3".
 *
 * A context descriptor has the ASID in one word and the table in another, and hardware
 * need not read more than a word in one piece. To write the one and then the other would
 * let requests through by the tables of one domain with the ASID of the other, so 7.3
 * makes the descriptor invalid first: that is a gap.
 *
 * A device that is attached to a domain of stage 1 and gets another one gets a new table
 * of context descriptors instead, which is written before hardware can see it. What
 * leads to the table is one word of the stream table entry, and all else of the entry
 * stays. CMD_CFGI_STE makes hardware forget the entry, and with it all descriptors that
 * it has of the stream. Each request is translated by the one domain or by the other,
 * with the ASID that belongs to it: no translation of one is ever found under the ASID of
 * the other, so that the leaves of the two may differ in size, whatever the level of BBM
 * is ("break-before-make"). After the entry was written, and that is waited for,
 * the old table is freed, and what is cached under an ASID that nobody has any more is
 * invalidated.
 *
 * *With a gap*, as before there was this file: from and to a domain of stage 2, and for a
 * device that has PASIDs in use. From and to a domain without tables hardware
 * changes the entry in one word, too, but then there are no translations to keep.
 *
 * *Refused, nothing changed.* A device that leaves the domain that it came with from the
 * previous kernel may not have a gap. The attach fails with -EOPNOTSUPP, by the rule
 * smmuv3_stage.
 *
 * *Locking.* As in arm_smmu_attach_dev(): the caller holds the group mutex, and
 * arm_smmu_asid_lock is taken here.
 */

#ifdef CONFIG_ARM_SMMU_V3_LIVEUPDATE
static bool arm_smmu_replace_applies(struct arm_smmu_master *master,
				     struct arm_smmu_domain *new,
				     struct iommu_domain *old)
{
	return old && old->type & __IOMMU_DOMAIN_PAGING &&
	       to_smmu_domain(old)->stage == ARM_SMMU_DOMAIN_S1 &&
	       new->stage == ARM_SMMU_DOMAIN_S1 && new->smmu == master->smmu &&
	       &new->domain != old && master->cd_table.in_ste &&
	       !arm_smmu_ssids_in_use(&master->cd_table);
}

static int arm_smmu_replace(struct arm_smmu_master *master,
			    struct arm_smmu_domain *new, struct iommu_domain *old)
{
	struct arm_smmu_ctx_desc_cfg before = master->cd_table, after = {};
	struct arm_smmu_attach_state state = {
		.old_domain = old,
		.master = master,
		.ssid = IOMMU_NO_PASID,
	};
	struct arm_smmu_ste target;
	struct arm_smmu_cd *cd;
	int ret;

	/* The two functions know the table that the device has, and no other. */
	master->cd_table = after;
	cd = arm_smmu_alloc_cd_ptr(master, IOMMU_NO_PASID);
	after = master->cd_table;
	master->cd_table = before;
	if (!cd) {
		ret = -ENOMEM;
		goto free;
	}

	mutex_lock(&arm_smmu_asid_lock);
	ret = arm_smmu_attach_prepare(&state, &new->domain);
	if (ret) {
		mutex_unlock(&arm_smmu_asid_lock);
		goto free;
	}
	arm_smmu_make_s1_cd(cd, master, new);
	master->cd_table = after;
	arm_smmu_make_cdtable_ste(&target, master, state.ats_enabled,
				  STRTAB_STE_1_S1DSS_SSID0);
	/* Returns when hardware has let go of the old table. */
	arm_smmu_install_ste_for_dev(master, &target);
	arm_smmu_attach_commit(&state);
	mutex_unlock(&arm_smmu_asid_lock);

	after = before;
free:
	before = master->cd_table;
	master->cd_table = after;
	if (arm_smmu_cdtab_allocated(&after))
		arm_smmu_free_cd_tables(master);
	master->cd_table = before;
	return ret;
}

/**
 * arm_smmu_replace_domain() - Replace a domain without a gap, if that can be done
 * @domain: The domain that the device is to get.
 * @dev: The device.
 * @old: The domain that the core says it has, or NULL.
 * @ret: What the attach returns, if that is decided here: 0; -ENOMEM; -EINVAL; or
 *	-EOPNOTSUPP for a restored domain that cannot be left without a gap. If it
 *	fails, nothing has changed.
 *
 * Return: true if *@ret is the result, false if the attach goes on with a gap.
 */
static bool arm_smmu_replace_domain(struct iommu_domain *domain, struct device *dev,
				    struct iommu_domain *old, int *ret)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);

	if (arm_smmu_replace_applies(master, to_smmu_domain(domain), old)) {
		*ret = arm_smmu_replace(master, to_smmu_domain(domain), old);
		return true;
	}
	if (!old || !iommu_domain_is_restored(old))
		return false;
	*ret = arm_smmu_liveupdate_gap(dev);
	return true;
}
#else
static bool arm_smmu_replace_domain(struct iommu_domain *domain, struct device *dev,
				    struct iommu_domain *old, int *ret)
{
	return false;
}
#endif
