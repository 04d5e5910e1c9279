/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A little physical memory with a handover in it: good to start with, and then
 * damaged page by page. What the checks ask for goes through here, so that a
 * read outside of a preserved page is seen by the address sanitizer.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <linux/liveupdate_check.h>
#include <linux/types.h>

#include "../../kernel/lab/src/kernel/liveupdate/lab/damage.h"

enum page_name {
	P_ROOT,		/* struct iommu_ser */
	P_IOMMUS,
	P_DOMAINS,
	P_DEVICES,
	P_UNIT,		/* root table of the unit */
	P_CTX,		/* context table of bus 0 (devfn 0-127 in scalable mode) */
	P_DIR0,		/* PASID directories and tables of the two devices */
	P_DIR1,
	P_PT0,
	P_PT1,
	P_TOP0,		/* the two domains: four levels, one path each */
	P_PDP0,
	P_PD0,
	P_LEAF0,
	P_TOP1,
	P_PDP1,
	P_PD1,
	P_LEAF1,
	P_PCI,
	P_IOMMUFD,
	P_VFIO,
	P_MEMFD,	/* preserved, but the data of somebody else */
	P_SPARE,	/* preserved, for what a damage puts there */
	P_V1_ROOT,	/* the same, as the version before has it */
	P_V1_IOMMUS,
	P_V1_DOMAINS,
	P_V1_DEVICES,
	P_MEMFD_SER,	/* struct memfd_luo_ser; page 0 to 3 of the file are P_FOLIO, 4 is P_MEMFD */
	P_MEMFD_CHUNK,	/* of the list of its folios */
	P_MEMFD_LIST,	/* the only page of that list */
	P_FOLIO,	/* preserved, four pages */
	P_HUGE_SER,	/* struct hugetlb_memfd_ser; its two folios have four pages each */
	P_HUGE_LIST,	/* the only one of its runs */
	P_HUGE0,
	P_HUGE1,
	P_POOLS,	/* struct hugetlb_ser */
	P_PCI_VFS,	/* struct pci_ser of another machine, which has virtual functions */
	P_PFS,		/* struct pci_sriov_list_ser */
	P_PF_DRIVER,	/* struct pci_pf_driver_ser of the first PF, which igb drives */
	P_LIST0,	/* the PASIDs of the two devices besides the first one */
	P_LIST1,
	P_PT2,		/* of the first device: PASIDs 64 to 127 */
	P_TOP2,		/* of a domain that only PASIDs have; nothing is mapped */
	P_NR,
};

/* Physical address of a page: far apart, so that an offset leads nowhere. */
#define PAGE_PA(n)	(0x100000000ull + (u64)(n) * 0x1000000)

/* The two devices and their domain ids */
#define DEV0_BDF	0x0020
#define DEV1_BDF	0x0028
#define DEV0_DID	2
#define DEV1_DID	3
#define PASIDS_DID	4	/* of what only PASIDs have */

/*
 * The machine with virtual functions: two PFs behind a bridge. Of the first one, which is
 * there for its VFs alone, one is on its bus and one beyond; each place between them is
 * that of a VF that is not preserved. The second one is preserved itself, and has one VF.
 */
#define PF0_BDF		0x0100
#define PF0_OFFSET	0x80
#define PF0_STRIDE	0x40
#define VF00_BDF	(PF0_BDF + PF0_OFFSET)
#define VF02_BDF	(PF0_BDF + PF0_OFFSET + 2 * PF0_STRIDE)
#define PF1_BDF		0x0101
#define PF1_OFFSET	0x81
#define VF10_BDF	(PF1_BDF + PF1_OFFSET)

/* Of an IOMMU that is none of the kernel's, and whose parts are always good */
#define OTHER_TYPE	0x7f00

extern const char *const page_names[P_NR];

enum image_mode {
	M_LEGACY,
	M_SCALABLE,
	M_PASIDS,	/* scalable, and both devices have PASIDs besides the first one */
	M_NR,
};

void image_init(void);
/*
 * Good, and all preserved, again. @v1: What is judged is the IOMMU handover of the
 * version before, which the good one was written as. @plain: The unit that finds it
 * has no device-TLB support.
 */
void image_reset(enum image_mode mode, bool v1, bool plain);
unsigned int image_order(enum page_name page);
/* @len bytes of @value at @offset of @page; false if that is not inside. */
bool image_put(enum page_name page, size_t offset, unsigned int len, u64 value);
void image_drop(enum page_name page);
/*
 * What a damage can name: device 0 is meant, and the bridge is one of other devices. @vf:
 * of the PCI list that has them, its first virtual function is meant.
 */
void image_victim(struct damage_victim *v, bool vf);
/* That was written to: @note is called for each eight bytes that are not good. */
void image_written(void (*note)(void *data, enum page_name page, size_t offset,
				u64 value), void *data);

/* One line for each thing that was refused: "device 0: why"; "" if all is well. */
void image_judge(char *out, size_t len);

#endif
