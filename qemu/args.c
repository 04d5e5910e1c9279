// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "backing.h"
#include "files.h"
#include "json.h"
#include "say.h"

#define MEMORY_ID	"continuo-ram"
#define IOMMUFD_ID	"continuo-iommufd"
#define DEFAULT_MEMORY	"128M"

/* Options of QEMU that no argument follows; all others have one. */
static const char *const bare[] = {
	"help", "h", "version", "mem-prealloc", "snapshot", "usb", "nographic", "full-screen",
	"win2k-hack", "no-fd-bootchk", "preconfig", "S", "s", "enable-kvm", "xen-attach",
	"xen-domid-restrict", "no-reboot", "no-shutdown", "daemonize", "only-migratable",
	"nodefaults", "semihosting", "no-user-config", "enable-sync-profile", "perfmap", "jitdump",
};

/* Other names of options. */
static const char *const aliases[][2] = {
	{ "M", "machine" }, { "net", "netdev" }, { "nic", "netdev" },
};

#define N(a)	(sizeof(a) / sizeof((a)[0]))

/* --- lines --- */

void args_add(struct args *a, const char *text)
{
	a->v = realloc(a->v, (a->n + 2) * sizeof(*a->v));
	if (!a->v)
		abort();
	a->v[a->n] = strdup(text);
	if (!a->v[a->n])
		abort();
	a->v[++a->n] = NULL;
}

void args_copy(struct args *a, char *const *v)
{
	*a = (struct args){};
	for (; *v; v++)
		args_add(a, *v);
}

void args_free(struct args *a)
{
	for (unsigned int i = 0; i < a->n; i++)
		free(a->v[i]);
	free(a->v);
	*a = (struct args){};
}

static void replace(char **at, char *text)
{
	free(*at);
	*at = text;
}

/* --- the properties of an option --- */

#define MOST_PROPERTIES	64

/* "TYPE,key=value,…"; the type's key is "". A doubled comma is a comma. */
struct properties {
	unsigned int n;
	struct {
		char *key, *value;
	} of[MOST_PROPERTIES];
};

static void add_property(struct properties *p, char *key, char *value)
{
	if (p->n < MOST_PROPERTIES) {
		p->of[p->n].key = key;
		p->of[p->n++].value = value;
		return;
	}
	free(key);
	free(value);
}

static void read_json(struct properties *p, const char *text)
{
	struct json_object *o = json_tokener_parse(text);

	if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach(o, key, value) {
			bool type = !strcmp(key, "driver") || !strcmp(key, "qom-type") || !strcmp(key, "type");
			const char *as = json_object_is_type(value, json_type_boolean) ?
					 (json_object_get_boolean(value) ? "on" : "off") :
					 json_object_get_string(value);

			add_property(p, strdup(type ? "" : key), strdup(as ?: ""));
		}
	}
	json_object_put(o);
}

static void read_properties(struct properties *p, const char *text)
{
	p->n = 0;
	if (*text == '{') {
		read_json(p, text);
		return;
	}
	while (*text) {
		char *piece = malloc(strlen(text) + 1), *to = piece, *value;

		if (!piece)
			abort();
		while (*text && (*text != ',' || text[1] == ',')) {
			if (*text == ',')
				text++;
			*to++ = *text++;
		}
		*to = 0;
		if (*text)
			text++;
		value = strchr(piece, '=');
		if (value)
			*value++ = 0;
		/* The first one without a value is the type; another one is switched on. */
		if (!value && !p->n)
			add_property(p, strdup(""), strdup(piece));
		else
			add_property(p, strdup(*piece || !value ? piece : "?"), strdup(value ?: "on"));
		free(piece);
	}
}

static void free_properties(struct properties *p)
{
	for (unsigned int i = 0; i < p->n; i++) {
		free(p->of[i].key);
		free(p->of[i].value);
	}
	p->n = 0;
}

/* The last value of a key; NULL if there is none. */
static const char *property(const struct properties *p, const char *key)
{
	const char *value = NULL;

	for (unsigned int i = 0; i < p->n; i++)
		if (!strcmp(p->of[i].key, key) ||
		    /* The long name of the type's key. */
		    (!*key && (!strcmp(p->of[i].key, "driver") || !strcmp(p->of[i].key, "qom-type") ||
			       !strcmp(p->of[i].key, "type"))))
			value = p->of[i].value;
	return value;
}

/* --- options, one after the other --- */

/* @value: index of its argument; 0 if it has none. */
struct option_at {
	unsigned int next;
	const char *name;
	unsigned int value;
};

static bool is_bare(const char *name)
{
	for (size_t i = 0; i < N(bare); i++)
		if (!strcmp(bare[i], name))
			return true;
	return false;
}

/* Begins with @next = 1; false behind the last one. */
static bool next_option(const struct args *a, struct option_at *o)
{
	while (o->next < a->n) {
		const char *text = a->v[o->next++];

		/* A disk without an option before it. */
		if (*text != '-' || !text[1])
			continue;
		o->name = text + (text[1] == '-' ? 2 : 1);
		o->value = 0;
		if (!is_bare(o->name) && o->next < a->n)
			o->value = o->next++;
		for (size_t i = 0; i < N(aliases); i++)
			if (!strcmp(o->name, aliases[i][0]))
				o->name = aliases[i][1];
		return true;
	}
	return false;
}

/* The same, of the options of a name that have a value, with what is in that; to be freed before the next one is asked for. */
static bool next_named(const struct args *a, struct option_at *o, const char *name, struct properties *p)
{
	while (next_option(a, o)) {
		if (strcmp(o->name, name) || !o->value)
			continue;
		read_properties(p, a->v[o->value]);
		return true;
	}
	return false;
}

/* --- what stands against it --- */

static struct {
	args_listener *refused;
	unsigned int nr;
} check;

static void __attribute__((format(printf, 2, 3)))
refuse(const char *name, const char *fmt, ...)
{
	const struct rule *rule = rule_named(name);
	char what[WHY_MOST], text[2 * WHY_MOST];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	rule_sentence(rule, what, text, sizeof(text));
	check.nr++;
	check.refused(rule, text);
}

struct option_is {
	const char *name;
	const struct properties *properties;
};

/* "OPTION", "OPTION:TYPE" or "OPTION:KEY=VALUE" */
static bool option_fits(const char *pattern, const void *what)
{
	const struct option_is *option = what;
	const struct properties *p = option->properties;
	size_t n = strcspn(pattern, ":");
	char key[40], *value;

	if (strlen(option->name) != n || strncmp(option->name, pattern, n))
		return false;
	if (!pattern[n])
		return true;
	pattern += n + 1;
	if (strlen(pattern) >= sizeof(key))
		abort();
	strcpy(key, pattern);
	value = strchr(key, '=');
	if (!value)
		return property(p, "") && !strcmp(property(p, ""), key);
	*value++ = 0;
	return property(p, key) && !fnmatch(value, property(p, key), 0);
}

static void check_rules(const struct args *a)
{
	struct option_at o = { .next = 1 };

	while (next_option(a, &o)) {
		const char *value = o.value ? a->v[o.value] : "", *type;
		struct properties p = {};
		const struct option_is is = { o.name, &p };

		read_properties(&p, value);
		type = property(&p, "") ?: "";
		for (unsigned int i = 0; i < nr_rules; i++) {
			if (!(!strcmp(o.name, "device") && rule_lists(rules[i].devices, type)) &&
			    !(!strcmp(o.name, "object") && rule_lists(rules[i].objects, type)) &&
			    !rule_lists_by(rules[i].options, option_fits, &is))
				continue;
			refuse(rules[i].name, "-%s%s%s", o.name, *value ? " " : "", value);
			break;
		}
		free_properties(&p);
	}
}

static bool is_on(const char *value)
{
	return value && (!strcmp(value, "on") || !strcmp(value, "yes") || !strcmp(value, "true") || !strcmp(value, "y"));
}

/*
 * Memory in files. QEMU touches each page for prealloc, by reading a byte and writing it back, which in
 * the next kernel would undo what a device has written in between.
 */
static void check_backing(const struct properties *p)
{
	const char *id = property(p, "id") ?: "", *path = property(p, "mem-path");
	char not[WHY_MOST];

	if (!path)
		refuse("memory-file", "-object memory-backend-file,id=%s has no mem-path", id);
	else if (!is_on(property(p, "share")))
		refuse("memory-file", "-object memory-backend-file,id=%s is without share=on", id);
	else if (is_on(property(p, "prealloc")))
		refuse("memory-file", "-object memory-backend-file,id=%s has prealloc=on", id);
	else if (backing_fits(path, not, sizeof(not)))
		refuse("memory-file", "-object memory-backend-file,id=%s: %s", id, not);
}

static void check_backings(const struct args *a)
{
	struct option_at o = { .next = 1 };
	struct properties p;

	while (next_named(a, &o, "object", &p)) {
		/* share=off has been refused, by the rule "memory". */
		if (!strcmp(property(&p, "") ?: "", "memory-backend-file") && strcmp(property(&p, "share") ?: "", "off"))
			check_backing(&p);
		free_properties(&p);
	}
}

/* --- what it needs --- */

/* The last value of a property among all options of a name; to be freed. */
static char *find_property(const struct args *a, const char *name, const char *key)
{
	struct option_at o = { .next = 1 };
	struct properties p;
	char *value = NULL;

	while (next_named(a, &o, name, &p)) {
		if (property(&p, key)) {
			free(value);
			value = strdup(property(&p, key));
		}
		free_properties(&p);
	}
	return value;
}

/* Is there -object TYPE,id=ID? */
static bool has_object(const struct args *a, const char *type, const char *id)
{
	struct option_at o = { .next = 1 };
	struct properties p;
	bool found = false;

	while (!found && next_named(a, &o, "object", &p)) {
		found = property(&p, "") && !strcmp(property(&p, ""), type) &&
			property(&p, "id") && !strcmp(property(&p, "id"), id);
		free_properties(&p);
	}
	return found;
}

static bool numa_has_memory(const struct args *a)
{
	char *memory = find_property(a, "numa", "memdev");
	bool has = memory;

	free(memory);
	return has;
}

static void __attribute__((format(printf, 2, 3)))
add(struct args *a, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	args_add(a, text);
	free(text);
}

/* "-m 512", "-m 4G,slots=…" and "-m size=4G": as a size that -object takes. */
static char *memory_size(const struct args *a)
{
	char *size = find_property(a, "m", ""), *text;

	if (!size)
		size = find_property(a, "m", "size");
	if (!size)
		return strdup(DEFAULT_MEMORY);
	if (size[strspn(size, "0123456789")])
		return size;
	if (asprintf(&text, "%sM", size) < 0)
		abort();
	free(size);
	return text;
}

static void need_memory(struct args *a, bool may_add)
{
	char *id = find_property(a, "machine", "memory-backend"), *size;

	if (!id && !numa_has_memory(a)) {
		if (!may_add) {
			refuse("memory", "-machine memory-backend=ID is missing");
			return;
		}
		size = memory_size(a);
		add(a, "-object");
		add(a, "memory-backend-memfd,id=" MEMORY_ID ",size=%s,share=on", size);
		add(a, "-machine");
		add(a, "memory-backend=" MEMORY_ID);
		free(size);
	} else if (id && !has_object(a, "memory-backend-memfd", id) && !has_object(a, "memory-backend-file", id)) {
		refuse("memory", "-machine memory-backend=%s is neither an -object memory-backend-memfd nor a memory-backend-file", id);
	}
	free(id);
}

static void need_aux(struct args *a, bool may_add)
{
	char *on = find_property(a, "machine", "aux-ram-share");

	if (!on && may_add) {
		add(a, "-machine");
		add(a, "aux-ram-share=on");
	} else if (!on) {
		refuse("aux-ram-share", "-machine aux-ram-share=on is missing");
	}
	free(on);
}

static bool is_vfio(const struct properties *p)
{
	const char *type = property(p, "");

	return type && (!strcmp(type, "vfio-pci") || !strcmp(type, "vfio-pci-nohotplug"));
}

/* JSON, or key=value. */
static char *with_iommufd(const char *value, const char *id)
{
	struct json_object *o = *value == '{' ? json_tokener_parse(value) : NULL;
	char *text;

	if (o) {
		json_put_text(o, "iommufd", id);
		text = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
		json_object_put(o);
	} else if (asprintf(&text, "%s,iommufd=%s", value, id) < 0) {
		abort();
	}
	return text;
}

static char *any_iommufd(const struct args *a)
{
	struct option_at o = { .next = 1 };
	struct properties p;
	char *id = NULL;

	while (!id && next_named(a, &o, "object", &p)) {
		if (property(&p, "") && !strcmp(property(&p, ""), "iommufd") && property(&p, "id"))
			id = strdup(property(&p, "id"));
		free_properties(&p);
	}
	return id;
}

/* "[DOMAIN:]BUS:SLOT.FUNCTION", or a folder of sysfs */
static bool asks_token(const struct properties *p)
{
	const char *host = property(p, "host"), *folder = property(p, "sysfsdev");
	unsigned int domain, bus, slot, function;
	char path[80];

	if (folder)
		return device_asks_token(folder);
	if (!host)
		return false;
	if (sscanf(host, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4) {
		domain = 0;
		if (sscanf(host, "%x:%x.%x", &bus, &slot, &function) != 3)
			return false;
	}
	snprintf(path, sizeof(path), PCI_DIR "/%04x:%02x:%02x.%x", domain, bus, slot, function);
	return device_asks_token(path);
}

/* Of those with a vf-token that has been said by check_rules(). */
static void check_tokens(const struct args *a)
{
	struct option_at o = { .next = 1 };
	struct properties p;

	while (next_named(a, &o, "device", &p)) {
		if (is_vfio(&p) && !property(&p, "vf-token") && asks_token(&p))
			refuse("vfio-token", "-device %s", a->v[o.value]);
		free_properties(&p);
	}
}

static void need_iommufd(struct args *a, bool may_add)
{
	struct option_at o = { .next = 1 };
	struct properties p;
	char *id = any_iommufd(a), *first = NULL;
	bool missing = false;

	while (next_named(a, &o, "device", &p)) {
		const char *has;

		has = is_vfio(&p) ? property(&p, "iommufd") : NULL;
		if (is_vfio(&p) && !has && !may_add)
			refuse("iommufd", "-device %s", a->v[o.value]);
		else if (is_vfio(&p) && !has) {
			replace(&a->v[o.value], with_iommufd(a->v[o.value], id ?: IOMMUFD_ID));
			missing = !id;
			has = id ?: IOMMUFD_ID;
		}
		if (has && first && strcmp(has, first))
			refuse("one-iommufd", "-device %s", a->v[o.value]);
		else if (has && !first)
			first = strdup(has);
		free_properties(&p);
	}
	/* An object has to be there before a device names it. QEMU sees to that order itself. */
	if (missing) {
		add(a, "-object");
		add(a, "iommufd,id=" IOMMUFD_ID);
	}
	free(first);
	free(id);
}

unsigned int args_check(struct args *a, bool may_add, args_listener *refused)
{
	check.refused = refused;
	check.nr = 0;
	check_rules(a);
	check_backings(a);
	check_tokens(a);
	need_memory(a, may_add);
	need_aux(a, may_add);
	need_iommufd(a, may_add);
	return check.nr;
}

void args_devices(const struct args *a, void (*each)(const char *type, const char *id, void *data), void *data)
{
	struct option_at o = { .next = 1 };
	struct properties p;

	while (next_named(a, &o, "device", &p)) {
		each(property(&p, "") ?: "", property(&p, "id"), data);
		free_properties(&p);
	}
}

#define GUEST_AGENT	"org.qemu.guest_agent.0"

/* Of an option of a name that has this one, the value of another property; to be freed. */
static char *property_where(const struct args *a, const char *name, const char *key, const char *value, const char *wanted)
{
	struct option_at o = { .next = 1 };
	struct properties p;
	char *found = NULL;

	while (!found && next_named(a, &o, name, &p)) {
		if (property(&p, key) && !strcmp(property(&p, key), value) && property(&p, wanted))
			found = strdup(property(&p, wanted));
		free_properties(&p);
	}
	return found;
}

char *args_guest_agent(const struct args *a)
{
	char *id = property_where(a, "device", "name", GUEST_AGENT, "chardev"), *path = NULL;

	if (id)
		path = property_where(a, "chardev", "id", id, "path");
	free(id);
	return path;
}

bool args_name(const struct args *a, const char *file)
{
	char *doubled = malloc(2 * strlen(file) + 1), *to = doubled;
	bool found = false;

	if (!doubled)
		abort();
	/* As it is in a list of properties. */
	for (const char *at = file; *at; *to++ = *at++)
		if (*at == ',')
			*to++ = ',';
	*to = 0;
	for (unsigned int i = 1; i < a->n && !found; i++)
		found = strstr(a->v[i], file) || strstr(a->v[i], doubled);
	free(doubled);
	return found;
}

int args_add_qmp(struct args *a, const char *path)
{
	if (strchr(path, ','))
		return fail("%s: a path with a comma cannot be told to QEMU", path);
	args_add(a, "-qmp");
	add(a, "unix:%s,server=on,wait=off", path);
	return 0;
}

int args_add_incoming(struct args *a, const char *cpr, const char *stream)
{
	struct json_object *o = json_object_new_object(), *addr = json_object_new_object();

	json_put_text(o, "channel-type", "cpr");
	json_put_text(addr, "transport", "socket");
	json_put_text(addr, "type", "unix");
	json_put_text(addr, "path", cpr);
	json_object_object_add(o, "addr", addr);
	/* It does not run before it is told to, whatever the stream says. */
	args_add(a, "-S");
	args_add(a, "-incoming");
	add(a, "unix:%s", stream);
	args_add(a, "-incoming");
	args_add(a, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
	return 0;
}
