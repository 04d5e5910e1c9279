// SPDX-License-Identifier: GPL-2.0-only
/*
 * ATS of devices that are handed over, with registers that are a model: what the handover says
 * of them, each reason why a kernel does not go on with it, and what is written, which is
 * nothing as long as the device goes on.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;

/* PCI Express Base Specification, "ATS Control Register" */
#define PCI_ATS_CTRL		6
#define PCI_ATS_CTRL_ENABLE	0x8000
#define PCI_ATS_CTRL_STU(x)	((x) & 0x1f)
#define PCI_ATS_MIN_STU		12
#define PCI_POSSIBLE_ERROR(v)	((v) == (u16)~0)
#define PCI_BUS_NUM(x)		((x) >> 8 & 0xff)
#define EOPNOTSUPP		95
#define WARN_ON(c)		(warned += !!(c))

enum { INTEL_DEVICE_SER_DEVICE_TLB = 1, INTEL_DEVICE_SER_ATS = 2, CAP = 0x100 };

struct device { int unused; };
struct pci_dev {
	struct device dev;
	struct pci_dev *physfn;
	u16 ats_cap, ats_ctrl;		/* where the capability is, and its register */
	u8 ats_stu;
	bool is_virtfn, ats_enabled;
	bool incoming, blocked, supported;
};
struct intel_iommu { bool ats; };
struct device_domain_info {
	struct device *dev;
	struct intel_iommu *iommu;
	bool ats_supported, ats_enabled, pri_supported, pasid_supported;
};
struct intel_device_ser { u8 flags, ats_stu; };
struct iommu_device_ser { u16 segment, bdf; struct intel_device_ser part; };

static struct pci_dev pf, vf, *found;
static struct intel_iommu unit;
static struct iommu_device_ser ser, *handed;
static unsigned int warned, written, failed, checks;
static bool noats;
static const char *rule;

#define to_pci_dev(d)		((struct pci_dev *)(d))
#define dev_is_pci(d)		((void)(d), true)
#define dev_name(d)		((void)(d), "it")
#define pci_physfn(p)		((p)->is_virtfn ? (p)->physfn : (p))
#define pci_liveupdate_incoming(p) ((p)->incoming)
#define pci_liveupdate_blocked(p) ((p)->blocked)
#define pci_ats_disabled()	noats
#define pci_ats_supported(p)	((p)->supported)
#define dmar_ats_supported(p, i) ((i)->ats)
#define pci_get_domain_bus_and_slot(s, b, d) found
#define pci_dev_put(p)		((void)(p))
#define intel_device_part(s)	(&(s)->part)
#define iommu_liveupdate_incoming_device(d) ((void)(d), handed)
#define liveupdate_require(holds, which, ...) ((holds) ? 0 : (rule = #which, -EOPNOTSUPP))

static void pci_read_config_word(struct pci_dev *p, int at, u16 *value)
{
	*value = at == CAP + PCI_ATS_CTRL ? p->ats_ctrl : 0xdead;
}

static void pci_write_config_word(struct pci_dev *p, int at, u16 value)
{
	written++;
	if (at == CAP + PCI_ATS_CTRL)
		p->ats_ctrl = value;
}

static void __attribute__((unused)) pci_disable_ats(struct pci_dev *p)
{
	WARN_ON(!p->ats_enabled);
	pci_write_config_word(p, p->ats_cap + PCI_ATS_CTRL, p->ats_ctrl & ~PCI_ATS_CTRL_ENABLE);
	p->ats_enabled = false;
}

#include "liveupdate_ats.h"

static void expect(bool holds, const char *what)
{
	checks++;
	if (holds)
		return;
	failed++;
	printf("FAIL %s\n", what);
}

static void expect_text(const char *got, const char *text, const char *what)
{
	checks++;
	if ((!got && !text) || (got && text && !strcmp(got, text)))
		return;
	failed++;
	printf("FAIL %s: '%s', expected '%s'\n", what, got ?: "nothing", text ?: "nothing");
}

/* A device that came with ATS on, and its physical function, which is here for it */
static struct device_domain_info begin(struct pci_dev *pdev)
{
	pf = (struct pci_dev){ .ats_cap = CAP, .ats_ctrl = PCI_ATS_CTRL_ENABLE, .ats_stu = 12, .incoming = true, .supported = true };
	vf = pf;
	vf.is_virtfn = true;
	vf.physfn = &pf;
	vf.ats_stu = 0;
	unit.ats = true;
	ser = (struct iommu_device_ser){ .part.flags = INTEL_DEVICE_SER_DEVICE_TLB | INTEL_DEVICE_SER_ATS };
	handed = &ser;
	found = pdev;
	noats = false;
	written = 0;
	rule = NULL;
	return (struct device_domain_info){ &pdev->dev, &unit, .ats_supported = true, .ats_enabled = true };
}

static void describes(void)
{
	struct device_domain_info info = begin(&pf);
	struct intel_device_ser part = {};

	expect(!describe_ats(&info, &part) && part.flags == 3 && !part.ats_stu, "ATS that is on is in the handover");
	info = begin(&vf);
	pf.ats_stu = 14;
	expect(!describe_ats(&info, &part) && part.ats_stu == 2, "the translation unit of a VF is that of its PF");
	info.ats_enabled = false;
	part = (struct intel_device_ser){};
	expect(!describe_ats(&info, &part) && part.flags == INTEL_DEVICE_SER_DEVICE_TLB && !part.ats_stu, "ATS that may be used, and is off");
	info.ats_supported = false;
	part = (struct intel_device_ser){};
	expect(!describe_ats(&info, &part) && !part.flags, "no ATS");
	info.pri_supported = true;
	expect(describe_ats(&info, &part) == -EOPNOTSUPP && !strcmp(rule, "&rule_vtd_pri"), "page requests");
}

static void compares(struct pci_dev *pdev)
{
	struct intel_device_ser *part = &ser.part;

	begin(pdev);
	expect_text(compare_ats(pdev, part), NULL, "as it was");
	pdev->ats_ctrl = 0;
	expect_text(compare_ats(pdev, part), "its ATS was switched off", "off");
	part->flags = INTEL_DEVICE_SER_DEVICE_TLB;
	expect_text(compare_ats(pdev, part), NULL, "off as it was");
	pdev->ats_ctrl = PCI_ATS_CTRL_ENABLE;
	expect_text(compare_ats(pdev, part), "its ATS was switched on", "on");
	part->flags = 0;
	expect_text(compare_ats(pdev, part), NULL, "a device that may not use it");
	begin(pdev);
	pf.ats_ctrl |= 2;		/* 16 KiB */
	expect_text(compare_ats(pdev, part), "its ATS has another translation unit", "another unit");
	part->ats_stu = 2;
	expect_text(compare_ats(pdev, part), NULL, "the same unit of 16 KiB");
	part->flags = INTEL_DEVICE_SER_DEVICE_TLB;
	part->ats_stu = 0;
	vf.ats_ctrl = pf.ats_ctrl &= ~PCI_ATS_CTRL_ENABLE;
	expect_text(compare_ats(pdev, part), NULL, "the unit of what is off does not matter");
	begin(pdev);
	pf.ats_ctrl = 0xffff;
	expect_text(compare_ats(pdev, part), "its config space cannot be read", "it, or its PF, does not answer");
	begin(pdev);
	pdev->ats_ctrl = 0xffff;
	expect_text(compare_ats(pdev, part), "its config space cannot be read", "it does not answer");
	begin(pdev);
	pf.ats_cap = 0;
	expect_text(compare_ats(pdev, part), "its ATS capability is gone", "no capability");
	expect(!written, "comparing writes nothing");
}

static void checks_of_next(struct pci_dev *pdev)
{
	begin(pdev);
	expect_text(check_ats(&unit, &ser), NULL, "a kernel that can go on with it");
	noats = true;
	expect_text(check_ats(&unit, &ser), "it may use ATS, which is off in this kernel; see pci=noats", "pci=noats");
	noats = false;
	found = NULL;
	expect_text(check_ats(&unit, &ser), "the PCI device is gone or was refused", "gone");
	found = pdev;
	unit.ats = false;
	expect_text(check_ats(&unit, &ser), "it may use ATS, which this kernel does not let it do", "the firmware does not allow it");
	begin(pdev);
	pdev->supported = false;
	expect_text(check_ats(&unit, &ser), "it may use ATS, which this kernel does not let it do", "an untrusted device");
	begin(pdev);
	pdev->ats_ctrl = 0;
	expect_text(check_ats(&unit, &ser), "its ATS was switched off", "it is compared");
	ser.part.flags = 0;
	noats = true;
	expect_text(check_ats(&unit, &ser), NULL, "a device that may not use it, and pci=noats");
}

static void finds(void)
{
	struct device_domain_info info = begin(&pf);

	info.ats_enabled = false;
	info.pri_supported = info.pasid_supported = true;
	pf.ats_ctrl |= 2;
	intel_liveupdate_as_found(&info);
	expect(info.ats_enabled && pf.ats_enabled && pf.ats_stu == 14 && !info.pri_supported && !info.pasid_supported && !written,
	       "a device that goes on with ATS");
	ats_off(&info);
	ats_off(&info);
	expect(written == 1 && !info.ats_enabled && !pf.ats_enabled && pf.ats_ctrl == 2, "refused after that, its ATS is off, and written once");

	info = begin(&vf);
	info.ats_enabled = false;
	intel_liveupdate_as_found(&info);
	expect(info.ats_enabled && vf.ats_enabled && !vf.ats_stu && !pf.ats_enabled && !written, "a VF that goes on with ATS");

	info = begin(&pf);
	info.ats_enabled = false;
	ser.part.flags = INTEL_DEVICE_SER_DEVICE_TLB;
	pf.ats_ctrl = 0;
	intel_liveupdate_as_found(&info);
	expect(info.ats_supported && !info.ats_enabled && !pf.ats_enabled && !written, "a device that goes on without, and may use it");

	info = begin(&pf);
	info.ats_enabled = false;
	ser.part.flags = 0;
	intel_liveupdate_as_found(&info);
	expect(!info.ats_supported && !info.ats_enabled && !written, "a device that came without");

	info = begin(&pf);
	info.ats_enabled = false;
	handed = NULL;
	pf.blocked = true;
	intel_liveupdate_as_found(&info);
	expect(written == 1 && !(pf.ats_ctrl & PCI_ATS_CTRL_ENABLE) && !info.ats_enabled && info.ats_supported,
	       "a PF that is here for its VFs forgets what it was told");

	info = begin(&pf);
	info.ats_enabled = false;
	info.pri_supported = true;
	handed = NULL;
	pf.incoming = false;
	pf.ats_stu = 0;
	intel_liveupdate_as_found(&info);
	expect(!written && !pf.ats_stu && !info.ats_enabled && info.ats_supported && info.pri_supported, "a device like any other");
	expect(!warned, "no warning");
	handed = &ser;
	info.ats_supported = false;
	intel_liveupdate_as_found(&info);
	expect(warned == 1 && info.ats_enabled, "a device that must not use it, and does, is told to forget");
}

int main(void)
{
	describes();
	compares(&pf);
	compares(&vf);
	checks_of_next(&pf);
	checks_of_next(&vf);
	finds();
	printf("%s: %u checks of ATS, %u failed\n", failed ? "FAIL" : "ok", checks, failed);
	return !!failed;
}
