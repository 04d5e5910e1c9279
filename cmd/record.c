// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "report.h"

#define LATEST_US	(1ll << 53)

/* One follows the other; each step of the agent's is one of them (agent/decide.h). */
const struct record_phase record_phases[] = {
	{ "sync", "sync", "synced", "#9ecae9" },
	{ "services", "services", "services_ended", "#bab0ac" },
	{ "sync again", "sync_again", "synced_again", "#9ecae9" },
	{ "preserve", "preserve", "preserved", "#4c78a8" },
	{ "suspend", "suspend", "suspended", "#e45756" },
	{ "flush", "flush", "flushed", "#f58518" },
	{ "count", "count", "counted", "#79706e" },
	{ "seal", "seal", "sealed", "#79706e" },
	{ "jump", "sealed", "kernel", "#b279a2" },
	{ "kernel boot", "kernel", "agent", "#b35900" },
	{ "take over", "agent", "complete", "#2f6f4e" },
	{ "undo", "undo", "undone", "#9d755d" },
	{}
};

const struct record_phase record_vm_phases[] = {
	{ "preserve", "preserve", "preserved", "#4c78a8" },
	{ "blackout", "suspend", "released", "#e45756" },
	{ "waited for", "suspend", "retrieved", "" },
	{ "taken over", "retrieved", "released", "" },
	{ "undo", "undo", "undone", "#9d755d" },
	{}
};

struct json_object *record_get(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	return value;
}

bool record_time(struct json_object *o, const char *key, long long *us)
{
	struct json_object *value = record_get(o, key);

	*us = json_object_get_int64(value);
	return json_object_is_type(value, json_type_int) && *us >= 0 && *us <= LATEST_US;
}

bool record_took(struct json_object *o, const struct record_phase *phase,
		 long long *begin, long long *end)
{
	const char *from = phase->begin;

	/* An older agent has not written down what comes before its "sealed": that is in its jump. */
	if (!strcmp(from, "sealed") && !record_time(o, "seal", begin))
		from = "suspended";
	return record_time(o, from, begin) && record_time(o, phase->end, end);
}

const char *record_text(struct json_object *o, const char *key)
{
	struct json_object *value = record_get(o, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

const char *record_vm_state(struct json_object *vm)
{
	long long us;

	if (strcmp(record_text(vm, "state"), "suspended"))
		return record_text(vm, "state");
	return record_time(vm, "released", &us) ? "taken over" :
	       record_time(vm, "retrieved", &us) ? "retrieved" : "suspended";
}

const char *const record_verdicts[VERDICTS] = {
	[VERDICT_PENDING] = "pending", [VERDICT_COMPLETE] = "complete",
	[VERDICT_UNDONE] = "undone", [VERDICT_PARTLY] = "partly",
};

enum record_verdict record_verdict(struct json_object *record)
{
	struct json_object *vms = record_get(record, "vm");
	bool undone = !strcmp(record_text(record, "outcome"), "undone");

	/* The agent says so of an undo; of an update that went over it is what the VMs say. */
	if (!strcmp(record_text(record, "outcome"), "partly"))
		return VERDICT_PARTLY;
	if (!undone && strcmp(record_text(record, "outcome"), "complete"))
		return VERDICT_PENDING;
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		const char *state = record_vm_state(json_object_array_get_idx(vms, i));

		if (undone ? !strcmp(state, "failed") || !strcmp(state, "silent") :
			     strcmp(state, "taken over"))
			return VERDICT_PARTLY;
	}
	return undone ? VERDICT_UNDONE : VERDICT_COMPLETE;
}

static bool are_vms(struct json_object *rows)
{
	if (!json_object_is_type(rows, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		if (!json_object_is_type(json_object_array_get_idx(rows, i), json_type_object) ||
		    !*record_text(json_object_array_get_idx(rows, i), "name"))
			return false;
	return true;
}

struct json_object *record_read(const struct options *opt, const char *name, int *err)
{
	char *text = read_text(opt, "%s", name);
	struct json_object *o = NULL;

	*err = text ? 0 : errno;
	if (!text)
		return NULL;
	o = json_tokener_parse(text);
	free(text);
	if (json_object_is_type(record_get(o, "at"), json_type_object) &&
	    are_vms(record_get(o, "vm")) &&
	    json_object_get_int(record_get(o, "format_version")) == REPORT_FORMAT_VERSION)
		return o;
	trouble("%s%s: this is no record of format version %d; take a continuo that belongs to the agent",
		opt->root, name, REPORT_FORMAT_VERSION);
	json_object_put(o);
	return NULL;
}
