// SPDX-License-Identifier: GPL-2.0-only
/*
 * Adopt: the tables of the restored HWPT become those of a HWPT of the rebuilt
 * IOAS. With adopt=refused, IOASes that say something else are tried first. With
 * adopt=sizes it gets tables of its own, with leaves of the same sizes.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "abi.h"
#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/dma_memory.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/memory.h"
#include "interfaces/vfio.h"
#include "update/adopt.h"
#include "update/swept_call.h"

bool adopt_wanted(void)
{
	return strcmp(opt("adopt", "no"), "no");
}

bool adopt_shares_tables(void)
{
	return adopt_wanted() && strcmp(opt("adopt", ""), "sizes");
}

static int adopt(struct rig *r, uint32_t ioas, struct vdev *v, int restored,
		 struct uio_hwpt_adopt *arg)
{
	*arg = (struct uio_hwpt_adopt){
		.size = sizeof(*arg),
		.flags = ioas && !adopt_shares_tables() ? UIO_ADOPT_SIZES : 0,
		.restored_id = restored,
		.ioas_id = ioas,
		.dev_id = v->devid,
	};
	return ioctl(r->iommufd, UIO_HWPT_ADOPT, arg) ? -errno : 0;
}

static void say(const char *what, int ret, const struct uio_hwpt_adopt *arg)
{
	emit("adopted", ",\"what\":\"%s\",\"errno\":%d,\"result\":%u,\"hwpt\":%u,\"iova\":%llu,\"was\":%u,\"is\":%u",
	     what, -ret, arg->out_result, arg->out_hwpt_id,
	     (unsigned long long)arg->out_iova, arg->out_restored.flags & 1,
	     arg->out_rebuilt.flags & 1);
}

/* Pages that the kernel has for tables of IOMMUs. */
static long table_pages(void)
{
	static char text[16384];
	long pages;

	read_vmstat(text, sizeof(text));
	pages = number_of(text, "nr_iommu_pages");
	if (pages < 0)
		die("/proc/vmstat has no nr_iommu_pages");
	return pages;
}

#define WRONG_AT	(OFF_NIC_BUF + 64 * PAGE)
#define WRONG_IOVA	(IOVA_BASE + WRONG_AT)

static void tell(const char *who, const char *what, uint32_t result,
		 uint64_t iova, const struct uio_translation *was,
		 const struct uio_translation *is)
{
	emit("told", ",\"who\":\"%s\",\"what\":\"%s\",\"result\":%u,\"iova\":%llu,\"was\":[%u,%u,%llu,%llu],\"is\":[%u,%u,%llu,%llu]",
	     who, what, result, (unsigned long long)iova,
	     was->flags, was->lg2_size, (unsigned long long)was->address,
	     (unsigned long long)was->entry,
	     is->flags, is->lg2_size, (unsigned long long)is->address,
	     (unsigned long long)is->entry);
}

/* What both ioctls say of a difference: to root, and to a VMM that is nobody. */
static void told(struct rig *r, struct vdev *v, int restored)
{
	int hwpt = iommufd_hwpt_alloc(r->iommufd, v->devid, r->ioas);
	static const char *const who[] = { "root", "nobody" };
	struct uio_hwpt_verify verify;
	struct uio_hwpt_adopt arg;

	must(hwpt, "allocate a HWPT to compare");
	for (unsigned int i = 0; i < ARRAY_SIZE(who); i++) {
		if (seteuid(i ? 65534 : 0))
			die("become %s: %s", who[i], strerror(errno));
		must(adopt(r, r->ioas, v, restored, &arg), "adopt");
		tell(who[i], "adopt", arg.out_result, arg.out_iova,
		     &arg.out_restored, &arg.out_rebuilt);
		must(iommufd_hwpt_verify(r->iommufd, restored, hwpt, &verify),
		     "verify");
		tell(who[i], "verify", verify.out_result, verify.out_iova,
		     &verify.out_restored, &verify.out_rebuilt);
	}
	if (seteuid(0))
		die("become root again: %s", strerror(errno));
	must(iommufd_destroy(r->iommufd, hwpt), "destroy a HWPT");
}

/* Each is one page that differs from what the device has been using. */
static void refused(struct rig *r, struct vdev *v, int restored)
{
	static const char *const wrong[] = {
		"page missing", "page too many", "other memory", "read only",
	};
	struct uio_hwpt_adopt arg;

	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++) {
		int ret;

		build_ioas(r, i == 1 ? 0 : WRONG_AT);
		if (i == 1)
			must(iommufd_map_file(r->iommufd, r->ioas, r->memfd,
					      WRONG_AT, PAGE, IOVA_TABLES),
			     "map one page too many");
		if (i == 2)
			must(iommufd_map_file(r->iommufd, r->ioas, r->memfd,
					      WRONG_AT + PAGE, PAGE, WRONG_IOVA),
			     "map another page");
		if (i == 3)
			must(iommufd_map_file_ro(r->iommufd, r->ioas, r->memfd,
						 WRONG_AT, PAGE, WRONG_IOVA),
			     "map a page for reading");
		ret = adopt(r, r->ioas, v, restored, &arg);
		say(wrong[i], ret, &arg);
		if (i == 2)
			told(r, v, restored);
		must(iommufd_destroy(r->iommufd, r->ioas), "destroy an IOAS");
		rig_poll(r);
	}
}

/* Both have the tables: nothing may change them, and the new one must stay. */
static void shared(struct rig *r, struct vdev *v, int restored, int hwpt)
{
	struct uio_hwpt_adopt arg;
	int ret;

	emit("shared", ",\"map\":%d,\"destroy\":%d", -rig_probe(r),
	     -iommufd_destroy(r->iommufd, hwpt));
	ret = adopt(r, r->ioas, v, restored, &arg);
	say("again", ret, &arg);
}

struct adopting {
	struct rig *r;
	struct vdev *v;
	int restored;
	struct uio_hwpt_adopt *arg;
};

static int call_adopt(void *p)
{
	struct adopting *a = p;

	return adopt(a->r, a->r->ioas, a->v, a->restored, a->arg);
}

static int adopt_one(struct rig *r, struct vdev *v, int restored,
		     const char *what)
{
	struct uio_hwpt_adopt arg;
	struct adopting a = { .r = r, .v = v, .restored = restored, .arg = &arg };
	long pages = table_pages();
	int ret = swept_call(r, v == &r->nic.v ? "adopt-nic" : "adopt-audio",
			     call_adopt, &a);

	emit("tables_made", ",\"pages\":%ld", table_pages() - pages);
	say(what, ret, &arg);
	if (ret)
		die("adopt the tables of the %s device: %s", what,
		    strerror(-ret));
	if (arg.out_result)
		die("the tables of the %s device are not adopted: result %u at %llx",
		    what, arg.out_result, (unsigned long long)arg.out_iova);
	if (adopt_shares_tables())
		shared(r, v, restored, arg.out_hwpt_id);
	else
		must(rig_probe(r), "map and unmap in the IOAS");
	return arg.out_hwpt_id;
}

/* What a process that has died had adopted already. */
static bool resume_adopted(struct rig *r, int old_nic, int old_audio, int *nic,
			   int *audio)
{
	struct vdev *v = r->nic.present ? &r->nic.v : &r->audio.v;
	struct uio_hwpt_adopt arg;
	int ret = adopt(r, 0, v, r->nic.present ? old_nic : old_audio, &arg);

	if (ret == -ENOENT)
		return false;
	must(ret, "find what was adopted");
	r->ioas = arg.out_ioas_id;
	*nic = *audio = arg.out_hwpt_id;
	if (r->nic.present && r->audio.present && old_audio != old_nic) {
		must(adopt(r, 0, &r->audio.v, old_audio, &arg),
		     "find what was adopted for the audio device");
		*audio = arg.out_hwpt_id;
	}
	say("found", 0, &arg);
	return true;
}

void adopt_tables(struct rig *r, uint64_t hole, int old_nic, int old_audio,
		  int *nic, int *audio)
{
	if (resume_adopted(r, old_nic, old_audio, nic, audio))
		return;
	if (!strcmp(opt("adopt", ""), "refused"))
		refused(r, r->nic.present ? &r->nic.v : &r->audio.v,
			r->nic.present ? old_nic : old_audio);

	build_ioas(r, hole);
	*nic = *audio = -1;
	if (r->nic.present)
		*nic = adopt_one(r, &r->nic.v, old_nic, "network");
	if (r->audio.present)
		*audio = old_audio == old_nic ? *nic :
			 adopt_one(r, &r->audio.v, old_audio, "audio");
}
