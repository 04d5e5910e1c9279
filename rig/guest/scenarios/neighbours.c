// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two VMs, each with a device, a session and a process of its own: how long does the
 * small one wait for the large one?
 *
 * The large one is preserved, that is undone, and its HWPT is replaced by another one
 * and freed. The small one has a real-time priority: when its timer expires it takes the
 * only CPU from the large one, wherever in the kernel that is, and makes the calls that
 * VMs make, one after the other. A call takes longer than its own work by nothing but
 * what the large one still does under a lock that the call waits for.
 *
 * Option: neighbours=1.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/neighbours.h"

#define ID_REDHAT	0x1af4
#define ID_RNG		0x1044
#define PAGE		4096ul
#define SMALL		(16 * PAGE)
#define IOVA		0x1000000000ull
#define IOVA_TABLES	0x2000000000ull
#define TABLE_SPAN	(2ull << 20)
#define PAUSE_NS	1000000
#define VIEW		"/dev/liveupdate-view"

enum token { TOKEN_MEMORY = 1, TOKEN_MORE, TOKEN_IOMMUFD, TOKEN_DEVICE, TOKEN_HWPT };

struct vm {
	const char *name;
	int memfd, iommufd, ioas, session;
	int hwpt[2];		/* [0] is the one that the device is attached to */
	struct vdev dev;
	uint64_t tables;
	unsigned int marks;	/* so many HWPTs got one: no two get the same */
};

enum call { CREATE, MEMFD, IOMMUFD, DEVICE, LOOK, UNDO, REPLACE, CALLS };

static const char *const call_name[CALLS] = {
	"create", "memfd", "iommufd", "device", "view", "undo", "replace",
};

static struct vm large = { .name = "large" };
static int orders[2], answers[2];
static struct {
	volatile bool stop;
	unsigned int rounds;
	uint64_t longest_ns[CALLS];
} *shared;

bool neighbours_wanted(void)
{
	return opt_num("neighbours", 0);
}

static int memory(const char *name, uint64_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(fd, "make a memfd");
	must(ftruncate(fd, size), "make the memfd large");
	must(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL),
	     "seal the memfd");
	return fd;
}

static void vm_make_hwpt(struct vm *vm, unsigned int i)
{
	vm->hwpt[i] = iommufd_hwpt_alloc(vm->iommufd, vm->dev.devid, vm->ioas);
	must(vm->hwpt[i], "allocate a HWPT");
	must(iommufd_hwpt_mark(vm->iommufd, vm->hwpt[i], TOKEN_HWPT + vm->marks++, 0),
	     "mark a HWPT");
}

static void vm_start(struct vm *vm, unsigned int nth)
{
	vm->memfd = memory(vm->name, SMALL);
	vm->iommufd = iommufd_open();
	must(vm->iommufd, "open /dev/iommu");
	must(vfio_find(ID_REDHAT, ID_RNG, nth, vm->dev.bdf), "find a device");
	vm->dev.fd = vfio_open_cdev(vm->dev.bdf);
	must(vm->dev.fd, "open a cdev");
	must(vfio_bind(&vm->dev, vm->iommufd), "bind a device");
	vm->ioas = iommufd_ioas_alloc(vm->iommufd);
	must(vm->ioas, "allocate an IOAS");
	must(iommufd_map_file(vm->iommufd, vm->ioas, vm->memfd, 0, SMALL, IOVA),
	     "map the memfd");
	vm_make_hwpt(vm, 0);
	must(vfio_attach(&vm->dev, vm->hwpt[0]), "attach a device");
}

static void vm_replace(struct vm *vm)
{
	int old = vm->hwpt[0];

	must(vfio_attach(&vm->dev, vm->hwpt[1]), "replace a HWPT");
	vm->hwpt[0] = vm->hwpt[1];
	vm->hwpt[1] = old;
}

/* --- the small one --- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int look(void)
{
	static char text[1 << 16];
	int fd = open(VIEW, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	must(fd, "open " VIEW);
	do
		n = read(fd, text, sizeof(text));
	while (n > 0);
	close(fd);
	return n;
}

static int call(struct vm *vm, enum call c)
{
	switch (c) {
	case CREATE:
		vm->session = luo_session_create(vm->name);
		return vm->session;
	case MEMFD:
		return luo_preserve(vm->session, vm->memfd, TOKEN_MEMORY);
	case IOMMUFD:
		return luo_preserve(vm->session, vm->iommufd, TOKEN_IOMMUFD);
	case DEVICE:
		return luo_preserve(vm->session, vm->dev.fd, TOKEN_DEVICE);
	case LOOK:
		return look();
	case UNDO:
		return close(vm->session);
	case REPLACE:
		vm_replace(vm);
		return 0;
	case CALLS:
		break;
	}
	return 0;
}

static void small_round(struct vm *vm)
{
	for (enum call c = CREATE; c < CALLS; c++) {
		uint64_t begin = now_ns(), took;

		must(call(vm, c), call_name[c]);
		took = now_ns() - begin;
		if (took > shared->longest_ns[c])
			shared->longest_ns[c] = took;
	}
	shared->rounds++;
}

static void small_vm(void)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	const struct sched_param param = { .sched_priority = 1 };
	struct vm small = { .name = "small" };
	char byte;

	vm_start(&small, 1);
	vm_make_hwpt(&small, 1);
	must(sched_setscheduler(0, SCHED_FIFO, &param), "be a real-time process");
	do {
		must(write(answers[1], "", 1), "answer");
		must(read(orders[0], &byte, 1), "wait for an order");
		while (!shared->stop) {
			small_round(&small);
			clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		}
	} while (true);
}

/* --- the large one --- */

void neighbours_start(void)
{
	char byte;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(shared == MAP_FAILED ? -1 : 0, "make memory for both");
	must(pipe(orders), "make a pipe");
	must(pipe(answers), "make a pipe");
	if (!fork())
		small_vm();
	must(read(answers[0], &byte, 1), "wait for the small VM");
	vm_start(&large, 0);
	emit("neighbours", "");
}

static void large_grow(uint64_t tables)
{
	for (; large.tables < tables; large.tables++)
		must(iommufd_map_file(large.iommufd, large.ioas, large.memfd, 0, PAGE,
				      IOVA_TABLES + large.tables * TABLE_SPAN),
		     "map a page for its table");
}

static void large_preserve_and_undo(int more)
{
	large.session = luo_session_create(large.name);
	must(large.session, "create a session");
	must(luo_preserve(large.session, large.memfd, TOKEN_MEMORY),
	     "preserve the memfd");
	must(luo_preserve(large.session, more, TOKEN_MORE),
	     "preserve the large memfd");
	must(luo_preserve(large.session, large.iommufd, TOKEN_IOMMUFD),
	     "preserve the iommufd");
	must(luo_preserve(large.session, large.dev.fd, TOKEN_DEVICE),
	     "preserve the device");
	close(large.session);
}

void neighbours_measure(uint64_t tables)
{
	int more = memory("more", tables * PAGE);
	uint64_t begin, took;
	char text[512];
	size_t len = 0;
	char byte;

	large_grow(tables);
	memset(shared, 0, sizeof(*shared));
	must(write(orders[1], "", 1), "order the small VM to begin");
	begin = now_ns();
	large_preserve_and_undo(more);
	vm_make_hwpt(&large, 1);
	vm_replace(&large);
	must(iommufd_destroy(large.iommufd, large.hwpt[1]), "destroy a HWPT");
	took = now_ns() - begin;
	shared->stop = true;
	must(read(answers[0], &byte, 1), "wait for the small VM");
	close(more);

	for (enum call c = CREATE; c < CALLS; c++)
		len += snprintf(text + len, sizeof(text) - len, ",\"%s_ns\":%llu",
				call_name[c],
				(unsigned long long)shared->longest_ns[c]);
	emit("waits", ",\"tables\":%llu,\"rounds\":%u,\"took_ns\":%llu%s",
	     (unsigned long long)tables, shared->rounds, (unsigned long long)took,
	     text);
}
