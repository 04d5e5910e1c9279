// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which unit a VM was in: the record of an update has it, and so does that of the next one,
 * although the VM is in a unit of packaging/takeover then. Records without it are read, too.
 */
#include "record.c"

static unsigned int bad, checks;
static int over = -1;
static char came[200];

/* In place of the library's: a session has what was put into it last. */
int __wrap_continuo_preserve(struct continuo *ctx, int session, int fd, uint64_t token);
int __wrap_continuo_retrieve(struct continuo *ctx, int session, uint64_t token);

int __wrap_continuo_preserve(struct continuo *ctx, int session, int fd, uint64_t token)
{
	(void)ctx, (void)session, (void)token;
	close(over);
	over = dup(fd);
	return 0;
}

int __wrap_continuo_retrieve(struct continuo *ctx, int session, uint64_t token)
{
	(void)ctx, (void)session, (void)token;
	return dup(over);
}

static void expect(const char *what, const char *is, const char *want)
{
	checks++;
	if (!strcmp(is, want))
		return;
	printf("FAIL %s: '%s', expected '%s'\n", what, is, want);
	bad++;
}

static void comes(const char *name, uid_t uid, const char *unit)
{
	size_t used = strlen(came);

	snprintf(came + used, sizeof(came) - used, "%s %u %s;", name, (unsigned int)uid, unit);
}

/* An update with these VMs, which is sealed and arrives. */
static const char *jump(void)
{
	const char *why;

	record_vm("u1000.web1", 1000, "suspended", "");
	record_vm("vm", 0, "suspended", "");
	*came = 0;
	if (record_seal(NULL, 0, &why) || record_arrive(NULL, 0, "", "", comes))
		return "did not arrive";
	return came;
}

static void add(const char *web1, const char *vm)
{
	expect("a VM is new", record_vm("u1000.web1", 1000, "idle", "") ? "yes" : "no", "yes");
	expect("it is still there", record_vm("u1000.web1", 1000, "preserved", "") ? "yes" : "no", "no");
	record_unit("u1000.web1", 1000, web1);
	record_vm("vm", 0, "idle", "");
	record_unit("vm", 0, vm);
}

int main(void)
{
	static const char *const none[] = { "-p.service", "no unit", "a/b.service", "\"unit\":7" };

	record_begin();
	add(NULL, "continuo-vm-0-vm.service");
	expect("no update is known before it", jump(), "u1000.web1 1000 ;vm 0 ;");
	record_begin();
	add("web1.service", "");
	expect("the first update", jump(), "u1000.web1 1000 web1.service;vm 0 ;");
	/* It was undone, and tried again. */
	for (int i = 0; i < 2; i++) {
		record_begin();
		add("continuo-vm-1000-web1.service", "continuo-vm-0-vm.service");
	}
	expect("the next one", jump(), "u1000.web1 1000 web1.service;vm 0 ;");
	record_begin();
	add(NULL, "continuo-vm-1000-vm.service");
	expect("a VM that is kept, and a unit of another's", jump(), "u1000.web1 1000 web1.service;vm 0 continuo-vm-1000-vm.service;");
	record_begin();
	add("web2.service", NULL);
	expect("a VM that was started anew", jump(), "u1000.web1 1000 web2.service;vm 0 continuo-vm-1000-vm.service;");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		record_begin();
		add("", "");
		if (*none[i] == '"')
			set(row_of("u1000.web1"), "unit", json_object_new_int(7));
		else
			set(row_of("u1000.web1"), "unit", json_object_new_string(none[i]));
		expect(none[i], jump(), "u1000.web1 1000 ;vm 0 ;");
	}
	printf("%s: units of VMs in %u checks, %u failed\n", bad ? "FAIL" : "ok", checks, bad);
	return bad > 0;
}
