// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "scenarios/uncooperative/machine_sleep.h"
#include "scenarios/uncooperative/requests.h"

/*
 * Nobody could wake the machine. A sleep that is granted stops all processes for a
 * second, this one too, and ends there.
 */
static void only_try(void)
{
	int ret = try_write("/sys/power/pm_test", "freezer");

	if (!ret)
		ret = try_write("/sys/module/suspend/parameters/pm_test_delay", "1");
	if (ret)
		die("this kernel cannot try a sleep: %s", strerror(-ret));
}

void uncoop_sleep(struct rig *r, const char *state)
{
	static const char * const ways[] = { "freeze", "mem" };

	only_try();
	for (unsigned int i = 0; i < ARRAY_SIZE(ways); i++)
		cell(state, "sleep", try_write("/sys/power/state", ways[i]));
	emit("uncoop", ",\"what\":\"sleep\"");
}
