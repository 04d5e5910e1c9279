// SPDX-License-Identifier: GPL-2.0-only
/*
 * The smallest VMM that is carried over a live update: one device, some memory, and for a
 * guest one of the two of guest.h. docs/vmm.md goes through it.
 *
 *   vmm NAME BDF    start a VM of that name with the PCI device BDF, which has to be bound
 *                   to vfio-pci
 *   vmm NAME        take over the VM that an update has brought into this kernel
 *
 * Then it waits for orders of the agent, and carries them out.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "continuo.h"
#include "guest.h"

#define RAM_BYTES	(4ul << 20)

static struct continuo *ctx;
static const char *name;
static const char *socket_path;		/* NULL: where agents listen */

/* The VM, while it runs. */
static int iommufd, ram_fd, state_fd, cdev, session = -1;
static bool suspended;
static uint32_t hwpt;
static struct machine machine = { .ram_bytes = RAM_BYTES };

void say(const char *fmt, ...)
{
	va_list args;

	printf("vmm %s: ", name);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

void die(const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "vmm %s: ", name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static int must(int ret, const char *what)
{
	if (ret < 0)
		die("%s: %s", what, *continuo_why(ctx) ? continuo_why(ctx) : strerror(-ret));
	return ret;
}

/* --- the device --- */

static int open_cdev(const char *bdf)
{
	char path[300];
	struct dirent *de;
	DIR *dir;
	int fd = -1;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(path);
	if (!dir)
		die("%s: it is not bound to vfio-pci: %s", bdf, strerror(errno));
	while (fd < 0 && (de = readdir(dir))) {
		if (strncmp(de->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", de->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			die("%s: %s", path, strerror(errno));
	}
	closedir(dir);
	return fd;
}

static void map_device(void)
{
	struct vfio_region_info region = {
		.argsz = sizeof(region),
		.index = VFIO_PCI_BAR0_REGION_INDEX,
	};

	if (ioctl(cdev, VFIO_DEVICE_GET_REGION_INFO, &region))
		die("the device's BAR 0: %s", strerror(errno));
	machine.bar_bytes = region.size;
	machine.bar = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, cdev, region.offset);
	if (machine.bar == MAP_FAILED)
		die("map the device's BAR 0: %s", strerror(errno));
}

/* Memory and bus mastering on, in the command register. */
static void enable_device(void)
{
	struct vfio_region_info region = {
		.argsz = sizeof(region),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	uint16_t command = 0x6;

	if (ioctl(cdev, VFIO_DEVICE_GET_REGION_INFO, &region) ||
	    pwrite(cdev, &command, 2, region.offset + 4) != 2)
		die("the device's command register: %s", strerror(errno));
}

/* --- a VM that begins --- */

static void start(const char *bdf)
{
	uint32_t device, ioas;

	/* The memory's size must not change once it is mapped for DMA. */
	ram_fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ram_fd < 0 || ftruncate(ram_fd, RAM_BYTES) ||
	    fcntl(ram_fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		die("make the memory: %s", strerror(errno));
	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0)
		die("/dev/iommu: %s", strerror(errno));
	cdev = open_cdev(bdf);
	must(continuo_device_bind(ctx, cdev, iommufd, &device), "bind the device");
	must(continuo_ioas_alloc(ctx, iommufd, &ioas), "make an address space");
	must(continuo_ioas_map(ctx, iommufd, ioas, ram_fd, 0, RAM_BYTES, RAM_ADDRESS,
			       CONTINUO_READ | CONTINUO_WRITE), "map the memory for DMA");
	must(continuo_hwpt_alloc(ctx, iommufd, device, ioas, &hwpt), "make a HWPT");
	must(continuo_device_attach(ctx, cdev, hwpt), "attach the device");
	enable_device();
	state_fd = guest_state();
}

/* --- a VM that has come over --- */

static void take_over(void)
{
	struct continuo_vm *vm;
	uint32_t device;
	int from;

	from = must(continuo_session_retrieve(ctx, name), "retrieve the session");
	must(continuo_vm_take(ctx, from, CONTINUO_REPLACE, &vm), "take the VM over");
	ram_fd = must(continuo_vm_find_memory(vm, "ram"), "find the memory");
	cdev = must(continuo_vm_find_device(vm, "edu", &device, &hwpt), "find the device");
	iommufd = must(continuo_vm_find_iommufd(vm), "find the iommufd");
	/* A guest without one has none in either kernel. */
	state_fd = continuo_vm_find_memory(vm, "state");
	continuo_vm_free(vm);
	close(from);
	must(continuo_session_release(ctx, name), "release the session");
}

/* --- what the agent asks --- */

static struct continuo_vm *described;	/* what was preserved */

static void undo(void)
{
	if (session >= 0)
		close(session);
	session = -1;
	/* The agent has one, too, if it came so far. */
	continuo_session_release(ctx, name);
	/* Nothing of it is left then but the marks. */
	if (described)
		continuo_vm_unpreserve(described);
	continuo_vm_free(described);
	described = NULL;
}

static int preserve(void)
{
	struct continuo_vm *vm;
	int memory, space, index, ret;

	/* Asked again after something went wrong, it begins at the beginning. */
	undo();
	session = continuo_session_create(ctx, name);
	if (session < 0)
		return session;
	must(continuo_vm_new(ctx, &vm), "describe the VM");
	must(continuo_vm_iommufd(vm, iommufd), "say the iommufd");
	memory = must(continuo_vm_memory(vm, "ram", ram_fd), "say the memory");
	if (state_fd >= 0)
		must(continuo_vm_memory(vm, "state", state_fd), "say the memory of the state");
	space = must(continuo_vm_space(vm), "say the address space");
	must(continuo_vm_map(vm, space, memory, 0, RAM_BYTES, RAM_ADDRESS,
			     CONTINUO_READ | CONTINUO_WRITE), "say the mapping");
	index = must(continuo_vm_hwpt(vm, space, hwpt), "say the HWPT");
	must(continuo_vm_device(vm, "edu", cdev, index), "say the device");
	described = vm;
	ret = continuo_vm_preserve(vm, session);
	return ret;
}

static void go_on(void)
{
	undo();
	if (suspended)
		guest_go_on();
	suspended = false;
}

/* As long as there is an agent. */
static void serve(void)
{
	int fd = must(continuo_register(ctx, name), "register with the agent");
	struct continuo_order order;

	for (;;) {
		int ret = continuo_order(ctx, fd, &order);
		char why[512];

		if (ret == -EPIPE) {
			close(fd);
			go_on();
			return;
		}
		must(ret, "hear the agent");
		switch (order.want) {
		case CONTINUO_WANT_PRESERVE:
			ret = preserve();
			break;
		case CONTINUO_WANT_SUSPEND:
			guest_suspend();
			suspended = true;
			break;
		case CONTINUO_WANT_UNDO:
			go_on();
			break;
		}
		if (ret) {
			snprintf(why, sizeof(why), "%s", continuo_why(ctx));
			undo();
		}
		/* An agent that has ended is noticed at the next order. */
		continuo_answer(ctx, fd, &order, ret ? why : NULL);
	}
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--agent")) {
		socket_path = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc != 2 && argc != 3) {
		fputs("usage: vmm [--agent SOCKET] NAME [BDF]\n", stderr);
		return 2;
	}
	name = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (continuo_new(&ctx))
		die("there is no memory, or no descriptor, for the library");
	must(continuo_agent(ctx, socket_path), "connect to the agent");
	if (argc == 3)
		start(argv[2]);
	else
		take_over();
	machine.ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	if (machine.ram == MAP_FAILED)
		die("map the memory: %s", strerror(errno));
	map_device();
	if (argc == 3)
		guest_begin(&machine);
	else
		guest_come(&machine, state_fd);
	say("running");
	for (;;) {
		serve();
		/* Until there is another one. */
		while (continuo_agent(ctx, socket_path) < 0)
			usleep(100000);
	}
}
