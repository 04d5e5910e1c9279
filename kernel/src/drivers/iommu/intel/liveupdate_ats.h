/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * ATS of a device that goes on: a part of liveupdate.c, which is also built natively, with
 * a mock of the device (tests/replace).
 */
#ifndef __INTEL_IOMMU_LIVEUPDATE_ATS_H
#define __INTEL_IOMMU_LIVEUPDATE_ATS_H

/*
 * Is the ATS of a device that may use it as the handover says? It is not written. The
 * translation unit of a virtual function is that of its PF; its own field is zero
 * (PCI Express Base Specification, "ATS Control Register").
 */
static const char *compare_ats(struct pci_dev *pdev,
			       const struct intel_device_ser *part)
{
	bool on = part->flags & INTEL_DEVICE_SER_ATS;
	struct pci_dev *pf = pci_physfn(pdev);
	u16 ctrl, unit;

	if (!part->flags)
		return NULL;
	if (!pdev->ats_cap || !pf->ats_cap)
		return "its ATS capability is gone";
	pci_read_config_word(pdev, pdev->ats_cap + PCI_ATS_CTRL, &ctrl);
	pci_read_config_word(pf, pf->ats_cap + PCI_ATS_CTRL, &unit);
	if (PCI_POSSIBLE_ERROR(ctrl) || PCI_POSSIBLE_ERROR(unit))
		return "its config space cannot be read";
	if (on != !!(ctrl & PCI_ATS_CTRL_ENABLE))
		return on ? "its ATS was switched off" : "its ATS was switched on";
	if (on && PCI_ATS_CTRL_STU(unit) != part->ats_stu)
		return "its ATS has another translation unit";
	return NULL;
}

/*
 * What the handover has to say of the ATS of a device. One that could hit a translation
 * within a page does not get it (Page Aligned Request), and its entry allows it all the
 * same.
 */
static int describe_ats(struct device_domain_info *info,
			struct intel_device_ser *part)
{
	struct pci_dev *pdev = to_pci_dev(info->dev);
	int ret;

	ret = liveupdate_require(!info->pri_supported, &rule_vtd_pri, "%s",
				 dev_name(info->dev));
	if (ret || !info->ats_supported)
		return ret;
	part->flags = INTEL_DEVICE_SER_DEVICE_TLB;
	if (info->ats_enabled) {
		part->flags |= INTEL_DEVICE_SER_ATS;
		part->ats_stu = pci_physfn(pdev)->ats_stu - PCI_ATS_MIN_STU;
	}
	return 0;
}

/* Can this kernel have the device forget what it has cached, from now on? */
static const char *check_ats(struct intel_iommu *iommu,
			     const struct iommu_device_ser *ser)
{
	const struct intel_device_ser *part = intel_device_part(ser);
	struct pci_dev *pdev;
	const char *why;

	if (!part->flags)
		return NULL;
	if (pci_ats_disabled())
		return "it may use ATS, which is off in this kernel; see pci=noats";
	pdev = pci_get_domain_bus_and_slot(ser->segment, PCI_BUS_NUM(ser->bdf),
					   ser->bdf & 0xff);
	if (!pdev)
		return "the PCI device is gone or was refused";
	/* By what the probe goes by, so that it comes to the same. */
	if (pci_ats_supported(pdev) && dmar_ats_supported(pdev, iommu))
		why = compare_ats(pdev, part);
	else
		why = "it may use ATS, which this kernel does not let it do";
	pci_dev_put(pdev);
	return why;
}

/**
 * intel_liveupdate_as_found() - Leave the features of a running device alone
 * @info: Its VT-d data, being set up.
 *
 * pci_prepare_ats() writes nothing to a device that PCI has taken over, and leaves it
 * to this to note down the translation unit, which virtual functions share. A PF that is
 * here for them alone was not handed over: its ATS is switched off, so that it forgets
 * what it was told in the previous kernel before it can be given an entry.
 *
 * A device that was handed over came without page requests. It came with or without ATS,
 * and its entry says the same; check_ats() has seen to it that this kernel can go on with
 * that. None of these is switched on or off, nor are PASIDs, while it runs: not until it
 * is removed and found again.
 */
void intel_liveupdate_as_found(struct device_domain_info *info)
{
	const struct iommu_device_ser *ser;
	struct pci_dev *pdev;
	u16 ctrl;
	u8 flags;

	if (!dev_is_pci(info->dev))
		return;
	pdev = to_pci_dev(info->dev);
	if (pdev->ats_cap && !pdev->is_virtfn && pci_liveupdate_incoming(pdev)) {
		pci_read_config_word(pdev, pdev->ats_cap + PCI_ATS_CTRL, &ctrl);
		pdev->ats_stu = PCI_ATS_CTRL_STU(ctrl) + PCI_ATS_MIN_STU;
		if (pci_liveupdate_blocked(pdev))
			pci_write_config_word(pdev, pdev->ats_cap + PCI_ATS_CTRL,
					      ctrl & ~PCI_ATS_CTRL_ENABLE);
	}

	ser = iommu_liveupdate_incoming_device(info->dev);
	if (!ser)
		return;
	info->pri_supported = 0;
	info->pasid_supported = 0;

	flags = intel_device_part(ser)->flags;
	/* Even then: what it has cached has to be invalidated. */
	WARN_ON(flags && !info->ats_supported);
	info->ats_supported = flags & INTEL_DEVICE_SER_DEVICE_TLB;
	info->ats_enabled = !!(flags & INTEL_DEVICE_SER_ATS);
	if (info->ats_enabled)
		pdev->ats_enabled = 1;
}

/*
 * It is refused after it was found running with ATS: by the core, or because its probe
 * fails. Its entry is gone, and it was told to forget what it has cached. It starts as any
 * device: an entry that passes its DMA through, as in legacy mode, does not answer what a
 * device with ATS asks. Where ATS is of use the driver switches it on again.
 */
static void ats_off(struct device_domain_info *info)
{
	if (!info->ats_enabled)
		return;
	pci_disable_ats(to_pci_dev(info->dev));
	info->ats_enabled = 0;
}

#endif /* __INTEL_IOMMU_LIVEUPDATE_ATS_H */
