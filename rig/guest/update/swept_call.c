// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/workload.h"
#include "interfaces/fault_injection.h"
#include "update/swept_call.h"

int swept_call(struct rig *r, const char *name, int (*call)(void *arg), void *arg)
{
	uint64_t begin = now_us();
	struct swept s = {};
	char option[64];
	unsigned int n;
	int ret;

	snprintf(option, sizeof(option), "past-%s", name);
	n = opt_num(option, 1);
	if (!opt_num("sweep", 0) || !n)
		return call(arg);
	do {
		bool hit;

		if (s.points > POINTS_MAX)
			die("%s: more than %d places can fail", name, POINTS_MAX);
		fault_arm(n);
		ret = call(arg);
		hit = fault_disarm(name);
		fault_count(&s, ret, hit, name);
		n = fault_next(n, hit);
		if (r->mem)
			rig_poll(r);
	} while (ret < 0);
	snprintf(option, sizeof(option), "past-%s=%u", name, n);
	opt_set(option);
	fault_say(name, &s, begin, !n);
	return ret;
}
