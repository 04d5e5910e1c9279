// SPDX-License-Identifier: GPL-2.0-only
/*
 * Judge the handovers in the files named on the command line, and with -d TABLE those
 * of tests/damages/damages, which says what is in there.
 *
 * A file takes the good handover of image.c, damages it, and says what has to
 * be refused then, a line each; nothing if it says nothing:
 *
 *	mode legacy|scalable|both|pasids	both is the first two
 *	v1				of the version before
 *	noiommu				of a host that has none; before any damage
 *	amd				of a host with AMD-Vi; before any damage
 *	smmuv3				of one with an SMMUv3; before any damage
 *	smmuv3-linear			the same, and its stream table has one level
 *	vf				what is damaged is the PCI list that has virtual functions
 *	damage EDIT[,EDIT...]		in the language of the table, of device 0
 *	put PAGE OFFSET BYTES VALUE	what has no path. VALUE: numbers and pa(PAGE), joined by +
 *	drop PAGE			was not preserved
 *	expect WHAT: WHY
 *
 * With -c DIRECTORY each is also written there as an input for the fuzzer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kho/abi/amd_iommu.h>
#include <linux/kho/abi/intel_iommu.h>
#include <linux/kho/abi/iommu.h>
#include <linux/kho/abi/noiommu.h>
#include <linux/kho/abi/smmuv3.h>

#include "image.h"
#include "../../kernel/src/drivers/iommu/amd/liveupdate_check.h"
#include "../../kernel/src/drivers/iommu/arm/arm-smmu-v3/liveupdate_check.h"
#include "input.h"

static const char *file;
static unsigned int line_nr;

static void bad(const char *what)
{
	fprintf(stderr, "%s:%u: %s\n", file, line_nr, what);
	exit(2);
}

static enum page_name page_of(const char *name)
{
	for (unsigned int i = 0; name && i < P_NR; i++)
		if (!strcmp(page_names[i], name))
			return i;
	bad("there is no page of this name (image.c lists them)");
	return P_NR;
}

static u64 value_of(char *text)
{
	char *save = NULL, *end;
	u64 sum = 0;

	if (!text)
		bad("a value is missing");
	for (text = strtok_r(text, "+", &save); text;
	     text = strtok_r(NULL, "+", &save)) {
		if (!strncmp(text, "pa(", 3)) {
			end = strchr(text, ')');
			if (!end || end[1])
				bad("pa(PAGE) is how an address is written");
			*end = 0;
			sum += PAGE_PA(page_of(text + 3));
			continue;
		}
		sum += strtoull(text, &end, 0);
		if (*end)
			bad("not a number");
	}
	return sum;
}

struct damage {
	bool modes[M_NR];
	bool v1;
	bool plain;
	bool vf;
	bool judged;		/* something is expected, or that nothing is */
	char edits[256];
	char expect[4096];
	struct input in;
};

static void begin(struct damage *d)
{
	memset(d, 0, sizeof(*d));
	d->modes[M_LEGACY] = d->modes[M_SCALABLE] = true;
}

static void expect(struct damage *d, const char *line)
{
	d->judged = true;
	strncat(d->expect, line, sizeof(d->expect) - strlen(d->expect) - 1);
}

static void edit(struct damage *d, const char *edits)
{
	if (!edits || strlen(edits) >= sizeof(d->edits))
		bad("no damage, or one that is too long");
	strcpy(d->edits, edits);
}

static void put_zero(struct damage *d, enum page_name page, size_t at, size_t len)
{
	for (size_t i = 0; i < len; i += 8)
		input_put(&d->in, page, at + i, 8, 0);
}

/* The good handover has one unit, two domains and two devices. */
static void without_iommu(struct damage *d)
{
	const u32 type = IOMMU_SER_TYPE_NOIOMMU;

	input_put(&d->in, P_IOMMUS, offsetof(struct iommu_hw_ser, type), 4, type);
	put_zero(d, P_IOMMUS, offsetof(struct iommu_hw_ser, id),
		 sizeof(u64) + sizeof(struct intel_hw_ser));
	for (size_t i = 0; i < 2; i++) {
		size_t domain = i * sizeof(struct iommu_domain_ser);
		size_t device = i * sizeof(struct iommu_device_ser);

		input_put(&d->in, P_DOMAINS, domain + offsetof(struct iommu_domain_ser, type),
			  4, type | sizeof(struct noiommu_domain_ser) << 16);
		input_put(&d->in, P_DOMAINS, domain + offsetof(struct iommu_domain_ser, top_level),
			  2, 2 | 64 << 8);
		input_put(&d->in, P_DOMAINS, domain + offsetof(struct iommu_domain_ser, part),
			  8, NOIOMMU_DOMAIN_SER_AMDV1);
		input_put(&d->in, P_DEVICES, device + offsetof(struct iommu_device_ser, type),
			  4, type);
		put_zero(d, P_DEVICES, device + offsetof(struct iommu_device_ser, part),
			 INTEL_DEVICE_SER_V2_SIZE);
	}
}

/* "Device Table Entry Format", "I/O Page Tables for Host Translations" */
#define AMD_ACCESS	(3ULL << 61)

static void put_table(struct damage *d, enum page_name page, size_t index, u64 entry)
{
	input_put(&d->in, page, index * 8, 8, entry | AMD_ACCESS | 1);
}

static void amd_device(struct damage *d, size_t i)
{
	size_t entry = (i ? DEV1_BDF : DEV0_BDF) * 32;
	enum page_name top = i ? P_TOP1 : P_TOP0;
	size_t domain = i * sizeof(struct iommu_domain_ser);
	size_t device = i * sizeof(struct iommu_device_ser);
	const u64 did = i ? DEV1_DID : DEV0_DID;

	input_put(&d->in, P_DOMAINS, domain + offsetof(struct iommu_domain_ser, type),
		  4, IOMMU_SER_TYPE_AMD | sizeof(struct amd_domain_ser) << 16);
	input_put(&d->in, P_DOMAINS, domain + offsetof(struct iommu_domain_ser, part),
		  8, AMD_DOMAIN_SER_AMDV1 | did << 32);
	input_put(&d->in, P_DEVICES, device + offsetof(struct iommu_device_ser, type),
		  4, IOMMU_SER_TYPE_AMD | sizeof(struct amd_device_ser) << 16);
	put_zero(d, P_DEVICES, device + offsetof(struct iommu_device_ser, part),
		 INTEL_DEVICE_SER_V2_SIZE);
	put_table(d, P_UNIT, entry / 8, PAGE_PA(top) | 4 << 9 | 2);
	input_put(&d->in, P_UNIT, entry + 8, 8, did);
	input_put(&d->in, P_UNIT, entry + 16, 8, 1);
	for (unsigned int level = 3; level; level--)
		put_table(d, top + 3 - level, i, PAGE_PA(top + 4 - level) | level << 9);
	put_table(d, top + 3, 511, 0x5000);
	put_table(d, top + 2, 256, 0x40000000);
}

/* All are behind one unit, as in the good handover. */
static void with_amd(struct damage *d)
{
	input_put(&d->in, P_IOMMUS, offsetof(struct iommu_hw_ser, type), 4,
		  IOMMU_SER_TYPE_AMD | sizeof(struct amd_hw_ser) << 16);
	input_put(&d->in, P_IOMMUS, offsetof(struct iommu_hw_ser, part), 8, PAGE_PA(P_UNIT));
	input_put(&d->in, P_IOMMUS, offsetof(struct iommu_hw_ser, part) + 8, 8, PAGE_SIZE);
	input_put(&d->in, P_UNIT, 0, 8, 0);
	amd_device(d, 0);
	amd_device(d, 1);
}

/* "Stream Table Entry", "Context Descriptor"; and leaves of both kinds */
static void smmu_device(struct damage *d, size_t i, bool linear)
{
	const u32 sid = i ? DEV1_BDF : DEV0_BDF;
	const size_t ste = sid * SMMUV3_ENTRY_SIZE;
	enum page_name stes = linear ? P_UNIT : P_FOLIO;
	enum page_name cd = i ? P_DIR1 : P_DIR0;
	enum page_name top = i ? P_TOP1 : P_TOP0;
	size_t domain = i * sizeof(struct iommu_domain_ser);
	size_t device = i * sizeof(struct iommu_device_ser);
	const u64 asid = i ? DEV1_DID : DEV0_DID;

	input_put(&d->in, P_DOMAINS, domain + offsetof(struct iommu_domain_ser, type),
		  4, IOMMU_SER_TYPE_SMMUV3 | sizeof(struct smmuv3_domain_ser) << 16);
	input_put(&d->in, P_DOMAINS, domain + offsetof(struct iommu_domain_ser, part),
		  8, SMMUV3_DOMAIN_SER_S1 | asid << 32);
	input_put(&d->in, P_DEVICES, device + offsetof(struct iommu_device_ser, type),
		  4, IOMMU_SER_TYPE_SMMUV3 | sizeof(struct smmuv3_device_ser) << 16);
	device += offsetof(struct iommu_device_ser, part);
	/* The first one has room for four PASIDs. */
	input_put(&d->in, P_DEVICES, device, 8, sid | (i ? 0ULL : 2ULL) << 32);
	input_put(&d->in, P_DEVICES, device + 8, 8, linear ? 0 : PAGE_PA(P_FOLIO));
	input_put(&d->in, P_DEVICES, device + 16, 8, PAGE_PA(cd));
	input_put(&d->in, stes, ste, 8, PAGE_PA(cd) | 0xb | (i ? 0 : 2ULL << 59));
	input_put(&d->in, stes, ste + 8, 8, 0x080000d6);
	input_put(&d->in, cd, 0, 8, asid << 48 | 0xe202c0003510);
	input_put(&d->in, cd, 8, 8, PAGE_PA(top));
	input_put(&d->in, cd, 24, 8, SMMUV3_SER_MAIR);
	for (unsigned int level = 3; level; level--)
		input_put(&d->in, top + 3 - level, i * 8, 8, PAGE_PA(top + 4 - level) | 3);
	input_put(&d->in, top + 3, 511 * 8, 8, 0x5f47 | 1ULL << 54);
	input_put(&d->in, top + 2, 256 * 8, 8, 0x40000fc5);
}

static void with_smmu(struct damage *d, bool linear)
{
	input_put(&d->in, P_IOMMUS, offsetof(struct iommu_hw_ser, type), 4,
		  IOMMU_SER_TYPE_SMMUV3 | sizeof(struct smmuv3_hw_ser) << 16);
	input_put(&d->in, P_IOMMUS, offsetof(struct iommu_hw_ser, part), 8, PAGE_PA(P_UNIT));
	input_put(&d->in, P_IOMMUS, offsetof(struct iommu_hw_ser, part) + 8, 8,
		  linear ? 6 : 16 | 8 << 6 | 1 << 16);
	input_put(&d->in, P_UNIT, 0, 8, linear ? 0 : PAGE_PA(P_FOLIO) | 9);
	smmu_device(d, 0, linear);
	smmu_device(d, 1, linear);
}

static void only_mode(struct damage *d, const char *which)
{
	if (which && !strcmp(which, "amd")) {
		with_amd(d);
		d->modes[M_SCALABLE] = false;
		return;
	}
	if (which && !strcmp(which, "smmuv3")) {
		with_smmu(d, false);
		d->modes[M_SCALABLE] = false;
		return;
	}
	if (!which || (strcmp(which, "legacy") && strcmp(which, "scalable") &&
		       strcmp(which, "both") && strcmp(which, "pasids")))
		bad("which mode?");
	d->modes[M_PASIDS] = !strcmp(which, "pasids");
	d->modes[M_LEGACY] = !d->modes[M_PASIDS] && strcmp(which, "scalable");
	d->modes[M_SCALABLE] = !d->modes[M_PASIDS] && strcmp(which, "legacy");
}

static void parse(FILE *f, struct damage *d)
{
	char text[512], *word, *save;

	begin(d);
	for (line_nr = 1; fgets(text, sizeof(text), f); line_nr++) {
		if (!strncmp(text, "expect ", 7)) {
			expect(d, text + 7);
			continue;
		}
		word = strtok_r(text, " \t\n", &save);
		if (!word || *word == '#')
			continue;
		if (!strcmp(word, "v1")) {
			d->v1 = true;
		} else if (!strcmp(word, "noiommu")) {
			without_iommu(d);
		} else if (!strcmp(word, "amd")) {
			with_amd(d);
		} else if (!strncmp(word, "smmuv3", 6)) {
			with_smmu(d, !strcmp(word, "smmuv3-linear"));
			d->modes[M_SCALABLE] = false;
		} else if (!strcmp(word, "no-device-tlb")) {
			d->plain = true;
		} else if (!strcmp(word, "vf")) {
			d->vf = true;
		} else if (!strcmp(word, "mode")) {
			only_mode(d, strtok_r(NULL, " \t\n", &save));
		} else if (!strcmp(word, "damage")) {
			edit(d, strtok_r(NULL, " \t\n", &save));
		} else if (!strcmp(word, "drop")) {
			input_drop(&d->in, page_of(strtok_r(NULL, " \t\n", &save)));
		} else if (!strcmp(word, "put")) {
			enum page_name page = page_of(strtok_r(NULL, " \t\n", &save));
			u64 at = value_of(strtok_r(NULL, " \t\n", &save));
			u64 len = value_of(strtok_r(NULL, " \t\n", &save));

			if (!len || len > 8 || at + len > PAGE_SIZE << image_order(page))
				bad("that is not inside of the page");
			input_put(&d->in, page, at, len,
				  value_of(strtok_r(NULL, " \t\n", &save)));
		} else {
			bad("unknown word");
		}
		if (d->in.len > sizeof(d->in.bytes) - 16)
			bad("too many damages");
	}
}

static unsigned int judged, failed;
static const char *corpus;

static void write_input(const char *name, const struct damage *d, enum image_mode mode)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s-%d", corpus, name, mode);
	f = fopen(path, "wb");
	if (!f || fputc((mode == M_PASIDS ? 8 : mode) | d->v1 << 1 | d->plain << 2, f) == EOF ||
	    fwrite(d->in.bytes, 1, d->in.len, f) != d->in.len || fclose(f)) {
		perror(path);
		exit(2);
	}
}

/* The fuzzer's inputs do not reach all of an array. */
static void note(void *data, enum page_name page, size_t offset, u64 value)
{
	if (offset < 0x10000)
		input_put(data, page, offset, 8, value);
}

static void judge_mode(const char *name, struct damage *d, enum image_mode mode)
{
	static const char *const names[] = { "legacy", "scalable", "pasids" };
	struct damage_victim v;
	const char *why = NULL;
	char got[4096];

	image_reset(mode, d->v1, d->plain);
	input_apply(d->in.bytes, d->in.len);
	if (*d->edits) {
		if (d->v1)
			bad("the version before has no paths");
		image_victim(&v, d->vf);
		why = damage_do(&v, d->edits);
		if (why)
			bad(why);
		image_written(note, &d->in);
	}
	if (corpus)
		write_input(name, d, mode);
	image_judge(got, sizeof(got));
	judged++;
	if (!strcmp(got, d->expect))
		return;
	failed++;
	printf("%s (mode %s): expected\n%sbut got\n%s\n", name,
	       names[mode], *d->expect ? d->expect : "nothing\n",
	       *got ? got : "nothing\n");
}

static void judge(const char *name, const struct damage *d)
{
	for (unsigned int mode = 0; mode < M_NR; mode++) {
		struct damage here = *d;

		if (d->modes[mode])
			judge_mode(name, &here, mode);
	}
}

static void judge_row(const char *name, const struct damage *d)
{
	if (!*d->edits)
		return;
	if (!d->judged)
		bad("the damage before has neither 'expect' nor 'machine'");
	judge(name, d);
}

/* Of a table: a damage goes on to the next line that does not begin with a blank. */
static void judge_table(FILE *f)
{
	char text[512], name[64] = "", *word, *save;
	bool vf = false;
	struct damage d;

	begin(&d);
	for (line_nr = 1; fgets(text, sizeof(text), f); line_nr++) {
		if (*text == '\t' && !strncmp(text + 1, "expect ", 7)) {
			expect(&d, text + 8);
			continue;
		}
		word = strtok_r(text, " \t\n", &save);
		if (!word || *word == '#')
			continue;
		if (word == text) {
			judge_row(name, &d);
			if (strlen(word) >= sizeof(name))
				bad("a name that is too long");
			begin(&d);
			strcpy(name, word);
			d.vf = vf;
			if (strcmp(word, "case"))
				edit(&d, strtok_r(NULL, " \t\n", &save));
			else
				vf = !strncmp(strtok_r(NULL, " \t\n", &save) ?: "", "vf", 2);
		} else if (!strcmp(word, "mode")) {
			only_mode(&d, strtok_r(NULL, " \t\n", &save));
		} else if (!strcmp(word, "machine")) {
			d.judged = true;
		}
	}
	judge_row(name, &d);
}

static void count(void *data, enum page_name page, size_t offset, u64 value)
{
	(void)page, (void)offset, (void)value;
	++*(unsigned int *)data;
}

/* What is no damage is told so, and nothing is written; not what was right of it, either. */
static void judge_language(void)
{
	static const struct {
		const char *edits, *why;
	} wrongs[] = {
		{ "", "a path does not begin with a base" },
		{ "domains.flags=1", "a path does not begin with a base" },
		{ "domain", "an operator is missing" },
		{ "domain.flag=1", "this base has no such field" },
		{ "domain.flags2=1", "this base has no such field" },
		{ "domain.part=1", "this base has no such field" },
		{ "domain.flags=", "a path does not begin with a base" },
		{ "domain.flags=0x", "a number is missing" },
		{ "domain.flags=1 ", "an edit goes on with something unknown" },
		{ "domain.flags=1,", "a path does not begin with a base" },
		{ "domain.flags=foreigner", "a path does not begin with a base" },
		{ "domain.flags=0x100000000", "a value is too large for its place" },
		{ "domain.top_pa=18446744073709551616", "a number is too large" },
		{ "domain.flags:ADDR=1", ":ADDR is of eight bytes" },
		{ "domain.flags=device", "what is longer than eight bytes is no number" },
		{ "device+=1", "what is longer than eight bytes is no number" },
		{ "device=1", "a path does not begin with a base" },
		{ "device=domain", "two places are not of the same length" },
		{ "device<>domain", "two places are not of the same length" },
		{ "pci<>domain.top_pa", "two places are not of the same length" },
		{ "memfd<>memfd", NULL },
		{ "chunk<>chunk", "that is too long to be swapped" },
		{ "device=gone", "only a device of the PCI list can be gone" },
		{ "bridge=gone", "only a device of the PCI list can be gone" },
		{ "state.log=sum", "only a checksum of guestmemfs can be a sum" },
		{ "domain.flags=sum", "only a checksum of guestmemfs can be a sum" },
		{ "inode=sum", "only a checksum of guestmemfs can be a sum" },
		{ "pf=gone", "there is nothing that a path leads to" },
		{ "sriov.offset=1", "there is nothing that a path leads to" },
		{ "top[512]=1", "an index is out of range" },
		{ "top[1=1", "']' is missing" },
		{ "dir[0]=1", "there is nothing that a path leads to" },
		{ "domain.flags=1,domain.kind=1", "this base has no such field" },
	};
	struct damage_victim v;
	unsigned int written;
	const char *why;

	image_reset(M_LEGACY, false, false);
	image_victim(&v, false);
	for (unsigned int i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		written = 0;
		why = damage_do(&v, wrongs[i].edits);
		image_written(count, &written);
		judged++;
		if (!written && (why ? wrongs[i].why && !strcmp(why, wrongs[i].why) : !wrongs[i].why))
			continue;
		failed++;
		printf("damage '%s': expected '%s' but got '%s', and %u words were written\n",
		       wrongs[i].edits, wrongs[i].why ? wrongs[i].why : "done",
		       why ? why : "done", written);
	}
}

/* Whatever an entry was: blocked is valid, for translation too, and gives no access. */
static void judge_blocked(void)
{
	static const u64 entries[][4] = {
		{ 0 },
		{ 3 | AMD_ACCESS, 1, 1, 0 },
		{ 3 | 4 << 9 | 0x5000 | AMD_ACCESS, 0x300000002, 0x2000000012345013, 7 },
		{ ~0ull, ~0ull, ~0ull, ~0ull },
	};

	for (unsigned int i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		u64 dte[4];

		memcpy(dte, entries[i], sizeof(dte));
		amd_dte_block(dte, 0x30000000000);
		judged++;
		if (dte[0] == 3 && dte[1] == 0x30000000000 &&
		    dte[2] == entries[i][2] && !dte[3] && !amd_dte_translates(dte))
			continue;
		failed++;
		printf("entry %u: %#lx %#lx %#lx %#lx is not blocked\n", i,
		       dte[0], dte[1], dte[2], dte[3]);
	}
}

static FILE *open_file(const char *path)
{
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		exit(2);
	}
	file = path;
	return f;
}

int main(int argc, char **argv)
{
	const char *table = NULL;
	struct damage d;
	FILE *f;
	int opt;

	while ((opt = getopt(argc, argv, "c:d:")) != -1) {
		if (opt == 'c')
			corpus = optarg;
		else if (opt == 'd')
			table = optarg;
		else
			return 2;
	}
	image_init();
	if (table) {
		f = open_file(table);
		judge_language();
		judge_blocked();
		judge_table(f);
		fclose(f);
	}
	for (; optind < argc; optind++) {
		f = open_file(argv[optind]);
		parse(f, &d);
		fclose(f);
		judge(strrchr(file, '/') ? strrchr(file, '/') + 1 : file, &d);
	}
	printf("%u handovers judged, %u wrongly\n", judged, failed);
	return failed || !judged;
}
