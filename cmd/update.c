// SPDX-License-Identifier: GPL-2.0-only
/*
 * update: replace the kernel under VMs that are registered with the agent. Every step up
 * to the jump can be undone; if a step fails, the steps before it are undone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ask.h"
#include "cmdline.h"

struct update {
	const struct options *opt;
	struct continuo *ctx;
	struct json_object *o, *steps, *vms;
	struct json_object *incoming;	/* what came with the last update */
	char *append;			/* the next kernel's command line */
	uint32_t timeout;
	unsigned int registered;
	bool dry;
	struct timespec since;
};

/* By us; the signal handler asks, too. */
static volatile sig_atomic_t loaded;

static double ms_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - then->tv_sec) * 1e3 + (now.tv_nsec - then->tv_nsec) / 1e6;
}

/* A step begins; of a dry run it is all that happens. */
static void begin(struct update *u, const char *step, const char *fmt, ...)
{
	struct json_object *row = model_row(u->steps);
	char *does;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&does, fmt, args) < 0)
		abort();
	va_end(args);
	model_text(row, "step", step);
	model_text(row, "does", does);
	if (!u->dry && isatty(2))
		fprintf(stderr, "%s: %s\n", step, does);
	free(does);
	clock_gettime(CLOCK_MONOTONIC, &u->since);
}

static void end(struct update *u)
{
	size_t n = json_object_array_length(u->steps);

	model_ms(json_object_array_get_idx(u->steps, n - 1), "ms", ms_since(&u->since));
}

/* --- before anybody is asked --- */

static int check(struct update *u)
{
	struct json_object *found = check_host(u->opt), *ready, *rows;
	int ret = EXIT_FINE;

	begin(u, "check", "is this host ready?");
	json_object_object_get_ex(found, "ready", &ready);
	json_object_object_get_ex(found, "host", &rows);
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i), *ok, *what, *why;

		json_object_object_get_ex(row, "ok", &ok);
		if (strcmp(json_object_get_string(ok), "no"))
			continue;
		json_object_object_get_ex(row, "check", &what);
		json_object_object_get_ex(row, "remedy", &why);
		trouble("not ready: %s: %s", json_object_get_string(what),
			json_object_get_string(why));
		ret = EXIT_NOT_READY;
	}
	json_object_put(found);
	end(u);
	return ret;
}

/* Is it one of those that are to be left? */
static bool is_left(const struct update *u, const char *name)
{
	const char *list = u->opt->given[OPT_LEAVE] ?: "", *at = list;
	size_t n = strlen(name);

	while ((at = strstr(at, name))) {
		if ((at == list || at[-1] == ',') && (!at[n] || at[n] == ','))
			return true;
		at++;
	}
	return false;
}

/* The next jump is the end of what came with the last one and has no VM yet. */
static int check_incoming(struct update *u)
{
	struct json_object *rows, *name, *state;
	int ret;

	begin(u, "incoming", "has everything that came with the last update been taken over?");
	ret = view_incoming(u->opt, u->incoming);
	for (size_t i = 0; !ret && json_object_object_get_ex(u->incoming, "session", &rows) &&
			   i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (!json_object_object_get_ex(row, "name", &name) ||
		    !json_object_object_get_ex(row, "state", &state) ||
		    !strcmp(json_object_get_string(state), "finished") ||
		    is_left(u, json_object_get_string(name)))
			continue;
		ret = trouble("session %s came with the last update, and nobody has taken it over: this jump would be its end. Start its VM, or 'continuo finish --discard' it, or --leave it",
			      json_object_get_string(name));
	}
	end(u);
	return ret;
}

static int check_next(struct update *u)
{
	const char *kernel = u->opt->given[OPT_KERNEL], *initrd = u->opt->given[OPT_INITRD];
	char *now = read_text(u->opt, "/proc/cmdline"), *why;
	int ret = EXIT_FINE;

	if (u->opt->given[OPT_APPEND])
		u->append = strdup(u->opt->given[OPT_APPEND]);
	else
		u->append = strdup(now ?: "");
	begin(u, "next", "%s with %s and '%s'", kernel, initrd ?: "no initramfs", u->append);
	why = cmdline_objection(now ?: "", u->append);
	if (why)
		ret = trouble("the next kernel's command line: %s", why);
	else if (access(kernel, R_OK))
		ret = trouble("%s: %s", kernel, strerror(errno));
	else if (initrd && access(initrd, R_OK))
		ret = trouble("%s: %s", initrd, strerror(errno));
	free(why);
	free(now);
	end(u);
	return ret;
}

static int kexec_load(int kernel, int initrd, const char *append, unsigned long flags)
{
	return syscall(SYS_kexec_file_load, kernel, initrd, append ? strlen(append) + 1 : 0,
		       append, flags) ? -errno : 0;
}

static int load(struct update *u)
{
	const char *name = u->opt->given[OPT_KERNEL], *initrd = u->opt->given[OPT_INITRD];
	int kernel, ramfs = -1, ret;

	begin(u, "load", "kexec_file_load of %s; what was loaded before is replaced", name);
	if (u->dry)
		return EXIT_FINE;
	kernel = open(name, O_RDONLY | O_CLOEXEC);
	if (initrd)
		ramfs = open(initrd, O_RDONLY | O_CLOEXEC);
	if (kernel < 0 || (initrd && ramfs < 0)) {
		ret = trouble("%s: %s", kernel < 0 ? name : initrd, strerror(errno));
	} else {
		/* Before the call: a signal can come just after it. */
		loaded = 1;
		ret = kexec_load(kernel, ramfs, u->append, initrd ? 0 : KEXEC_FILE_NO_INITRAMFS);
		loaded = !ret;
		if (ret)
			ret = trouble("%s cannot be loaded: %s; the kernel log says why", name,
				      strerror(-ret));
	}
	if (kernel >= 0)
		close(kernel);
	if (ramfs >= 0)
		close(ramfs);
	end(u);
	return ret;
}

/* --- the VMs --- */

static void count(void *arg, const struct continuo_heard *heard)
{
	struct update *u = arg;

	u->registered++;
	ask_keep(u->vms, heard);
}

static int find_vms(struct update *u)
{
	begin(u, "agent", "which VMs are registered?");
	if (!u->dry && continuo_update_begin(u->ctx))
		return ask_trouble(u->ctx);
	if (continuo_update_vms(u->ctx, count, u))
		return ask_trouble(u->ctx);
	end(u);
	if (u->registered || u->opt->given[OPT_WITHOUT_VMS])
		return EXIT_FINE;
	return trouble("no VM is registered with the agent, and those that are not may lose their devices; --without-vms updates all the same");
}

static void listen_to(void *arg, const struct continuo_heard *heard)
{
	struct update *u = arg;

	ask_keep(u->vms, heard);
	if (isatty(2))
		fprintf(stderr, "  %s: %s %s\n", heard->name, heard->state, heard->why);
}

static bool came_before(const struct update *u, const char *name)
{
	struct json_object *rows, *row;

	if (!json_object_object_get_ex(u->incoming, "session", &rows))
		return false;
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		if (json_object_object_get_ex(json_object_array_get_idx(rows, i), "name", &row) &&
		    !strcmp(json_object_get_string(row), name))
			return true;
	return false;
}

static int leave(struct update *u, const char *name)
{
	int ret = 0;

	begin(u, "leave", "go on without %s; the jump is its end", name);
	if (!u->dry)
		ret = continuo_update_leave(u->ctx, name);
	end(u);
	/* One that came with the last update, and that the agent has not been asked for. */
	if (ret == -ENOENT && came_before(u, name))
		ret = 0;
	return ret ? ask_trouble(u->ctx) : EXIT_FINE;
}

static int leave_named(struct update *u)
{
	char *names = strdup(u->opt->given[OPT_LEAVE] ?: ""), *save = NULL, *name;
	int ret = EXIT_FINE;

	for (name = strtok_r(names, ",", &save); name && !ret;
	     name = strtok_r(NULL, ",", &save))
		ret = leave(u, name);
	free(names);
	return ret;
}

static int leave_silent(struct update *u)
{
	size_t n = json_object_array_length(u->vms);
	int ret = EXIT_FINE;

	for (size_t i = 0; i < n && !ret; i++) {
		struct json_object *row = json_object_array_get_idx(u->vms, i), *name, *state;

		json_object_object_get_ex(row, "vm", &name);
		json_object_object_get_ex(row, "state", &state);
		if (!strcmp(json_object_get_string(state), "silent"))
			ret = leave(u, json_object_get_string(name));
		if (!strcmp(json_object_get_string(state), "silent") && !ret)
			model_text(row, "state", "left");
	}
	return ret;
}

static int ask(struct update *u, enum continuo_want want, const char *step)
{
	int ret;

	begin(u, step, "every VM, within %u s", u->timeout / 1000);
	if (u->dry)
		return EXIT_FINE;
	ret = continuo_update_ask(u->ctx, want, NULL, u->timeout, listen_to, u);
	end(u);
	if (ret == -ETIMEDOUT && u->opt->given[OPT_LEAVE_SILENT])
		return leave_silent(u);
	if (ret == -ETIMEDOUT)
		return trouble("%s; see to it, or go on without it (--leave, --leave-silent)",
			       continuo_why(u->ctx));
	return ret ? ask_trouble(u->ctx) : EXIT_FINE;
}

/* --- the jump --- */

/* sync(2), which can take for ever; the VMs are suspended meanwhile. */
static int write_back(uint32_t timeout_ms)
{
	struct timespec since;
	pid_t pid = fork();

	if (pid < 0)
		return trouble("fork: %s", strerror(errno));
	if (!pid) {
		sync();
		_exit(0);
	}
	clock_gettime(CLOCK_MONOTONIC, &since);
	while (!waitpid(pid, NULL, WNOHANG)) {
		if (ms_since(&since) > timeout_ms) {
			kill(pid, SIGKILL);
			return trouble("files are not written back within %u s; see which file system hangs",
				       timeout_ms / 1000);
		}
		usleep(1000);
	}
	return EXIT_FINE;
}

static int jump(struct update *u)
{
	begin(u, "jump", "seal the record, write back all files, and go over to the next kernel");
	if (u->dry)
		return EXIT_FINE;
	if (continuo_update_seal(u->ctx))
		return ask_trouble(u->ctx);
	if (write_back(u->timeout))
		return EXIT_TROUBLE;
	end(u);
	/* Nothing is printed: VMs wait, and whoever reads it will not live to see the end. */
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
	return trouble("the kernel does not jump: %s%s", strerror(errno),
		       errno == ENOEXEC ? "; the loaded one does not read a format of the handover" :
		       errno == EBUSY ? "; a device is being reset, unbound or detached: the kernel log names it; end its VM, or try again" :
					"; the kernel log says why");
}

static bool undo(struct update *u)
{
	int ret, undone;

	begin(u, "undo", "every VM goes on as before, and the loaded kernel is unloaded");
	undone = continuo_update_ask(u->ctx, CONTINUO_WANT_UNDO, NULL, u->timeout, listen_to, u);
	if (undone)
		ask_trouble(u->ctx);
	ret = !loaded ? 0 : kexec_load(-1, -1, NULL, KEXEC_FILE_UNLOAD);
	if (ret)
		trouble("the loaded kernel cannot be unloaded: %s", strerror(-ret));
	end(u);
	return !undone && !ret;
}

/*
 * The user has changed his mind, or is gone. The agent notices the end of this process,
 * and has all VMs undo.
 */
static void give_up(int sig)
{
	static const char text[] = "continuo: ended; the agent undoes it all\n";

	(void)sig;
	/* What somebody else has loaded before is not ours to unload. */
	if (loaded)
		syscall(SYS_kexec_file_load, -1, -1, 0ul, NULL, (unsigned long)KEXEC_FILE_UNLOAD);
	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(EXIT_TROUBLE);
	_exit(EXIT_TROUBLE);
}

static void heed_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	struct sigaction action = { .sa_handler = give_up }, before;

	/* What is ignored, as nohup(1) does it, stays so. */
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
}

/* The VMs run on for all of it but the suspend. */
static int go(struct update *u)
{
	int ret = load(u);

	if (!ret && !u->dry)
		sync();
	if (!ret)
		ret = leave_named(u);
	if (!ret)
		ret = ask(u, CONTINUO_WANT_PRESERVE, "preserve");
	if (!ret)
		ret = ask(u, CONTINUO_WANT_SUSPEND, "suspend");
	if (!ret)
		ret = jump(u);
	return ret;
}

static int wrong_options(const struct options *opt)
{
	if (!opt->given[OPT_KERNEL])
		return trouble("update takes --kernel FILE, the next kernel's image");
	if (!opt->given[OPT_APPEND] == !opt->given[OPT_REUSE_CMDLINE])
		return trouble("update takes --append LINE or --reuse-cmdline, one of them");
	return EXIT_FINE;
}

int cmd_update(const struct options *opt)
{
	struct update u = {
		.opt = opt,
		.dry = opt->given[OPT_DRY_RUN],
		.timeout = ask_timeout(opt),
	};
	int ret, ready;

	if (!u.timeout)
		return EXIT_USAGE;
	if (wrong_options(opt))
		return EXIT_USAGE;
	u.o = model_new("update");
	model_text(u.o, "outcome", "refused");
	u.steps = model_table(u.o, "step");
	u.vms = model_table(u.o, "vm");
	u.incoming = model_new("incoming");

	ready = ret = check(&u);
	/* A dry run says all that it can. */
	if (!ret || u.dry)
		ret = check_incoming(&u);
	if (!ret || u.dry)
		ret = check_next(&u) ?: ret;
	if (!ret) {
		u.ctx = ask_begin(opt, true);
		ret = u.ctx ? find_vms(&u) : EXIT_TROUBLE;
	}
	if (!ret) {
		if (!u.dry)
			heed_signals();
		ret = go(&u);
		if (ret && !u.dry)
			model_text(u.o, "outcome", undo(&u) ? "undone" : "undone, but not by all");
	}
	if (u.dry)
		model_text(u.o, "outcome", "nothing was done");
	model_print(stdout, u.o, opt->json);
	json_object_put(u.o);
	json_object_put(u.incoming);
	continuo_free(u.ctx);
	free(u.append);
	return ret ?: ready;
}
