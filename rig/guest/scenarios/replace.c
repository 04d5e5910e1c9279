// SPDX-License-Identifier: GPL-2.0-only
#include <stdint.h>

#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "devices/dma_memory.h"
#include "devices/igb.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "scenarios/replace.h"

void replace_hwpts(struct rig *r, unsigned long n)
{
	int nic[2], audio[2], ioas[2];
	uint64_t t0, spent = 0, longest = 0;

	nic[0] = r->nic.hwpt;
	audio[0] = r->audio.hwpt;
	ioas[0] = r->ioas;
	build_ioas(r, 0);
	ioas[1] = r->ioas;
	build_hwpts(r, &nic[1], &audio[1]);

	emit("replacing", ",\"n\":%lu", n);
	for (unsigned long i = 1; i <= n; i++) {
		t0 = now_us();
		attach_all(r, nic[i & 1], audio[i & 1]);
		t0 = now_us() - t0;
		spent += t0;
		if (t0 > longest)
			longest = t0;
		if (!(i % 16))
			rig_poll(r);
	}
	/* Keep what the devices are attached to; ids may be used again. */
	r->nic.marked = 0;
	r->audio.marked = 0;
	if (n & 1)
		destroy_hwpts(r, nic[0], audio[0]);
	else
		destroy_hwpts(r, nic[1], audio[1]);
	r->ioas = ioas[n & 1];
	must(iommufd_destroy(r->iommufd, ioas[~n & 1]), "destroy an IOAS");
	emit("replaced", ",\"n\":%lu,\"spent_us\":%llu,\"longest_us\":%llu", n,
	     (unsigned long long)spent, (unsigned long long)longest);
}

/*
 * What is not in the new HWPT is a page that the network device is about to use, or the
 * one that the audio device writes its position to all the time. The old HWPT
 * stays, so that it is well-defined what who goes on using it would reach.
 */
void replace_without_page(struct rig *r, bool in_use)
{
	struct igb_place hole = { .offset = OFF_HDA_POS };
	char where[IGB_PLACE_TEXT];

	if (!in_use)
		hole = igb_ahead(&r->igb);
	build_ioas(r, hole.offset);
	if (r->nic.present)
		attach_new(r, &r->nic);
	if (r->audio.present)
		attach_new(r, &r->audio);
	if (in_use) {
		emit("shrunk", ",\"hole\":%llu", (unsigned long long)hole.offset);
		return;
	}
	igb_place_text(&r->igb, &hole, where);
	emit("shrunk", "%s", where);
}
