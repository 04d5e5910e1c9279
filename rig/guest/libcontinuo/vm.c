// SPDX-License-Identifier: GPL-2.0-only
/*
 * The update by way of libcontinuo: the VM is said once, and taken over by its
 * session's name.
 *
 * Options: library=replace, adopt or sizes. kills=1: first, processes that take it over
 * are killed at each call that they ask of the kernel. say_pieces=1: the manifest says
 * that it was mapped in pieces, which with large leaves cannot have their sizes; the
 * next process tries that first.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"
#include "continuo.h"
#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/dma_memory.h"
#include "devices/igb_interrupts.h"
#include "devices/pf_owner.h"
#include "devices/workload.h"
#include "interfaces/kexec.h"
#include "interfaces/vfio.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/vm.h"
#include "update/names.h"
#include "update/pf_preserve.h"

static struct continuo *ctx;
static const char *session_name = SESSION;
static struct continuo_vm *described;	/* what was preserved */

/* That the library gives to the first HWPT. If it gives another one, no mark is found. */
#define FIRST_HWPT	0x434f4e0400000000ull

void library_as(struct continuo *asker, const char *name)
{
	ctx = asker;
	session_name = name;
}

bool library_wanted(void)
{
	return strcmp(opt("library", "no"), "no");
}

static int done(int ret, const char *what)
{
	if (ret < 0)
		die("%s: %s (%s)", what, strerror(-ret), continuo_why(ctx));
	return ret;
}

static void begin(void)
{
	if (ctx)
		return;
	if (continuo_new(&ctx))
		die("continuo_new: out of memory");
	if (agent_wanted())
		agent_ask(ctx);
}

#define PIECE	(1ul << 20)

static void say_area(struct continuo_vm *vm, int space, int ram,
		     const struct rig_area *area)
{
	uint64_t from, upto;

	for (from = area->from; from < area->end; from = upto) {
		upto = area->end;
		if (opt_num("say_pieces", 0) && ((from + PIECE) & ~(PIECE - 1)) < upto)
			upto = (from + PIECE) & ~(PIECE - 1);
		done(continuo_vm_map(vm, space, ram, from, upto - from,
				     IOVA_BASE + from,
				     CONTINUO_READ | CONTINUO_WRITE), "vm_map");
	}
}

int library_preserve_vm(struct rig *r)
{
	struct continuo_vm *vm;
	int ram, space, hwpt, nic, ret;

	phase("preserve", "begin");
	done(continuo_vm_new(ctx, &vm), "vm_new");
	done(continuo_vm_iommufd(vm, r->iommufd), "vm_iommufd");
	ram = done(continuo_vm_memory(vm, "ram", r->memfd), "vm_memory");
	space = done(continuo_vm_space(vm), "vm_space");
	for (unsigned int i = 0; i < RIG_AREAS; i++)
		say_area(vm, space, ram, &rig_area[i]);
	hwpt = -1;
	if (r->nic.present) {
		hwpt = done(continuo_vm_hwpt(vm, space, r->nic.hwpt), "vm_hwpt");
		nic = done(continuo_vm_device(vm, "nic", r->nic.v.fd, hwpt), "vm_device");
		done(continuo_vm_device_token(vm, nic, r->nic.v.token), "vm_device_token");
	}
	if (r->audio.present) {
		if (!r->nic.present || r->audio.hwpt != r->nic.hwpt)
			hwpt = done(continuo_vm_hwpt(vm, space, r->audio.hwpt), "vm_hwpt");
		done(continuo_vm_device(vm, "audio", r->audio.v.fd, hwpt), "vm_device");
	}
	r->session = continuo_session_create(ctx, session_name);
	ret = r->session < 0 ? r->session : continuo_vm_preserve(vm, r->session);
	/* Asked again after something went wrong, it is said anew. */
	continuo_vm_free(described);
	described = vm;
	phase("preserve", "end");
	return ret;
}

void library_unpreserve_vm(struct rig *r, const char *who)
{
	uint32_t hwpt = r->nic.present ? r->nic.hwpt : r->audio.hwpt;
	int there, left;

	if (!described)
		return;
	/* Nobody can only look at a mark: one that could be removed was there, and is made again. */
	there = continuo_hwpt_unmark(ctx, r->iommufd, hwpt, FIRST_HWPT);
	if (!there)
		done(continuo_hwpt_mark(ctx, r->iommufd, hwpt, FIRST_HWPT, 0), "hwpt_mark");
	continuo_vm_unpreserve(described);
	continuo_vm_free(described);
	described = NULL;
	left = continuo_hwpt_unmark(ctx, r->iommufd, hwpt, FIRST_HWPT);
	emit("marks", ",\"who\":\"%s\",\"there\":%d,\"left\":%d", who, -there, -left);
}

void library_preserve(struct rig *r)
{
	begin();
	phase("load", "begin");
	kexec_load_next();
	phase("load", "end");
	if (pf_owner.present && pf_owner.session < 0)
		pf_preserve();
	done(library_preserve_vm(r), "preserve");
}

static enum continuo_how how(void)
{
	const char *text = opt("library", "");

	return !strcmp(text, "adopt") ? CONTINUO_ADOPT :
	       !strcmp(text, "sizes") ? CONTINUO_SIZES : CONTINUO_REPLACE;
}

static void resume_device(struct continuo_vm *vm, struct device *d, const char *name)
{
	uint32_t hwpt;

	d->v.fd = done(continuo_vm_find_device(vm, name, &d->v.devid, &hwpt), "find_device");
	d->hwpt = hwpt;
	must(vfio_map(&d->v), "map a retrieved device's BAR");
	d->present = true;
	emit("retrieved", ",\"what\":\"%s\",\"pci_command\":%u", name,
	     vfio_config_read16(&d->v, 4));
}

/*
 * The session, once a process has come so far that it could be finished: closing it
 * would do that, and take the devices along. Before that, it dies with the process, and
 * the next one retrieves it again.
 */
static int held = -1;

#define SESSION_FD	200	/* in the process */

/* A process that takes all over, if it comes to that. */
static void taker(void)
{
	struct continuo_vm *vm;
	int session = held;

	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		die("ptrace: %s", strerror(errno));
	raise(SIGSTOP);
	if (session < 0)
		session = done(continuo_session_retrieve(ctx, session_name), "session_retrieve");
	if (dup2(session, SESSION_FD) < 0)
		die("dup2: %s", strerror(errno));
	done(continuo_vm_take(ctx, SESSION_FD, how(), &vm), "vm_take");
	_exit(0);
}

/* A descriptor of another process becomes one of ours. */
static int take_fd(pid_t pid, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0), own;

	if (pidfd < 0)
		die("pidfd_open: %s", strerror(errno));
	own = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (own < 0)
		die("pidfd_getfd: %s", strerror(errno));
	close(pidfd);
	return own;
}

/* Kill it when it is about to ask for the @nth time, or to finish: then false. */
static bool kill_taker(unsigned int nth)
{
	struct __ptrace_syscall_info info = {};
	unsigned int n = 0;
	uint32_t request = 0;
	bool last = false;
	int status;
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid)
		taker();
	waitpid(pid, &status, 0);
	if (ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		die("ptrace: %s", strerror(errno));
	/* One that comes after others has less to do. */
	while (n < nth && !last) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, 0) || waitpid(pid, &status, 0) != pid ||
		    !WIFSTOPPED(status))
			die("the process that was to be killed at its call %u has ended: %#x",
			    nth, status);
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
		    info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_ioctl)
			continue;
		n++;
		request = info.entry.args[1];
		last = request == ULU_FINISH;
		/* All devices have left what was restored. */
		if (held < 0 && (last || request == UIO_DESTROY))
			held = take_fd(pid, SESSION_FD);
	}
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		die("the process was not killed");
	emit("killed", ",\"call\":%u,\"request\":%u", n, request);
	return !last;
}

/* What cannot be done says so, and leaves nothing behind. */
static void try_sizes(struct rig *r)
{
	struct continuo_vm *vm;
	int ret = continuo_vm_take(ctx, r->session, CONTINUO_SIZES, &vm);

	emit("tried", ",\"errno\":%d,\"leaf\":%d", -ret,
	     !!strstr(continuo_why(ctx), "reaches over the end of a mapping"));
}

void library_resume(struct rig *r)
{
	struct continuo_vm *vm;
	uint32_t ioas;

	begin();
	for (unsigned int n = 1; opt_num("kills", 0) && kill_taker(n); n++)
		;
	phase("retrieve", "begin");
	r->session = held;
	if (r->session < 0)
		r->session = done(continuo_session_retrieve(ctx, session_name),
				  "session_retrieve");
	phase("retrieve", "end");
	phase("replace", "begin");
	if (opt_num("say_pieces", 0))
		try_sizes(r);
	done(continuo_vm_take(ctx, r->session, how(), &vm), "vm_take");
	phase("replace", "end");
	close(r->session);
	r->session = -1;
	if (agent_wanted())
		done(continuo_session_release(ctx, session_name), "session_release");

	r->memfd = done(continuo_vm_find_memory(vm, "ram"), "find_memory");
	r->iommufd = done(continuo_vm_find_iommufd(vm), "find_iommufd");
	done(continuo_vm_find_space(vm, 0, &ioas), "find_space");
	r->ioas = ioas;
	rig_mmap(r);
	if (r->st->magic != RIG_MAGIC || r->st->version != RIG_VERSION)
		die("the retrieved memfd is not the one preserved");
	rig_wire(r);
	if (r->st->has_nic) {
		resume_device(vm, &r->nic, "nic");
		igb_irq_wire(&r->nic.v);
	}
	if (r->st->has_hda)
		resume_device(vm, &r->audio, "audio");
	continuo_vm_free(vm);
	must(rig_probe(r), "map and unmap in the address space that was taken over");

	r->st->updates_done++;
	emit("resumed", ",\"updates_done\":%u", r->st->updates_done);
}
