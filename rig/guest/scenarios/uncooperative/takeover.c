// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/igb.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/memory.h"
#include "interfaces/vfio.h"
#include "scenarios/uncooperative/requests.h"
#include "scenarios/uncooperative/takeover.h"
#include "update/names.h"
#include "update/resume.h"

static const char *goal;
static int goal_pipe;

static void goal_reached(struct rig *r, const char *step)
{
	if (!strcmp(step, "restore"))
		emit("swept", ",\"n\":%u", free_unused(r->iommufd));
	if (!strcmp(step, "bind-nic") && vfio_set_irq(&r->nic.v) < 0)
		die("set up an interrupt: %s", strerror(errno));
	if (strcmp(step, goal))
		return;
	/* What has come in is said before the memory goes. */
	if (r->mem && r->nic.present && opt_num("flush", 0)) {
		rig_poll(r);
		igb_flush(&r->igb);
	}
	if (write(goal_pipe, "x", 1) != 1)
		die("tell that '%s' is reached: %s", step, strerror(errno));
	for (;;)
		pause();
}

void uncoop_kill(struct rig *r, const char *step)
{
	int pipe_fd[2], status = 0;
	char c;
	pid_t pid;

	if (pipe(pipe_fd))
		die("make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		struct rig own = { .session = -1 };

		close(pipe_fd[0]);
		goal = step;
		goal_pipe = pipe_fd[1];
		rig_reached = goal_reached;
		rig_resume(&own);
		die("there is no step '%s'", step);
	}
	close(pipe_fd[1]);
	if (read(pipe_fd[0], &c, 1) != 1)
		die("the process that was to get as far as '%s' ended before",
		    step);
	close(pipe_fd[0]);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		die("the process was not killed");
	emit("killed", ",\"step\":\"%s\"", step);
}

static bool without_nic, by_closing;

static void resume_reached(struct rig *r, const char *step)
{
	if (without_nic && !strcmp(step, "iommufd")) {
		int id = iommufd_hwpt_restore(r->iommufd, TOKEN_HWPT_NIC);

		cell("removed", "retrieve cdev",
		     luo_retrieve(r->session, TOKEN_NIC));
		cell("removed", "restore", id);
		cell("removed", "destroy", iommufd_destroy(r->iommufd, id));
		r->st->has_nic = 0;
	}
	if (!strcmp(step, "restore") || !strcmp(step, "finish"))
		emit("swept", ",\"n\":%u,\"step\":\"%s\"", free_unused(r->iommufd),
		     step);
	if (!strcmp(step, "bind-nic") && vfio_set_irq(&r->nic.v) < 0)
		die("set up an interrupt: %s", strerror(errno));
	if (by_closing && !strcmp(step, "destroy")) {
		close(r->session);
		r->session = luo_session_retrieve(SESSION);
		cell("closed", "retrieve session", r->session);
		cell_fd("closed", "open", vfio_open_cdev(r->nic.v.bdf));
		cell("closed", "bind other", bind_other(&r->nic.v));
	}
}

void uncoop_resume(struct rig *r, const char *arg)
{
	without_nic = !strcmp(arg, "without-nic");
	by_closing = !strcmp(arg, "by-closing");
	if (!without_nic && vfio_find(ID_INTEL, ID_IGB, 0, r->nic.v.bdf))
		die("the network device is not there");
	rig_reached = resume_reached;
	rig_resume(r);
	rig_reached = NULL;
}

#define CGROUP	"/sys/fs/cgroup"

/* What does the group of the process that resumes have in tables? */
void uncoop_charged(struct rig *r, const char *arg)
{
	static char text[16384];

	if (mount("cgroup", CGROUP, "cgroup2", 0, NULL))
		die("mount cgroup2: %s", strerror(errno));
	write_file(CGROUP "/cgroup.subtree_control", "+memory");
	if (mkdir(CGROUP "/vm", 0755))
		die("make a cgroup: %s", strerror(errno));
	write_file(CGROUP "/vm/cgroup.procs", "0");
	uncoop_resume(r, "");
	write_file("/proc/sys/vm/stat_refresh", "1");
	read_file(CGROUP "/vm/memory.stat", text, sizeof(text));
	emit("charged", ",\"tables_bytes\":%ld",
	     number_of(text, "sec_pagetables"));
}
