// SPDX-License-Identifier: GPL-2.0-only
/*
 * check --bundle: what a report of a bug needs, with nothing of a tenant's in it.
 *
 * What goes in is listed here; what is not listed stays out. Names of VMs and sessions,
 * and tokens, become name-1, name-2, token-1, ...: the same one each time, so that it can be
 * seen what belongs together. What a VM has said, process names and ids, user ids, and
 * addresses of a VM's memory stay out.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/utsname.h>

#include "commands.h"
#include "continuo.h"
#include "record.h"
#include "report.h"

#define READ_ALL	3		/* of klogctl(2) */
#define LOG_SIZE	10
#define MOST_LINES	500

static bool is_in(const char *const *list, const char *word, size_t n)
{
	for (; *list; list++)
		if (strlen(*list) == n && !strncmp(*list, word, n))
			return true;
	return false;
}

/* --- names --- */

static const char *alias(struct json_object *names, const char *kind, const char *text)
{
	struct json_object *known = record_get(names, text);
	char name[40];

	if (!known) {
		snprintf(name, sizeof(name), "%s-%d", kind, json_object_object_length(names) + 1);
		known = json_object_new_string(name);
		json_object_object_add(names, text, known);
	}
	return json_object_get_string(known);
}

/* --- parts --- */

static void add_cmdline(const struct options *opt, struct json_object *o)
{
	static const char *const plain[] = {
		"kho", "kho_scratch", "liveupdate", "intel_iommu", "iommu", "intremap", "crashkernel",
		"nokaslr", "noats", "maxcpus", "mem", NULL
	};
	static const char *const modules[] = { "iommu", "pci", "vfio", "vfio_pci", "vfio-pci", "vfio_iommu_type1", NULL };
	char *line = read_text(opt, "/proc/cmdline"), *save = NULL, *word;
	struct json_object *words = model_table(o, "cmdline");
	int others = 0;

	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (is_in(plain, word, strcspn(word, "=")) || is_in(modules, word, strcspn(word, ".=")))
			json_object_array_add(words, json_object_new_string(word));
		else
			others++;
	}
	model_int(o, "cmdline_words_left_out", others);
	free(line);
}

static void add_view(const struct options *opt, struct json_object *o, struct json_object *names)
{
	static const char *const plain[] = {
		"kernel", "state", "index", "type", "mode", "ats", "format", "compatible", "levels", "iova-bits",
		"devices", "files", "hwpts", "bdf", "device", "domain", "iommu-index", "iommu", "registers",
		"did", "bus-master", "waits-for", "why", "rule", "errno", "alive", "bound", "owned",
		"secondary", "subordinate", "tries", NULL
	};
	static const char *const named[] = { "name", "session", NULL };
	static const char *const tokens[] = { "token", "iommufd", "hwpt", NULL };
	struct json_object *view = model_new("show"), *table, *row;
	int ret = view_all(opt, view);

	model_text(o, "view", ret ? "cannot be read" : "is below");
	json_object_object_foreach(view, type, rows) {
		if (ret || !json_object_is_type(rows, json_type_array))
			continue;
		table = model_table(o, type);
		for (size_t i = 0; i < json_object_array_length(rows); i++) {
			row = model_row(table);
			json_object_object_foreach(json_object_array_get_idx(rows, i), key, value) {
				const char *text = json_object_get_string(value);

				if (is_in(plain, key, strlen(key)))
					model_text(row, key, text);
				else if (is_in(named, key, strlen(key)))
					model_text(row, key, alias(names, "name", text));
				else if (is_in(tokens, key, strlen(key)))
					model_text(row, key, alias(names, "token", text));
			}
		}
	}
	json_object_put(view);
}

static void add_times(struct json_object *row, struct json_object *at, const struct record_phase *phase)
{
	long long begin, end;

	for (; phase->phase; phase++)
		if (record_took(at, phase, &begin, &end))
			model_ms(row, phase->phase, (end - begin) / 1e3);
}

static void add_record(const struct options *opt, struct json_object *o, struct json_object *names)
{
	struct json_object *table = model_table(o, "update"), *row, *vms, *record;
	int err;

	record = record_read(opt, REPORT_FILE, &err);
	if (!record)
		return;
	vms = record_get(record, "vm");
	row = model_row(table);
	model_text(row, "ended", record_verdicts[record_verdict(record)]);
	model_text(row, "from", record_text(record, "from"));
	model_text(row, "to", record_text(record, "to"));
	model_text(row, "axis", record_text(record, "axis"));
	add_times(row, record_get(record, "at"), record_phases);
	table = model_table(o, "vm");
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);

		row = model_row(table);
		model_text(row, "vm", alias(names, "name", record_text(vm, "name")));
		model_text(row, "state", record_vm_state(vm));
		model_bool(row, "said_why", *record_text(vm, "why"));
		add_times(row, vm, record_vm_phases);
	}
	json_object_put(record);
}

static char *read_log(const struct options *opt)
{
	int size = *opt->root ? 0 : klogctl(LOG_SIZE, NULL, 0), n;
	char *text;

	if (size <= 0)
		return read_text(opt, "/var/log/kern.log");
	text = calloc(1, size + 1);
	n = text ? klogctl(READ_ALL, text, size) : -1;
	if (n >= 0)
		return text;
	free(text);
	return NULL;
}

/* How long a session's name is that begins there, uUID.NAME; 0 if none does. */
static size_t session_name(const char *line)
{
	size_t digits, n = 0;

	if (*line != 'u')
		return 0;
	digits = strspn(line + 1, "0123456789");
	if (digits && line[1 + digits] == '.')
		n = strspn(line + digits + 2, CONTINUO_NAME_BYTES);
	return n ? digits + 2 + n : 0;
}

/* A line of the log with the names in it replaced, and what is in quotes taken out. To be freed. */
static char *clean(struct json_object *names, const char *line)
{
	size_t room = strlen(line) * 10 + 1, n = 0;
	char *out = malloc(room);

	if (!out)
		abort();
	while (*line) {
		const char *as = NULL;
		size_t most = 0, length;

		json_object_object_foreach(names, name, value) {
			size_t all = strlen(name);

			if (all > most && !strncmp(line, name, all)) {
				most = all;
				as = json_object_get_string(value);
			}
		}
		if (as && strlen(as) <= 9 * most) {
			n += sprintf(out + n, "%s", as);
			line += most;
			continue;
		}
		/* One that nobody has any more. */
		length = n && strchr(CONTINUO_NAME_BYTES, out[n - 1]) ? 0 : session_name(line);
		if (length) {
			char *gone = strndup(line, length);

			n += sprintf(out + n, "%s", alias(names, "name", gone));
			line += length;
			free(gone);
			continue;
		}
		/* Of an apostrophe in a word the other one is not there. */
		if (*line == '"' || (*line == '\'' && (!n || out[n - 1] == ' '))) {
			const char *quote = *line == '"' ? "\"" : "'";

			n += sprintf(out + n, "%s%s", quote, quote);
			line += 1 + strcspn(line + 1, quote);
			line += *line != 0;
			continue;
		}
		out[n++] = *line >= 0x20 && *line < 0x7f ? *line : '?';
		line++;
	}
	out[n] = 0;
	return out;
}

static void add_log(const struct options *opt, struct json_object *o, struct json_object *names)
{
	char *text = read_log(opt), *save = NULL, *line;
	struct json_object *table = model_table(o, "log"), *row;
	int faults = 0;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *at = strstr(line, "liveupdate: "), *whole;

		/* An address in a fault's line is a VM's. */
		faults += strstr(line, "DMAR: [") != NULL;
		if (!at || json_object_array_length(table) == MOST_LINES)
			continue;
		whole = clean(names, at);
		row = model_row(table);
		model_text(row, "line", whole);
		free(whole);
	}
	model_int(o, "iommu_faults", faults);
	free(text);
}

int bundle(const struct options *opt)
{
	struct json_object *o = check_host(opt), *names = json_object_new_object();
	struct utsname uts;

	model_format(o, "continuo", "%d.%d", CONTINUO_VERSION_MAJOR, CONTINUO_VERSION_MINOR);
	if (!uname(&uts)) {
		model_text(o, "release", uts.release);
		model_text(o, "build", uts.version);
		model_text(o, "machine", uts.machine);
	}
	add_cmdline(opt, o);
	/* The devices that the check has found; the view has its own. */
	json_object_object_add(o, "candidate", json_object_get(record_get(o, "device")));
	json_object_object_del(o, "device");
	add_view(opt, o, names);
	add_record(opt, o, names);
	add_log(opt, o, names);
	model_print(stdout, o, true);
	json_object_put(names);
	json_object_put(o);
	return EXIT_FINE;
}
