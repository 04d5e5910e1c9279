// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/dma_memory.h"
#include "devices/workload.h"
#include "interfaces/luo.h"
#include "interfaces/memory.h"
#include "interfaces/vfio.h"
#include "scenarios/uncooperative/odd_processes.h"
#include "scenarios/uncooperative/requests.h"
#include "update/names.h"

/* Each is a process of its own, which exits with what it has. */
static void in_child(void (*body)(struct rig *own))
{
	struct rig own = { .session = -1 };
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		own.session = luo_session_retrieve(SESSION);
		if (own.session < 0)
			die("retrieve the session: %s", strerror(-own.session));
		if (vfio_find(ID_INTEL, ID_IGB, 0, own.nic.v.bdf))
			die("the network device is not there");
		body(&own);
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("a process ended with status %#x", status);
}

static void session_alone(struct rig *own)
{
	cell("order", "finish with nothing", luo_finish(own->session));
	cell("order", "retrieve unknown",
	     luo_retrieve(own->session, NO_SUCH_TOKEN));
}

static void only_iommufd(struct rig *own)
{
	cell("order", "retrieve iommufd",
	     luo_retrieve(own->session, TOKEN_IOMMUFD));
	cell("order", "finish with the iommufd alone",
	     luo_finish(own->session));
}

static void only_cdev(struct rig *own)
{
	int fd = luo_retrieve(own->session, TOKEN_NIC);

	cell("order", "retrieve cdev", fd);
	own->nic.v.fd = fd;
	cell("order", "bind to a new iommufd", bind_other(&own->nic.v));
	cell("order", "finish with the cdev alone", luo_finish(own->session));
}

static void cdev_first(struct rig *own)
{
	own->nic.v.fd = luo_retrieve(own->session, TOKEN_NIC);
	own->iommufd = luo_retrieve(own->session, TOKEN_IOMMUFD);
	cell("order", "bind cdev, retrieved before its iommufd",
	     vfio_bind(&own->nic.v, own->iommufd));
	cell("order", "finish before replace", luo_finish(own->session));
}

void uncoop_order(struct rig *r, const char *arg)
{
	in_child(session_alone);
	in_child(only_cdev);
	in_child(only_iommufd);
	in_child(cdev_first);
	emit("uncoop", ",\"what\":\"order\"");
}

/* What the device writes to is thrown out of the file while it does. */
static void punch(struct rig *own)
{
	unsigned long shift = opt_num("hugetlb", 0);
	int fd = luo_retrieve(own->session, TOKEN_MEMFD);

	if (fd < 0)
		die("retrieve the memfd: %s", strerror(-fd));
	cell("punched", "resize", ftruncate(fd, shift ? 1ul << shift : PAGE) ? -errno : 0);
	cell("punched", "punch",
	     fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       OFF_NIC_BUF, OFF_NIC_END - OFF_NIC_BUF) ? -errno : 0);
	cell("punched", "finish", luo_finish(own->session));
}

void uncoop_punch(struct rig *r, const char *arg)
{
	in_child(punch);
	emit("uncoop", ",\"what\":\"punch\"");
}

/* The limits of the machine allow for a part of the file. */
#define STARVE_KB	(16 << 10)

static int starve(struct rig *own)
{
	static char text[16384];
	int ret;

	read_file("/proc/meminfo", text, sizeof(text));
	snprintf(text, sizeof(text), "%ld",
		 number_of(text, "Committed_AS") + STARVE_KB);
	write_file("/proc/sys/vm/overcommit_kbytes", text);
	write_file("/proc/sys/vm/overcommit_memory", "2");
	ret = luo_retrieve(own->session, TOKEN_MEMFD);
	write_file("/proc/sys/vm/overcommit_memory", "0");
	return ret;
}

static void starve_held(struct rig *own)
{
	cell("starved", "retrieve memfd", starve(own));
	cell("starved", "finish", luo_finish(own->session));
}

void uncoop_starve(struct rig *r, const char *arg)
{
	in_child(starve_held);
	emit("uncoop", ",\"what\":\"starve\"");
}

/* Whoever is not root cannot open one more file than the machine may have. */
static void few_files(char most[static 64])
{
	read_file("/proc/sys/fs/file-max", most, 64);
	/* Not 1: the few that are open are not counted exactly. */
	write_file("/proc/sys/fs/file-max", "0");
	if (seteuid(65534))
		die("become nobody: %s", strerror(errno));
}

static void enough_files(const char *most)
{
	if (seteuid(0))
		die("become root again: %s", strerror(errno));
	write_file("/proc/sys/fs/file-max", most);
}

/* No device needs the memory, and nobody will. Huge pages are not charged as other memory is. */
static void starve_free(struct rig *own)
{
	bool huge = opt_num("hugetlb", 0);
	const char *event = huge ? "no files, no devices" :
				   "starved, no devices";
	static char most[64];
	int fd;

	if (huge) {
		few_files(most);
		fd = luo_retrieve(own->session, TOKEN_MEMFD);
		enough_files(most);
	} else {
		fd = starve(own);
	}
	cell(event, "retrieve memfd", fd);
	cell(event, "finish", luo_finish(own->session));
}

void uncoop_give_up(struct rig *r, const char *arg)
{
	in_child(starve_free);
	emit("uncoop", ",\"what\":\"give-up\"");
}

static void retrieve_each(struct rig *own, const char *state, const char *memfd)
{
	cell_fd(state, memfd, luo_retrieve(own->session, TOKEN_MEMFD));
	cell_fd(state, "retrieve iommufd",
		luo_retrieve(own->session, TOKEN_IOMMUFD));
	cell_fd(state, "retrieve cdev", luo_retrieve(own->session, TOKEN_NIC));
}

static void short_of_files(struct rig *own)
{
	static char most[64];

	few_files(most);
	retrieve_each(own, "short", "retrieve memfd again");
	enough_files(most);
	cell("short", "finish", luo_finish(own->session));
}

void uncoop_short(struct rig *r, const char *arg)
{
	in_child(short_of_files);
	emit("uncoop", ",\"what\":\"short\"");
}

static void fed(struct rig *own)
{
	retrieve_each(own, "fed", "retrieve memfd again");
}

void uncoop_fed(struct rig *r, const char *arg)
{
	in_child(fed);
	emit("uncoop", ",\"what\":\"fed\"");
}

static void no_handler(struct rig *own)
{
	retrieve_each(own, "no handler", "retrieve memfd");
	cell("no handler", "finish", luo_finish(own->session));
}

void uncoop_no_handler(struct rig *r, const char *arg)
{
	in_child(no_handler);
	emit("uncoop", ",\"what\":\"no-handler\"");
}
