// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the machine's first processor comes to which place, and what it executes in between:
 * a plugin for QEMU's TCG, so that nothing in the machine says or counts anything. For a
 * machine that counts instructions (icount, one processor), where the time stamp counter is
 * the clock.
 *
 * Arguments: marks=FILE, out=FILE, profile=on|off. A line of the marks is
 *
 *	NAME at ADDRESS		the instruction at this address is executed
 *	NAME code BYTES		the same for one that begins a block with these bytes (in hex) in
 *				the lower half of the addresses: where the code lies is not known
 *	NAME low		the next block in the lower half of the addresses that is translated
 *				after the mark before it in the list: it is only asked for then
 *
 * What it writes:
 *
 *	mark NAME TSC INSTRUCTIONS RDI
 *	block ADDRESS INSTRUCTIONS	since the mark before, ahead of the mark that ends it
 *
 * The time stamp counter is what the guest's last RDTSC gave, and the instructions since. A
 * processor that has woken up reads it almost at once, so what it slept is seen there.
 *
 * The declarations are those of QEMU's interface for plugins, version 7 (QEMU 11).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- QEMU's, and GLib's that comes with it --- */

struct qemu_plugin_u64 {
	void *score;
	size_t offset;
};

struct qemu_plugin_reg {
	void *handle;
	const char *name, *feature;
};

struct g_bytes {
	uint8_t *data;
	unsigned int len;
};

enum {
	NO_REGS = 0,
	READ_REGS = 1,
	COND_NE = 3,
	ADD_U64 = 0,
};

typedef void (*exec_cb)(unsigned int cpu, void *data);

int qemu_plugin_version = 7;

void qemu_plugin_register_vcpu_init_cb(uint64_t id, exec_cb cb, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*cb)(void *tb, void *data), void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*cb)(void *data), void *data);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(void *tb, int op, struct qemu_plugin_u64 entry,
						       uint64_t value);
void qemu_plugin_register_vcpu_tb_exec_cond_cb(void *tb, exec_cb cb, int flags, int cond,
					       struct qemu_plugin_u64 entry, uint64_t value, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(void *insn, exec_cb cb, int flags, void *data);
size_t qemu_plugin_tb_n_insns(const void *tb);
void *qemu_plugin_tb_get_insn(const void *tb, size_t n);
uint64_t qemu_plugin_tb_vaddr(const void *tb);
uint64_t qemu_plugin_insn_vaddr(const void *insn);
size_t qemu_plugin_insn_size(const void *insn);
size_t qemu_plugin_insn_data(const void *insn, void *to, size_t len);
void *qemu_plugin_scoreboard_new(size_t size);
void *qemu_plugin_scoreboard_find(void *score, unsigned int cpu);
void *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(void *handle, struct g_bytes *to);
struct g_bytes *g_byte_array_new(void);
struct g_bytes *g_byte_array_set_size(struct g_bytes *b, unsigned int n);
unsigned int g_array_get_element_size(void *array);
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

/* --- ours --- */

#define MOST_MARKS	4096
#define MOST_CODE	32
#define MOST_BLOCKS	(1u << 20)
#define LOWER_HALF	(1ull << 47)

enum kind { AT, CODE, LOW };

static struct mark {
	char name[80];
	enum kind kind;
	uint64_t address;
	uint8_t code[MOST_CODE];
	size_t len;
} marks[MOST_MARKS];

static unsigned int n_marks, armed;
static FILE *out;
static bool profile;
static void *rax, *rdx, *rdi;

/* Of the processor. */
struct counts {
	uint64_t instructions;
	uint64_t after_rdtsc;
	uint64_t block[];
};

static void *score;
static struct counts *counts;
static uint64_t slept;			/* the TSC less the instructions */
static uint64_t blocks[MOST_BLOCKS];	/* their addresses, + 1 */

static uint64_t reg(void *handle)
{
	static struct g_bytes *bytes;
	uint64_t value = 0;

	if (!bytes)
		bytes = g_byte_array_new();
	g_byte_array_set_size(bytes, 0);
	qemu_plugin_read_register(handle, bytes);
	memcpy(&value, bytes->data, bytes->len < 8 ? bytes->len : 8);
	return value;
}

static void on_cpu(unsigned int cpu, void *data)
{
	void **array = qemu_plugin_get_registers();
	size_t size = g_array_get_element_size(array);

	(void)data;
	if (cpu)
		return;
	counts = qemu_plugin_scoreboard_find(score, 0);
	for (char *at = array[0]; !rax || !rdx || !rdi; at += size) {
		struct qemu_plugin_reg *r = (void *)at;

		if (!strcmp(r->name, "rax"))
			rax = r->handle;
		else if (!strcmp(r->name, "rdx"))
			rdx = r->handle;
		else if (!strcmp(r->name, "rdi"))
			rdi = r->handle;
	}
}

static void on_rdtsc(unsigned int cpu, void *data)
{
	uint64_t tsc = (uint32_t)reg(rax) | reg(rdx) << 32;

	(void)cpu;
	/* This block is counted already. */
	slept = tsc - (counts->instructions - (size_t)data);
	counts->after_rdtsc = 0;
}

static void say(const struct mark *m, uint64_t argument)
{
	for (size_t i = 0; profile && i < MOST_BLOCKS; i++) {
		if (!counts->block[i])
			continue;
		fprintf(out, "block %llx %llu\n", (unsigned long long)blocks[i] - 1,
			(unsigned long long)counts->block[i]);
		counts->block[i] = 0;
	}
	fprintf(out, "mark %s %llu %llu %llx\n", m->name,
		(unsigned long long)(counts->instructions + slept),
		(unsigned long long)counts->instructions, (unsigned long long)argument);
}

static void on_mark(unsigned int cpu, void *data)
{
	struct mark *m = data;

	(void)cpu;
	armed = m - marks + 1;
	say(m, reg(rdi));
}

static size_t place(uint64_t address)
{
	size_t i = address * 0x9e3779b97f4a7c15ull >> 44;

	for (size_t n = 0; n < MOST_BLOCKS; n++, i = (i + 1) % MOST_BLOCKS) {
		if (!blocks[i])
			blocks[i] = address + 1;
		if (blocks[i] == address + 1)
			break;
	}
	return i;
}

static struct qemu_plugin_u64 entry(size_t offset)
{
	return (struct qemu_plugin_u64){ score, offset };
}

static size_t code_of(void *tb, uint8_t *to)
{
	size_t n = qemu_plugin_tb_n_insns(tb), len = 0;

	for (size_t i = 0; i < n; i++) {
		void *insn = qemu_plugin_tb_get_insn(tb, i);
		size_t size = qemu_plugin_insn_size(insn);

		if (len + size > MOST_CODE)
			break;
		len += qemu_plugin_insn_data(insn, to + len, size);
	}
	return len;
}

static void on_block(void *tb, void *data)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	uint64_t begin = qemu_plugin_tb_vaddr(tb), end;
	void *last = qemu_plugin_tb_get_insn(tb, n - 1);
	uint8_t code[MOST_CODE];
	size_t len;

	(void)data;
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, ADD_U64,
			entry(offsetof(struct counts, instructions)), n);
	if (profile)
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, ADD_U64,
				entry(offsetof(struct counts, block) + 8 * place(begin)), n);
	qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, on_rdtsc, READ_REGS, COND_NE,
			entry(offsetof(struct counts, after_rdtsc)), 0, (void *)n);
	/* With icount RDTSC and RDTSCP end a block. */
	len = qemu_plugin_insn_data(last, code, MOST_CODE);
	if ((len >= 2 && !memcmp(code, "\x0f\x31", 2)) || (len >= 3 && !memcmp(code, "\x0f\x01\xf9", 3)))
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, ADD_U64,
				entry(offsetof(struct counts, after_rdtsc)), 1);

	end = qemu_plugin_insn_vaddr(last);
	if (begin < LOWER_HALF) {
		len = code_of(tb, code);
		if (armed && marks[armed].kind == LOW) {
			say(&marks[armed], begin);
			armed = 0;
		}
		for (unsigned int i = 0; i < n_marks; i++)
			if (marks[i].kind == CODE && len && !memcmp(code, marks[i].code,
								     len < marks[i].len ? len : marks[i].len))
				qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, 0), on_mark,
								       READ_REGS, &marks[i]);
		return;
	}
	for (unsigned int i = 0; i < n_marks; i++) {
		if (marks[i].kind != AT || marks[i].address < begin || marks[i].address > end)
			continue;
		for (size_t k = 0; k < n; k++) {
			void *insn = qemu_plugin_tb_get_insn(tb, k);

			if (qemu_plugin_insn_vaddr(insn) == marks[i].address)
				qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, READ_REGS, &marks[i]);
		}
	}
}

static void at_exit(void *data)
{
	(void)data;
	fclose(out);
}

static bool read_marks(const char *path)
{
	FILE *f = fopen(path, "r");
	char kind[8], value[2 * MOST_CODE + 1];

	while (f && n_marks < MOST_MARKS - 1) {
		struct mark *m = &marks[n_marks];

		if (fscanf(f, "%79s %7s", m->name, kind) != 2)
			break;
		m->kind = !strcmp(kind, "low") ? LOW : !strcmp(kind, "code") ? CODE : AT;
		if (m->kind != LOW && fscanf(f, "%64s", value) != 1)
			break;
		if (m->kind == AT)
			m->address = strtoull(value, NULL, 16);
		for (; m->kind == CODE && m->len < strlen(value) / 2; m->len++) {
			unsigned int byte = 0;

			sscanf(value + 2 * m->len, "%2x", &byte);
			m->code[m->len] = byte;
		}
		n_marks++;
	}
	if (f)
		fclose(f);
	return n_marks;
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "marks=", 6) && !read_marks(argv[i] + 6))
			fprintf(stderr, "trail: no marks in %s\n", argv[i] + 6);
		else if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
		else if (!strcmp(argv[i], "profile=on"))
			profile = true;
	}
	if (!out || !n_marks)
		return -1;
	score = qemu_plugin_scoreboard_new(sizeof(struct counts) + (profile ? 8 * MOST_BLOCKS : 0));
	qemu_plugin_register_vcpu_init_cb(id, on_cpu, NULL);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_block, NULL);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
