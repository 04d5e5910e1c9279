// SPDX-License-Identifier: GPL-2.0-only
/*
 * Damages of a handover, written down
 *
 * A damage is one edit or more, with commas between them and no spaces:
 *
 *	edit:	PATH = VALUE		also += -= |= ^=
 *		PATH <> PATH		swap the two
 *		PATH = gone		take a device out of the PCI list
 *		PATH = sum		a checksum of guestmemfs: what it has to be after the
 *					edits before this one
 *	PATH:	BASE[.FIELD][:ADDR]	BASE can be BASE[NUMBER]; :ADDR is bits 51:12
 *	VALUE:	one of these, or more of them with + between:
 *		NUMBER			0x... or decimal
 *		foreign			memory that is in use, and not preserved
 *		mmio			registers of an IOMMU: no memory
 *		beyond			an address that no machine has
 *		PATH			what is there
 *
 * All bases are in damage.h, and the fields below. What is longer than eight bytes can be
 * swapped and assigned as a whole, to what has the same length.
 *
 * The same file is compiled into the laboratory's kernels, and into tests/handover.
 */
#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/mm.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "damage.h"

#define MMIO_PA		0xfed90000ull
#define BEYOND_PA	BIT_ULL(51)

/* Intel VT-d specification, "9.1 Root Entry" to "9.6 PASID Table Entry" */
#define VTD_ADDR	GENMASK_ULL(51, 12)

#define WORD		"abcdefghijklmnopqrstuvwxyz0123456789_"
#define LONGEST		64

/* What a path begins with: @nr of them in a row, at a member of struct damage_victim */
#define BASE(nr, ...)	{						\
	.name = #__VA_ARGS__,						\
	.member = offsetof(struct damage_victim, __VA_ARGS__),		\
	.size = sizeof(*((struct damage_victim *)0)->__VA_ARGS__),	\
	.count = nr,							\
}

static const struct base {
	const char *name;
	size_t member, size;
	u64 count;
} bases[] = {
	BASE(1, iommu),
	BASE(1, hw),
	BASE(1, domain),
	BASE(1, device),
	BASE(IOMMU_SER_MAX_DEVICES, devices),
	BASE(1, other),
	BASE(1, other_domain),
	BASE(1, root),
	BASE(4, ctx),
	BASE(2, stranger),
	BASE(512, dir),
	BASE(512, pasid),
	BASE(64, pasid_entry),
	BASE(INTEL_DEVICE_SER_MAX_PASIDS, listed),
	BASE(4, dte),
	BASE(8, ste),
	BASE(8, cd),
	BASE(512, top),
	BASE(1, pci),
	BASE(1, pci_dev),
	BASE(1, bridge),
	BASE(1, pf),
	BASE(2, sriov),
	BASE(1, pfs),
	BASE(1, driver),
	BASE(1, igb),
	BASE(1, iommufd),
	BASE(1, vfio),
	BASE(1, memfd),
	BASE(1, chunk),
	BASE(2, folio),
	BASE(1, huge),
	BASE(1, runs),
	BASE(2, run),
	BASE(1, pools),
	BASE(2, layout),
	BASE(1, state),
	BASE(64, inode),
	BASE(64, extent),
	BASE(1, guestmem),
};

/* FIELD(BASE, STRUCT, MEMBER): what is in a base is a STRUCT. */
#define FIELD(where, ...)	{					\
	.base = #where,							\
	.prefix = "",							\
	.member = #__VA_ARGS__,						\
	.offset = offsetof(struct __VA_ARGS__),				\
	.size = sizeof_field(struct __VA_ARGS__),			\
	.mask = ~0ull,							\
}

/* PART(BASE, STRUCT, DRIVERS_STRUCT, MEMBER): the same of a driver's part. */
#define PART(where, type, ...)	{					\
	.base = #where,							\
	.prefix = "part.",						\
	.member = #__VA_ARGS__,						\
	.offset = offsetof(struct type, part) +				\
		  offsetof(struct __VA_ARGS__),				\
	.size = sizeof_field(struct __VA_ARGS__),			\
	.mask = ~0ull,							\
}

/* The lowest bits are the number of a page, which is read and written as its address. */
#define PAGE_NUMBER(where, bit_field, bits)	{			\
	.base = #where,							\
	.prefix = "",							\
	.member = ", " #bit_field,					\
	.size = sizeof(u64),						\
	.mask = GENMASK_ULL((bits) - 1, 0),				\
	.shift = PAGE_SHIFT,						\
}

static const struct field {
	const char *base, *prefix;
	const char *member;	/* behind ", " */
	size_t offset, size;
	u64 mask;
	unsigned int shift;
} fields[] = {
	FIELD(iommu, iommu_ser, version),
	FIELD(iommu, iommu_ser, reserved),
	FIELD(iommu, iommu_ser, iommus_pa),
	FIELD(iommu, iommu_ser, domains_pa),
	FIELD(iommu, iommu_ser, devices_pa),
	FIELD(hw, iommu_hw_ser, flags),
	FIELD(hw, iommu_hw_ser, type),
	FIELD(hw, iommu_hw_ser, length),
	FIELD(hw, iommu_hw_ser, id),
	FIELD(hw, iommu_hw_ser, part[31]),
	PART(hw, iommu_hw_ser, intel_hw_ser, root_pa),
	PART(hw, iommu_hw_ser, intel_hw_ser, flags),
	PART(hw, iommu_hw_ser, intel_hw_ser, reserved),
	PART(hw, iommu_hw_ser, amd_hw_ser, table_pa),
	PART(hw, iommu_hw_ser, amd_hw_ser, table_size),
	PART(hw, iommu_hw_ser, smmuv3_hw_ser, strtab_pa),
	PART(hw, iommu_hw_ser, smmuv3_hw_ser, strtab_cfg),
	FIELD(domain, iommu_domain_ser, flags),
	FIELD(domain, iommu_domain_ser, type),
	FIELD(domain, iommu_domain_ser, length),
	FIELD(domain, iommu_domain_ser, top_pa),
	FIELD(domain, iommu_domain_ser, top_level),
	FIELD(domain, iommu_domain_ser, vasz_lg2),
	FIELD(domain, iommu_domain_ser, reserved[5]),
	PART(domain, iommu_domain_ser, intel_domain_ser, format),
	PART(domain, iommu_domain_ser, intel_domain_ser, flags),
	PART(domain, iommu_domain_ser, amd_domain_ser, did),
	PART(domain, iommu_domain_ser, amd_domain_ser, reserved),
	PART(domain, iommu_domain_ser, smmuv3_domain_ser, asid),
	FIELD(other_domain, iommu_domain_ser, top_pa),
	PART(other_domain, iommu_domain_ser, amd_domain_ser, did),
	FIELD(device, iommu_device_ser, flags),
	FIELD(device, iommu_device_ser, type),
	FIELD(device, iommu_device_ser, length),
	FIELD(device, iommu_device_ser, segment),
	FIELD(device, iommu_device_ser, bdf),
	FIELD(device, iommu_device_ser, reserved),
	FIELD(device, iommu_device_ser, domain),
	FIELD(device, iommu_device_ser, iommu),
	PART(device, iommu_device_ser, intel_device_ser, did),
	PART(device, iommu_device_ser, intel_device_ser, flags),
	PART(device, iommu_device_ser, intel_device_ser, ats_stu),
	PART(device, iommu_device_ser, intel_device_ser, max_pasid),
	PART(device, iommu_device_ser, intel_device_ser, entry_pa),
	PART(device, iommu_device_ser, intel_device_ser, pasid_pa),
	PART(device, iommu_device_ser, intel_device_ser, pasids_pa),
	PART(device, iommu_device_ser, intel_device_ser, nr_pasids),
	PART(device, iommu_device_ser, amd_device_ser, reserved),
	PART(device, iommu_device_ser, smmuv3_device_ser, sid),
	PART(device, iommu_device_ser, smmuv3_device_ser, s1cdmax),
	PART(device, iommu_device_ser, smmuv3_device_ser, l2_pa),
	PART(device, iommu_device_ser, smmuv3_device_ser, cd_pa),
	FIELD(other, iommu_device_ser, bdf),
	PART(other, iommu_device_ser, intel_device_ser, did),
	PART(other, iommu_device_ser, intel_device_ser, pasid_pa),
	PART(other, iommu_device_ser, intel_device_ser, pasids_pa),
	FIELD(listed, intel_pasid_ser, pasid),
	FIELD(listed, intel_pasid_ser, domain),
	FIELD(listed, intel_pasid_ser, did),
	FIELD(listed, intel_pasid_ser, reserved[5]),
	FIELD(pci, pci_ser, version),
	FIELD(pci, pci_ser, nr_devices),
	FIELD(pci, pci_ser, sriov_pa),
	FIELD(pci, pci_ser, devices[0]),
	FIELD(pci, pci_ser, devices[1]),
	FIELD(pci, pci_ser, devices[2].segment),
	FIELD(pci, pci_ser, devices[2].bdf),
	FIELD(pci_dev, pci_dev_ser, bdf),
	FIELD(pci_dev, pci_dev_ser, device),
	FIELD(pci_dev, pci_dev_ser, acs_ctrl),
	FIELD(pci_dev, pci_dev_ser, class_rev),
	FIELD(pci_dev, pci_dev_ser, flags),
	FIELD(pci_dev, pci_dev_ser, users),
	FIELD(pci_dev, pci_dev_ser, hdr_type),
	FIELD(pci_dev, pci_dev_ser, secondary),
	FIELD(pci_dev, pci_dev_ser, pf),
	FIELD(pci_dev, pci_dev_ser, reserved),
	FIELD(bridge, pci_dev_ser, flags),
	FIELD(bridge, pci_dev_ser, users),
	FIELD(bridge, pci_dev_ser, hdr_type),
	FIELD(bridge, pci_dev_ser, primary),
	FIELD(bridge, pci_dev_ser, secondary),
	FIELD(bridge, pci_dev_ser, subordinate),
	FIELD(pf, pci_dev_ser, bdf),
	FIELD(pf, pci_dev_ser, flags),
	FIELD(pf, pci_dev_ser, users),
	FIELD(sriov, pci_sriov_ser, segment),
	FIELD(sriov, pci_sriov_ser, bdf),
	FIELD(sriov, pci_sriov_ser, ctrl),
	FIELD(sriov, pci_sriov_ser, initial_vfs),
	FIELD(sriov, pci_sriov_ser, num_vfs),
	FIELD(sriov, pci_sriov_ser, offset),
	FIELD(sriov, pci_sriov_ser, stride),
	FIELD(sriov, pci_sriov_ser, vf_device),
	FIELD(sriov, pci_sriov_ser, flags),
	FIELD(sriov, pci_sriov_ser, page_size),
	FIELD(sriov, pci_sriov_ser, bar[0]),
	FIELD(sriov, pci_sriov_ser, bar[1]),
	FIELD(sriov, pci_sriov_ser, bar[3]),
	FIELD(sriov, pci_sriov_ser, bar[5]),
	FIELD(sriov, pci_sriov_ser, bar_size_lg2[0]),
	FIELD(sriov, pci_sriov_ser, bar_size_lg2[1]),
	FIELD(sriov, pci_sriov_ser, bar_size_lg2[5]),
	FIELD(sriov, pci_sriov_ser, reserved),
	FIELD(sriov, pci_sriov_ser, driver_pa),
	FIELD(pfs, pci_sriov_list_ser, nr_pfs),
	FIELD(pfs, pci_sriov_list_ser, reserved),
	FIELD(driver, pci_pf_driver_ser, compatible[0]),
	FIELD(driver, pci_pf_driver_ser, compatible[1]),
	FIELD(driver, pci_pf_driver_ser, compatible[47]),
	FIELD(driver, pci_pf_driver_ser, size),
	FIELD(driver, pci_pf_driver_ser, reserved),
	FIELD(igb, igb_pf_ser, version),
	FIELD(igb, igb_pf_ser, nr_vfs),
	FIELD(igb, igb_pf_ser, reserved),
	FIELD(igb, igb_pf_ser, rate_link_speed),
	FIELD(igb, igb_pf_ser, reserved2),
	FIELD(igb, igb_pf_ser, vfs[0].mac[0]),
	FIELD(igb, igb_pf_ser, vfs[0].nr_mc_hashes),
	FIELD(igb, igb_pf_ser, vfs[0].flags),
	FIELD(igb, igb_pf_ser, vfs[0].vlan),
	FIELD(igb, igb_pf_ser, vfs[0].qos),
	FIELD(igb, igb_pf_ser, vfs[0].tx_rate),
	FIELD(igb, igb_pf_ser, vfs[0].reserved),
	FIELD(igb, igb_pf_ser, vfs[0].mc_hashes[0]),
	FIELD(igb, igb_pf_ser, vfs[0].mc_hashes[29]),
	FIELD(igb, igb_pf_ser, vfs[3].flags),
	FIELD(igb, igb_pf_ser, vfs[6].mc_hashes[29]),
	FIELD(iommufd, iommufd_ser, version),
	FIELD(iommufd, iommufd_ser, nr_hwpts),
	FIELD(iommufd, iommufd_ser, hwpts[0].token),
	FIELD(iommufd, iommufd_ser, hwpts[0].domain),
	FIELD(iommufd, iommufd_ser, hwpts[0].flags),
	FIELD(iommufd, iommufd_ser, hwpts[1].token),
	FIELD(iommufd, iommufd_ser, hwpts[1].domain),
	FIELD(vfio, vfio_pci_ser, version),
	FIELD(vfio, vfio_pci_ser, segment),
	FIELD(vfio, vfio_pci_ser, bdf),
	FIELD(vfio, vfio_pci_ser, reserved[2]),
	FIELD(vfio, vfio_pci_ser, vf_token[0]),
	FIELD(memfd, memfd_luo_ser, pos),
	FIELD(memfd, memfd_luo_ser, size),
	FIELD(memfd, memfd_luo_ser, flags),
	FIELD(memfd, memfd_luo_ser, nr_folios),
	FIELD(memfd, memfd_luo_ser, folios.first.phys),
	FIELD(memfd, memfd_luo_ser, folios.total_pages),
	FIELD(memfd, memfd_luo_ser, folios.order),
	FIELD(chunk, kho_vmalloc_chunk, hdr.next.phys),
	FIELD(chunk, kho_vmalloc_chunk, phys[0]),
	FIELD(chunk, kho_vmalloc_chunk, phys[1]),
	PAGE_NUMBER(folio, pfn, 52),
	FIELD(folio, memfd_luo_folio_ser, index),
	FIELD(huge, hugetlb_memfd_ser, pos),
	FIELD(huge, hugetlb_memfd_ser, size),
	FIELD(huge, hugetlb_memfd_ser, order),
	FIELD(huge, hugetlb_memfd_ser, list),
	FIELD(runs, hugetlb_memfd_list, next),
	FIELD(runs, hugetlb_memfd_list, nr),
	FIELD(pools, hugetlb_ser, nr_pools),
	FIELD(pools, hugetlb_ser, reserved),
	FIELD(pools, hugetlb_ser, pool[0].order),
	FIELD(pools, hugetlb_ser, pool[0].nid),
	FIELD(pools, hugetlb_ser, pool[0].nr),
	FIELD(layout, guestmemfs_layout, crc),
	FIELD(layout, guestmemfs_layout, range[0].start),
	FIELD(state, guestmemfs_state, next_id),
	FIELD(state, guestmemfs_state, used_extents),
	FIELD(state, guestmemfs_state, crc),
	FIELD(state, guestmemfs_state, log),
	FIELD(inode, guestmemfs_inode, mode),
	FIELD(inode, guestmemfs_inode, size),
	FIELD(inode, guestmemfs_inode, crc),
	FIELD(extent, guestmemfs_extent, start),
	FIELD(extent, guestmemfs_extent, crc),
};

/* SUM(BASE, TYPE, FROM, TO, SEED): the field crc of it is that of what is in between. */
#define SUM(where, type, begin, end, inverse)	{			\
	.base = #where,							\
	.at = offsetof(struct type, crc),				\
	.from = begin,							\
	.to = end,							\
	.of_index = inverse,						\
}

static const struct sum {
	const char *base;
	size_t at, from, to;
	bool of_index;		/* begins with the inverse of its index; else of 0 */
} sums[] = {
	SUM(layout, guestmemfs_layout, offsetof(struct guestmemfs_layout, nr_ranges),
	    sizeof(struct guestmemfs_layout), false),
	SUM(state, guestmemfs_state, 0, offsetof(struct guestmemfs_state, crc), false),
	SUM(inode, guestmemfs_inode, 0, offsetof(struct guestmemfs_inode, crc), true),
	SUM(extent, guestmemfs_extent, 0, offsetof(struct guestmemfs_extent, crc), true),
};

/* What a path leads to */
struct place {
	const char *base;
	u64 index;		/* of the base */
	size_t offset;		/* in the base */
	u8 *at;			/* NULL if nobody asks where that is */
	size_t size;
	u64 mask;		/* of what is there, which is moved by @shift */
	unsigned int shift;
};

struct reader {
	const struct damage_victim *victim;
	const char *at;		/* what follows */
	const char *why;	/* the first thing that is wrong, or NULL */
	bool write;		/* else only look whether it can be done */
};

static void wrong(struct reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
}

/* Is @text next? It is gone over then. */
static bool next(struct reader *r, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(r->at, text, len))
		return false;
	r->at += len;
	return true;
}

/* The same for a word, which does not go on. */
static bool next_word(struct reader *r, const char *word)
{
	size_t len = strspn(r->at, WORD);

	return len == strlen(word) && next(r, word);
}

static u64 read_number(struct reader *r)
{
	unsigned int base = next(r, "0x") ? 16 : 10;
	const char *digits = "0123456789abcdef";
	const char *begin = r->at, *digit;
	u64 number = 0;

	for (; *r->at; r->at++) {
		digit = strchr(digits, *r->at);
		if (!digit || digit - digits >= base)
			break;
		if (number > (~0ull - (digit - digits)) / base)
			wrong(r, "a number is too large");
		number = number * base + (digit - digits);
	}
	if (r->at == begin)
		wrong(r, "a number is missing");
	return number;
}

static const struct base *read_base(struct reader *r)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bases); i++)
		if (next_word(r, bases[i].name))
			return &bases[i];
	wrong(r, "a path does not begin with a base");
	return NULL;
}

static const struct field *read_field(struct reader *r, const char *base)
{
	const char *begin = r->at, *member;
	size_t len = strspn(begin, WORD ".[]");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		member = strchr(fields[i].member, ' ') + 1;
		r->at = begin;
		if (!strcmp(fields[i].base, base) &&
		    strlen(fields[i].prefix) + strlen(member) == len &&
		    next(r, fields[i].prefix) && next(r, member))
			return &fields[i];
	}
	wrong(r, "this base has no such field");
	return NULL;
}

static struct place read_path(struct reader *r)
{
	const struct base *base = read_base(r);
	struct place p = { .mask = ~0ull };
	const struct field *field = NULL;
	u64 index = 0;

	if (!base)
		return p;
	if (next(r, "[")) {
		index = read_number(r);
		if (index >= base->count)
			wrong(r, "an index is out of range");
		if (!next(r, "]"))
			wrong(r, "']' is missing");
	}
	if (next(r, "."))
		field = read_field(r, base->name);
	if (r->why)
		return p;
	p.base = base->name;
	p.index = index;
	p.offset = field ? field->offset : 0;
	p.size = field ? field->size : base->size;
	if (field) {
		p.mask = field->mask;
		p.shift = field->shift;
	}
	if (next(r, ":ADDR")) {
		p.mask = VTD_ADDR;
		if (p.size != sizeof(u64))
			wrong(r, ":ADDR is of eight bytes");
	}
	if (!r->victim)
		return p;
	memcpy(&p.at, (const u8 *)r->victim + base->member, sizeof(p.at));
	if (!p.at)
		wrong(r, "there is nothing that a path leads to");
	else
		p.at += index * base->size + p.offset;
	return p;
}

static u64 get(struct reader *r, const struct place *p)
{
	u64 raw = 0;

	if (p->size > sizeof(raw))
		wrong(r, "what is longer than eight bytes is no number");
	if (r->why || !p->at)
		return 0;
	memcpy(&raw, p->at, p->size);
	return (raw & p->mask) << p->shift;
}

static void put(struct reader *r, const struct place *p, u64 value)
{
	u64 raw = 0;

	if (r->why || !r->write)
		return;
	memcpy(&raw, p->at, p->size);
	raw = (raw & ~p->mask) | (value >> p->shift & p->mask);
	memcpy(p->at, &raw, p->size);
}

static u64 read_term(struct reader *r)
{
	struct place p;

	if (*r->at >= '0' && *r->at <= '9')
		return read_number(r);
	if (next_word(r, "foreign"))
		return r->victim ? r->victim->foreign : 0;
	if (next_word(r, "mmio"))
		return MMIO_PA;
	if (next_word(r, "beyond"))
		return BEYOND_PA;
	p = read_path(r);
	return get(r, &p);
}

static u64 read_value(struct reader *r)
{
	u64 sum = read_term(r);

	while (!r->why && next(r, "+"))
		sum += read_term(r);
	return sum;
}

static void assign(struct reader *r, const struct place *to)
{
	struct place from;
	u64 value;

	if (to->size <= sizeof(value)) {
		value = read_value(r);
		if (to->size < sizeof(value) && value >> to->size * 8)
			wrong(r, "a value is too large for its place");
		put(r, to, value);
		return;
	}
	from = read_path(r);
	if (from.size != to->size)
		wrong(r, "two places are not of the same length");
	if (!r->why && r->write)
		memcpy(to->at, from.at, to->size);
}

static void exchange(struct reader *r, const struct place *a)
{
	struct place b = read_path(r);
	u8 saved[LONGEST];

	if (a->size != b.size || a->mask != b.mask)
		wrong(r, "two places are not of the same length");
	if (a->size > sizeof(saved))
		wrong(r, "that is too long to be swapped");
	if (r->why || !r->write)
		return;
	memcpy(saved, a->at, a->size);
	memcpy(a->at, b.at, a->size);
	memcpy(b.at, saved, a->size);
}

static void remove_device(struct reader *r, const struct place *p)
{
	struct pci_dev_ser *dev = (struct pci_dev_ser *)p->at, *end;
	struct pci_ser *pci;

	if (p->size != sizeof(*dev) ||
	    (strcmp(p->base, "pci_dev") && strcmp(p->base, "pf")))
		wrong(r, "only a device of the PCI list can be gone");
	if (r->why || !r->write)
		return;
	pci = r->victim->pci;
	end = pci->devices + --pci->nr_devices;
	memmove(dev, dev + 1, (end - dev) * sizeof(*dev));
}

/* CRC-32 with the lowest bits first, as crc32_le() has it; not the kernel's, which is judged. */
static u32 crc_of(u32 crc, const u8 *at, size_t len)
{
	unsigned int bit;

	for (; len; len--) {
		crc ^= *at++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return crc;
}

static void put_sum(struct reader *r, const struct place *p)
{
	const struct sum *sum = NULL;
	const u8 *begin;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sums); i++)
		if (!strcmp(sums[i].base, p->base) && sums[i].at == p->offset)
			sum = &sums[i];
	if (!sum)
		wrong(r, "only a checksum of guestmemfs can be a sum");
	if (r->why || !r->write)
		return;
	begin = p->at - p->offset;
	put(r, p, crc_of(~(sum->of_index ? p->index : 0), begin + sum->from,
			 sum->to - sum->from));
}

static void read_edit(struct reader *r)
{
	struct place to = read_path(r);

	if (r->why)
		return;
	if (next(r, "<>"))
		exchange(r, &to);
	else if (next(r, "+="))
		put(r, &to, get(r, &to) + read_value(r));
	else if (next(r, "-="))
		put(r, &to, get(r, &to) - read_value(r));
	else if (next(r, "|="))
		put(r, &to, get(r, &to) | read_value(r));
	else if (next(r, "^="))
		put(r, &to, get(r, &to) ^ read_value(r));
	else if (!next(r, "="))
		wrong(r, "an operator is missing");
	else if (next_word(r, "gone"))
		remove_device(r, &to);
	else if (next_word(r, "sum"))
		put_sum(r, &to);
	else
		assign(r, &to);
}

static const char *read_all(struct reader *r)
{
	do
		read_edit(r);
	while (!r->why && next(r, ","));
	if (*r->at)
		wrong(r, "an edit goes on with something unknown");
	return r->why;
}

/**
 * damage_do() - Do a damage that is written down
 * @v: What can be damaged; NULL to see only whether @text is well-formed.
 * @text: The damage, see above.
 *
 * Nothing is written if anything is wrong.
 *
 * Return: NULL if it was done, else what is wrong.
 */
const char *damage_do(const struct damage_victim *v, const char *text)
{
	struct reader r = { .victim = v, .at = text };
	const char *why = read_all(&r);

	if (why || !v)
		return why;
	r.at = text;
	r.write = true;
	return read_all(&r);
}
