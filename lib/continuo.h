/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copyright (c) 2026 The Continuo authors */
/*
 * libcontinuo: carry a VM's devices over a live update of the host's kernel.
 *
 * In the outgoing kernel a VMM says what belongs to the VM (memory, address
 * spaces, HWPTs, devices) and has it preserved in a session. In the incoming one
 * a new process needs the session's name: what the VM consists of is in a
 * manifest, which is preserved along with it.
 *
 * Every function that can fail returns 0 or more on success and a negative errno
 * on failure; continuo_why() says then which object it was, which rule it broke,
 * and what to do. Addresses and lengths are in bytes. No function keeps or closes
 * a file descriptor of the caller's unless it says so. A context and what was made
 * with it belong to one thread at a time; only continuo_cancel() is for all of them.
 *
 * Each call that asks the agent waits for its answer. Besides what its own page names, it
 * returns -ETIMEDOUT after continuo_deadline(), -EINTR after continuo_cancel(), -EPIPE if
 * the agent has ended, or a call over the same connection has returned one of these two, and
 * -EPROTO if its answer is not of the protocol. The other calls wait for nothing but the kernel.
 */
#ifndef CONTINUO_H
#define CONTINUO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CONTINUO_VERSION_MAJOR	0
#define CONTINUO_VERSION_MINOR	2
/* Of the version; the manual pages have it. */
#define CONTINUO_VERSION_DATE	"2026-11-26"

/* Longest names, with the NUL at the end. */
#define CONTINUO_SESSION_NAME	64
/* What the agent's names of VMs and sessions are made of; the first one is a letter or a digit. */
#define CONTINUO_NAME_BYTES	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define CONTINUO_NAME		32

struct continuo;

/**
 * continuo_new() - Begin to use the library
 * @ctx: Where the context is stored.
 *
 * Nothing is asked of the kernel or of an agent yet.
 *
 * Return: 0; -ENOMEM; -EMFILE or -ENFILE if there is no room for one more descriptor, which
 * continuo_cancel() needs.
 */
int continuo_new(struct continuo **ctx);

/**
 * continuo_free() - End it
 * @ctx: The context, or NULL. VMs made with it must have been freed.
 */
void continuo_free(struct continuo *ctx);

/**
 * continuo_why() - Why did the last call fail?
 * @ctx: The context.
 *
 * Return: a sentence, valid until the next call with @ctx; "" if none has failed.
 */
const char *continuo_why(const struct continuo *ctx);

/* Where an agent listens, if nothing else is said. */
#define CONTINUO_AGENT_SOCKET	"/run/continuo/agent.sock"

/**
 * continuo_agent() - Have sessions from an agent
 * @ctx:  The context.
 * @path: Of the agent's socket, or NULL for CONTINUO_AGENT_SOCKET.
 *
 * From here on the agent is asked for sessions, and need not be root's: those of a
 * user have names of their own, which no other user can ask for. The agent keeps a
 * descriptor of each, so that closing the caller's, or dying, ends none: see
 * continuo_session_release().
 *
 * Return: 0; -ENOENT or -ECONNREFUSED if no agent listens there; -EACCES if the caller
 * may not ask it.
 */
int continuo_agent(struct continuo *ctx, const char *path);

/**
 * continuo_hold() - Have /dev/liveupdate as long as the context lives
 * @ctx: The context.
 *
 * One process at a time can have it: meanwhile nobody else can make or retrieve a session,
 * neither the agent, nor systemd for a unit with LUOSession=. Without this, and without an
 * agent, it is opened for each session and closed again, which is enough: a session lives by
 * its own descriptor. So do this to see whether it can be had, or so that nobody else makes
 * a session meanwhile, and free the context soon.
 *
 * Return: 0; -ENOENT, -EBUSY or -EACCES as continuo_session_create().
 */
int continuo_hold(struct continuo *ctx);

/**
 * continuo_version() - The version of the library that runs
 *
 * A program can have been built with an older or newer header, of which
 * CONTINUO_VERSION_MAJOR and CONTINUO_VERSION_MINOR tell.
 *
 * Return: the major version times 65536, and the minor version.
 */
unsigned int continuo_version(void);

/**
 * continuo_agent_version() - The version of the protocol that the agent speaks
 * @ctx: The context, after continuo_agent().
 *
 * Return: 1 or more; 0 of an agent of 0.1, which does not say it; -EPIPE if the connection is
 * of no use any more (see continuo_deadline()); -ENOTCONN.
 */
int continuo_agent_version(struct continuo *ctx);

/**
 * continuo_agent_fd() - Have sessions from an agent, over a connection that was handed in
 * @ctx: The context.
 * @fd:  Of continuo_connect(), which becomes the context's, unless this fails.
 *
 * For a VMM in a sandbox, which cannot reach the agent's socket, or where several VMs run
 * as one user. The connection was made for one VM: it can name no other.
 *
 * Return: 0; -EPIPE if nobody is at the other end; -EINVAL if it is no descriptor, or one
 * that the context has already. If it fails, the connection of before stays.
 */
int continuo_agent_fd(struct continuo *ctx, int fd);

/**
 * continuo_connect() - Make a connection to the agent for one VM
 * @ctx:  The context, after continuo_agent().
 * @name: Of the VM's session; or NULL for one as the context's own, if that is for one VM.
 *
 * For managers of VMs: the descriptor is for the VMM, which inherits it or gets it over a
 * socket. Whoever has it can ask for the session @name and register the VM @name, and
 * nothing else, whatever user he is.
 *
 * Return: a file descriptor, which is the caller's; -EINVAL or -ENAMETOOLONG for a name that
 * cannot be; -EPERM if the context's own connection was made for another VM;
 * -EDQUOT or -EAGAIN if there are too many connections; -EOPNOTSUPP from an agent of 0.1;
 * -ENOTCONN.
 */
int continuo_connect(struct continuo *ctx, const char *name);

/**
 * continuo_deadline() - How long the agent is waited for
 * @ctx:        The context.
 * @timeout_ms: From now on each call that asks the agent ends with -ETIMEDOUT if nothing
 *		is heard for that long; 0: it waits as long as it takes, as at first.
 *
 * After -ETIMEDOUT the connection is of no use any more: an answer can still come, and would be
 * taken for that to the next request. So each call that asks over it fails with -EPIPE, as
 * continuo_agent_version() does, which asks nobody. Connect again.
 *
 * Return: 0.
 */
int continuo_deadline(struct continuo *ctx, uint32_t timeout_ms);

/**
 * continuo_cancel() - End a call that waits for the agent
 * @ctx: The context, which has not been freed.
 *
 * May be called by any thread while another one is in a call with @ctx, and in a signal
 * handler. The call ends with -EINTR. If no call waits at the moment, the next one that has
 * to wait ends so. However often this is called until then, it ends one call.
 *
 * It ends the waiting, and undoes nothing. What was asked for can still come to pass, and
 * after a call that asked, the connection is of no use any more, as after -ETIMEDOUT: connect
 * again. Then continuo_update_attach() hears the rest of an update, and
 * continuo_update_abort() ends it. After continuo_order(), which only waited, all is as
 * before.
 */
void continuo_cancel(struct continuo *ctx);

/* ---- being asked: a VM that an update of the host carries over ---- */

/* What the agent wants of a VM. */
enum continuo_want {
	/**
	 * Make a session of the registered name, and preserve the VM; it runs on. If it
	 * fails, close and release the session: it can be asked again.
	 */
	CONTINUO_WANT_PRESERVE = 1,
	/** Stop the virtual CPUs, and write what is not in memory yet: the jump is next. */
	CONTINUO_WANT_SUSPEND,
	/** There is no jump: close and release the session, and let the VM run. */
	CONTINUO_WANT_UNDO,
};

/**
 * struct continuo_order - What the agent wants, and until when
 * @want:       enum continuo_want.
 * @number:     Of the order; goes back with the answer.
 * @timeout_ms: From now; who has not answered by then counts as silent.
 *
 * Members can be added at the end: continuo_order() writes these three, and
 * continuo_order_sized() as many as the caller has.
 */
struct continuo_order {
	uint32_t want;
	uint32_t number;
	uint32_t timeout_ms;
};

/**
 * continuo_register() - Have the agent ask when a VM is to be carried over
 * @ctx:  The context, after continuo_agent().
 * @name: Of the session that the VM will be preserved in.
 *
 * An update of the host asks each VM that is registered, and does not jump before all
 * have done what they were asked. Closing the descriptor ends it; so does the end of the
 * agent, see continuo_order().
 *
 * Return: a file descriptor, which is the caller's: it becomes readable when there is an
 * order; -EEXIST if somebody has registered the name; -EBUSY while the host is updated,
 * or if a VM of that name has died and left something preserved; -EDQUOT or -ENOSPC if
 * there are too many; -EINVAL or -ENAMETOOLONG for a name that cannot be; -EPERM if the
 * connection was made for another VM; -ENOTCONN; and as continuo_agent().
 */
int continuo_register(struct continuo *ctx, const char *name);

/**
 * continuo_register_process() - The same for a VM that another process runs
 * @ctx:     The context, after continuo_agent().
 * @name:    Of the session that the VM will be preserved in.
 * @process: The process that runs it. If the host's services end for an update, the unit
 *	     that it is in stays, as that of the caller does.
 *
 * An agent that does not know of such processes takes it for continuo_register().
 *
 * Return: as continuo_register(); -EPERM if there is no such process, or it is another
 * user's.
 */
int continuo_register_process(struct continuo *ctx, const char *name, pid_t process);

/**
 * continuo_register_kept() - The same for a VM that is kept, and not run
 * @ctx:  The context, after continuo_agent().
 * @name: Of the session that the VM came in, as the kernel knows it.
 *
 * For who has prepared a VM that nobody else takes over, or has taken it over, to have it carried on by the
 * next update as it is ("continuo update" does that). Who asks the agent for the session is told of
 * this process (-EALREADY). In the next kernel it is the VM of the user whose name it has, not of
 * the one who has kept it. An agent that does not know of such VMs takes it for continuo_register().
 *
 * Return: as continuo_register().
 */
int continuo_register_kept(struct continuo *ctx, const char *name);

/**
 * continuo_order() - Wait for an order, and read it
 * @ctx:   The context.
 * @fd:    Of continuo_register().
 * @order: Where it is stored.
 *
 * An order that this library does not know is answered by it, and is not seen.
 *
 * The deadline is not for this call: an order comes when it comes. Poll @fd so as not to
 * wait.
 *
 * Return: 0; -EPIPE if the agent has ended: undo what it has asked for, and register
 * again; -EPROTO if it speaks another protocol; -EINTR after continuo_cancel(): no order is
 * lost.
 */
int continuo_order(struct continuo *ctx, int fd, struct continuo_order *order);

/**
 * continuo_order_sized() - The same, for a structure that can have more members
 * @ctx:   The context.
 * @fd:    Of continuo_register().
 * @order: Where it is stored.
 * @size:  sizeof(*@order): members beyond it are not written, and those that the library
 *	   does not know are 0.
 *
 * Return: as continuo_order(); -EINVAL if the size is less than that of the three members
 * of version 0.1.
 */
int continuo_order_sized(struct continuo *ctx, int fd, struct continuo_order *order,
			 size_t size);

/**
 * continuo_answer() - Say what has become of an order
 * @ctx:   The context.
 * @fd:    Of continuo_register().
 * @order: The order.
 * @why:   NULL if it was done; else why it was not, such as what continuo_why() says:
 *	   then the update is given up.
 *
 * Return: 0; -EPIPE if the agent has ended.
 */
int continuo_answer(struct continuo *ctx, int fd, const struct continuo_order *order,
		    const char *why);

/* ---- asking: for the program that updates the host; root only ---- */

/**
 * struct continuo_heard - What was heard of a VM
 * @name:  Of its session, as the kernel knows it: root's are as they are, those of the
 *	   user 1000 begin with "u1000.".
 * @state: "idle", "asked", "preserved", "suspended", "failed", "silent", "left" or "away"
 *	   (it was registered with an earlier agent, and has not come back).
 * @why:   Why it failed; or "".
 * @us:    Microseconds from the order to the answer.
 *
 * Members can be added at the end.
 */
struct continuo_heard {
	const char *name;
	const char *state;
	const char *why;
	uint64_t us;
};

/* What was heard is valid only during the call. */
typedef void continuo_listener(void *arg, const struct continuo_heard *heard);

/**
 * continuo_update_begin() - Be the one who updates the host
 * @ctx: The context, after continuo_agent().
 *
 * If the context is freed, or the process dies, before continuo_update_go(), the agent
 * undoes what the VMs have done.
 *
 * Return: 0; -EBUSY if somebody else is; -EPERM if the caller is not root; -ENOTCONN.
 */
int continuo_update_begin(struct continuo *ctx);

/**
 * continuo_update_ask() - Have VMs do something, and wait until they have
 * @ctx:        The context, after continuo_agent().
 * @want:       What they are asked to do. Those that have done it are not asked again.
 * @name:       Of a VM, or NULL for all.
 * @timeout_ms: How long they have, 1 to 3600000.
 * @listener:   Is told of each VM, in the order of the answers; or NULL.
 * @arg:        For @listener.
 *
 * Works without continuo_update_begin(), too; then what was done lasts until it is undone.
 *
 * To undo is done as far as it is in the agent's hands, whatever this returns.
 *
 * Return: 0 if all have done it; -EINVAL if the name, the time or what they are asked cannot
 * be; -ENAMETOOLONG for the name; -ETIMEDOUT if one has not answered; -ECANCELED if one
 * said that it failed; -ENOENT if no VM has that name; -EBUSY if somebody else updates
 * the host, or if VMs are to be suspended that are not preserved; -EPERM; -ENOTCONN.
 */
int continuo_update_ask(struct continuo *ctx, enum continuo_want want, const char *name,
			uint32_t timeout_ms, continuo_listener *listener, void *arg);

/**
 * continuo_update_leave() - Go on without a VM
 * @ctx:  The context, after continuo_update_begin().
 * @name: Of the VM; or the path of a mount point: its file system is not written back by
 *	  the update then (a byte of it can be written as \ooo, as /proc/self/mountinfo
 *	  does, and must be if it is no printable ASCII); or of a unit (systemd): it is not waited for when services end.
 *
 * What it has preserved is undone as far as it is in the agent's hands. The jump is its
 * end: its devices are stopped. Of a session that came from the previous kernel the agent
 * lets go.
 *
 * Return: 0; -ENOENT; -EINVAL or -ENAMETOOLONG for a name, path or unit that cannot be;
 * -EPERM; -ENOTCONN.
 */
int continuo_update_leave(struct continuo *ctx, const char *name);

/**
 * continuo_update_vms() - Which VMs are registered?
 * @ctx:      The context, after continuo_agent().
 * @listener: Is told of each.
 * @arg:      For @listener.
 *
 * Return: 0; -EPERM; -ENOTCONN.
 */
int continuo_update_vms(struct continuo *ctx, continuo_listener *listener, void *arg);

/**
 * continuo_update_seal() - Of version 0.1: everything is ready
 * @ctx: The context, after continuo_update_begin().
 *
 * Programs that called this jumped by themselves afterwards, and nothing kept them from
 * doing it after the agent had undone. An agent of 0.2 or later refuses it. Use
 * continuo_update_go().
 *
 * Return: 0; -EOPNOTSUPP from an agent of 0.2 or later; -EPERM; -ENOTCONN.
 */
int continuo_update_seal(struct continuo *ctx);

/**
 * continuo_update_services() - Have other services of the host end before the jump
 * @ctx:        The context, after continuo_update_begin().
 * @timeout_ms: How long they have, 1 to 3600000.
 *
 * continuo_update_go() then ends them before the VMs preserve, and unmounts what nobody uses;
 * what a VM needs stays. Before the jump the file systems that are left stand still. If the
 * update is undone, the services start again.
 *
 * Return: 0; -ENODEV if the agent has no program that does it; -EOPNOTSUPP from an agent of
 * before; -EBUSY if somebody else updates the host; -EINVAL; -EPERM; -ENOTCONN.
 */
int continuo_update_services(struct continuo *ctx, uint32_t timeout_ms);

/* VMs that do not answer in time are left behind, in place of giving up. */
#define CONTINUO_GO_LEAVE_SILENT	1u

/**
 * continuo_update_go() - Update the host
 * @ctx:        The context, after continuo_update_begin().
 * @timeout_ms: How long each step may take, 1 to 3600000.
 * @flags:      0 or CONTINUO_GO_LEAVE_SILENT.
 * @listener:   Is told of each VM, in the order of the answers; and of each step of the
 *		host, as a VM of the name "" whose state is the step: "sync", "services",
 *		"preserve", "suspend", "flush", "count", "seal", "jump" or "undo", and at the end
 *		"undone", or "partly" if not all VMs have said so; or NULL.
 * @arg:        For @listener.
 *
 * The agent does all of it: files are written back, the VMs preserve and suspend, and the
 * kernel that is loaded takes over. If one step fails or takes too long, all is undone.
 * From here on the update does not need the caller: if the caller ends, or no longer waits,
 * it goes on. See continuo_update_abort(). The second form of this call, which does not wait,
 * is continuo_update_go_start().
 *
 * Return: only on failure, once all is undone: -ETIMEDOUT if a VM, or a file system, did
 * not come to an end in time; -ECANCELED if a VM failed, or if the update was aborted;
 * -ESTALE if another operator has taken it over, and it goes on; what reboot(2) returned;
 * -EBUSY if somebody else updates the host; -EINVAL; -EOPNOTSUPP from an agent of 0.1; -EPERM; -ENOTCONN; -EPIPE if the agent
 * has ended, and the VMs undo.
 */
int continuo_update_go(struct continuo *ctx, uint32_t timeout_ms, uint32_t flags,
		       continuo_listener *listener, void *arg);

/**
 * continuo_update_go_start() - Update the host, and do not wait
 * @ctx:        The context, after continuo_update_begin().
 * @timeout_ms: How long each step may take, 1 to 3600000.
 * @flags:      0 or CONTINUO_GO_LEAVE_SILENT.
 *
 * For programs that poll. All is as with continuo_update_go(), but what comes of it is heard
 * by continuo_update_hear(), also that the agent refuses it. Until that says that the update
 * has come to its end, nothing else can be asked with @ctx; another context can. To stop
 * hearing of it, free the context or connect again: the update goes on.
 *
 * Return: the descriptor to poll: when it is readable, or its other end has gone, call
 * continuo_update_hear(). It stays the context's, to be neither read nor closed; -EBUSY if one
 * was started and has not come to its end; -EINVAL if there is no such flag; -ENOTCONN;
 * -EPIPE if the agent has ended.
 */
int continuo_update_go_start(struct continuo *ctx, uint32_t timeout_ms, uint32_t flags);

/**
 * continuo_update_hear() - Hear what has become of an update so far
 * @ctx:      The context, after continuo_update_go_start() or continuo_update_attach_start().
 * @listener: As continuo_update_go(). It may not use @ctx.
 * @arg:      For @listener.
 *
 * Does not wait, and knows no deadline.
 *
 * Return: 1 if the update goes on; once it has come to its end, as continuo_update_go() or
 * continuo_update_attach(); -EINVAL also if none was started, or if its end was heard.
 */
int continuo_update_hear(struct continuo *ctx, continuo_listener *listener, void *arg);

/**
 * continuo_update_attach() - Take over an update that is running
 * @ctx:      The context, after continuo_agent().
 * @listener: As continuo_update_go().
 * @arg:      For @listener.
 *
 * Whoever has begun it hears that it is somebody else's now.
 *
 * Return: as continuo_update_go(); -ENOENT if no update is running; -EAGAIN if one is
 * prepared, and has not begun.
 */
int continuo_update_attach(struct continuo *ctx, continuo_listener *listener, void *arg);

/**
 * continuo_update_attach_start() - Take over an update that is running, and do not wait
 * @ctx: The context, after continuo_agent().
 *
 * As continuo_update_go_start(): what comes of it is heard by continuo_update_hear().
 *
 * Return: the descriptor to poll, which stays the context's; -EBUSY if an update was started
 * and has not come to its end; -ENOTCONN; -EPIPE if the agent has ended.
 */
int continuo_update_attach_start(struct continuo *ctx);

/**
 * continuo_update_abort() - End an update before its jump, whoever has begun it
 * @ctx: The context, after continuo_agent().
 *
 * Return: 0 if all VMs have undone; -ETIMEDOUT if not all have said so; -ENOENT if no
 * update is running; -EBUSY if somebody else has aborted it; -EPERM; -ENOTCONN.
 */
int continuo_update_abort(struct continuo *ctx);

/**
 * continuo_update_running() - Is the host being updated?
 * @ctx: The context, after continuo_agent().
 *
 * Whoever changes what the host goes over to asks before. Changes nothing.
 *
 * Return: 0 if no update is running, and none has been prepared; -EBUSY if one is;
 * -EOPNOTSUPP from an older agent; -EPERM; -ENOTCONN.
 */
int continuo_update_running(struct continuo *ctx);

/* ---- sessions: what goes over together ---- */

/**
 * continuo_session_create() - Make a session, in the outgoing kernel
 * @ctx:  The context.
 * @name: Its name, of 1 to 63 bytes.
 *
 * The session ends, and all is as if it had never been, when its last descriptor
 * is closed before the jump.
 *
 * Return: a file descriptor, which is the caller's; -EEXIST if there is a session
 * of that name; -EBUSY if somebody else has /dev/liveupdate: try again, as the agent and
 * systemd have it for a moment only (an agent that is asked has tried for 5 seconds);
 * -ENOENT if there is no such device: the kernel has no live update, or was not booted
 * with liveupdate=on; -ENAMETOOLONG or -EINVAL for a name that cannot be.
 */
int continuo_session_create(struct continuo *ctx, const char *name);

/**
 * continuo_session_retrieve() - Get a session back, in the incoming kernel
 * @ctx:  The context.
 * @name: Its name.
 *
 * Return: as continuo_session_create(); -ENOENT also if no session of that name
 * came; -EINVAL also if it was retrieved before; -EALREADY if it is kept for the next update
 * (continuo_register_kept()).
 */
int continuo_session_retrieve(struct continuo *ctx, const char *name);

/**
 * continuo_session_release() - Have the agent let go of a session
 * @ctx:  The context, after continuo_agent().
 * @name: Its name.
 *
 * Before the jump this undoes what was preserved, when the caller's descriptor is
 * closed, too. After it, it is what comes after continuo_finish().
 *
 * Return: 0; -ENOENT if the agent has no such session; -EINVAL or -ENAMETOOLONG for a name
 * that cannot be; -ENOTCONN without an agent.
 */
int continuo_session_release(struct continuo *ctx, const char *name);

/**
 * continuo_preserve() - Put a file into a session
 * @ctx:     The context.
 * @session: The session.
 * @fd:      A memfd, a file of guestmemfs, an iommufd, or a VFIO device's cdev that is
 *	     bound to a preserved iommufd.
 * @token:   What it is to be found by; unique in the session.
 *
 * Return: 0; -EEXIST if the token is in use; -ENOENT if files of this kind cannot
 * be preserved, or if what it needs was not preserved before; -EBUSY if the file
 * is in a session already; -EOPNOTSUPP if this device cannot be. The kernel log
 * has more.
 */
int continuo_preserve(struct continuo *ctx, int session, int fd, uint64_t token);

/**
 * continuo_retrieve() - Get a file out of a session
 * @ctx:     The context.
 * @session: The session.
 * @token:   Of the file.
 *
 * Return: a file descriptor, which is the caller's; -ENOENT if the session has no
 * such file.
 */
int continuo_retrieve(struct continuo *ctx, int session, uint64_t token);

/**
 * continuo_finish() - End a session whose files have all been taken over
 * @ctx:     The context.
 * @session: The session. The descriptor stays open.
 *
 * Return: 0; -EBUSY if something is still to be done, such as a device that is
 * still attached to a restored HWPT.
 */
int continuo_finish(struct continuo *ctx, int session);

/* ---- address spaces, HWPTs and devices, step by step ---- */

#define CONTINUO_READ	1u
#define CONTINUO_WRITE	2u

/* The mark stays, and goes along when devices move to another HWPT. */
#define CONTINUO_MARK_KEEP	1u

/**
 * continuo_hwpt_mark() - A HWPT is to be carried over with its iommufd
 * @ctx:     The context.
 * @iommufd: The iommufd.
 * @hwpt:    Its id of the HWPT.
 * @token:   What it is to be found by; unique in the iommufd.
 * @flags:   0 or CONTINUO_MARK_KEEP.
 *
 * Return: 0; -EEXIST if another HWPT has the token; -ENOENT if there is no such
 * HWPT; -EBUSY if the iommufd is preserved already; -ENOTTY if the kernel cannot;
 * -EINVAL if there is no such flag.
 */
int continuo_hwpt_mark(struct continuo *ctx, int iommufd, uint32_t hwpt,
		       uint64_t token, uint32_t flags);

/**
 * continuo_hwpt_unmark() - Remove the mark of a HWPT
 * @ctx:     The context.
 * @iommufd: The iommufd.
 * @hwpt:    Its id of the HWPT.
 * @token:   Of the mark.
 *
 * Return: 0; -ENOENT if there is no such HWPT, or if it has no mark with this token;
 * -EBUSY as long as the iommufd is preserved: close the session before.
 */
int continuo_hwpt_unmark(struct continuo *ctx, int iommufd, uint32_t hwpt, uint64_t token);

/**
 * continuo_hwpt_restore() - Find a HWPT that came from the previous kernel
 * @ctx:     The context.
 * @iommufd: The retrieved iommufd.
 * @token:   Of the mark.
 * @hwpt:    Where its id is stored.
 *
 * Return: 0; -ENOENT if none came with this token.
 */
int continuo_hwpt_restore(struct continuo *ctx, int iommufd, uint64_t token,
			  uint32_t *hwpt);

/**
 * struct continuo_difference - Where two HWPTs differ
 * @differs:      An IOVA is translated differently.
 * @sizes_differ: Leaves have other sizes; this is no difference by itself.
 * @more:         Only of an adoption: the restored HWPT translates more than the
 *		  address space maps.
 * @iova:         The IOVA, if @differs.
 * @was:          The physical address that the restored HWPT translates it to; ~0 if
 *		  to nothing; 0 if the process may not know (CAP_SYS_RAWIO).
 * @is:           The same of the other one.
 *
 * Members can be added at the end: continuo_hwpt_verify() and continuo_hwpt_adopt() write
 * these six, and continuo_hwpt_verify_sized() and continuo_hwpt_adopt_sized() as many as
 * the caller has.
 */
struct continuo_difference {
	int differs;
	int sizes_differ;
	int more;
	uint64_t iova;
	uint64_t was;
	uint64_t is;
};

/**
 * continuo_hwpt_verify() - Does a rebuilt HWPT say what the restored one says?
 * @ctx:      The context.
 * @iommufd:  The iommufd of both.
 * @restored: Id of the restored HWPT.
 * @hwpt:     Id of the other one.
 * @diff:     Where the answer is stored, or NULL.
 *
 * DMA can go on meanwhile.
 *
 * Return: 0 if they translate the same; -EILSEQ if not;
 * -ENOENT if one of them does not exist; -EUCLEAN if the restored one is damaged;
 * -EOPNOTSUPP if they cannot be compared.
 */
int continuo_hwpt_verify(struct continuo *ctx, int iommufd, uint32_t restored,
			 uint32_t hwpt, struct continuo_difference *diff);

/**
 * continuo_hwpt_verify_sized() - The same, for a structure that can have more members
 * @ctx:      The context.
 * @iommufd:  The iommufd of both.
 * @restored: Id of the restored HWPT.
 * @hwpt:     Id of the other one.
 * @diff:     Where the answer is stored, or NULL.
 * @size:     sizeof(*@diff): members beyond it are not written, and those that the library
 *	      does not know are 0. Of no meaning if @diff is NULL.
 *
 * Return: as continuo_hwpt_verify(); -EINVAL if the size is less than that of the six
 * members of version 0.1: nothing was compared.
 */
int continuo_hwpt_verify_sized(struct continuo *ctx, int iommufd, uint32_t restored,
			       uint32_t hwpt, struct continuo_difference *diff,
			       size_t size);

/* Adopt the sizes of the leaves alone; the new HWPT has tables of its own. */
#define CONTINUO_ADOPT_SIZES	1u

/**
 * continuo_hwpt_adopt() - Make a HWPT that takes over the tables of a restored one
 * @ctx:      The context.
 * @iommufd:  The iommufd.
 * @restored: Id of the restored HWPT.
 * @ioas:     The address space, with all of its memory mapped.
 * @device:   Id of a device that is on the restored HWPT.
 * @flags:    0 or CONTINUO_ADOPT_SIZES.
 * @hwpt:     Where the id of the new HWPT is stored.
 * @diff:     Where the answer is stored, or NULL.
 *
 * Without the flag the address space cannot be changed until the devices have been
 * attached to the new HWPT and the restored one has been destroyed.
 *
 * Return: 0; -EILSEQ if the two say different things: nothing has changed; -EBUSY
 * if the restored HWPT was adopted already; -EINVAL if there is no such flag or IOAS; and as
 * continuo_hwpt_verify().
 */
int continuo_hwpt_adopt(struct continuo *ctx, int iommufd, uint32_t restored,
			uint32_t ioas, uint32_t device, uint32_t flags,
			uint32_t *hwpt, struct continuo_difference *diff);

/**
 * continuo_hwpt_adopt_sized() - The same, for a structure that can have more members
 * @ctx:      The context.
 * @iommufd:  The iommufd.
 * @restored: Id of the restored HWPT.
 * @ioas:     The address space, with all of its memory mapped.
 * @device:   Id of a device that is on the restored HWPT.
 * @flags:    0 or CONTINUO_ADOPT_SIZES.
 * @hwpt:     Where the id of the new HWPT is stored.
 * @diff:     Where the answer is stored, or NULL.
 * @size:     sizeof(*@diff), as continuo_hwpt_verify_sized() has it.
 *
 * Return: as continuo_hwpt_adopt(); -EINVAL if the size is less than that of the six
 * members of version 0.1: nothing was adopted.
 */
int continuo_hwpt_adopt_sized(struct continuo *ctx, int iommufd, uint32_t restored,
			      uint32_t ioas, uint32_t device, uint32_t flags,
			      uint32_t *hwpt, struct continuo_difference *diff,
			      size_t size);

/**
 * continuo_device_bind() - Bind a VFIO device's cdev to an iommufd
 * @ctx:     The context.
 * @cdev:    The cdev, opened or retrieved.
 * @iommufd: The iommufd; of a retrieved cdev, that of its session.
 * @device:  Where the id of the device is stored.
 *
 * Return: 0; -EBUSY if somebody else has the device, or if it is in a session that
 * it was not retrieved from; -EINVAL if it is bound already or to be bound to
 * another iommufd; -EACCES if the token of its PF is needed.
 */
int continuo_device_bind(struct continuo *ctx, int cdev, int iommufd,
			 uint32_t *device);

/* Bytes of the token of a physical function, as VFIO_DEVICE_FEATURE_PCI_VF_TOKEN has it. */
#define CONTINUO_VF_TOKEN	16

/**
 * continuo_device_bind_token() - The same, of a function whose PF vfio-pci has
 * @ctx:     The context.
 * @cdev:    The cdev, opened or retrieved: of a VF, or of the PF itself.
 * @iommufd: As continuo_device_bind() has it.
 * @token:   CONTINUO_VF_TOKEN bytes, as who has the PF has set them; NULL: none, as
 *	     continuo_device_bind().
 * @device:  Where the id of the device is stored.
 *
 * Return: as continuo_device_bind(); -EACCES if it is not the token of the PF; -EINVAL also
 * if the device asks for none: it is no VF of a PF that vfio-pci has, nor such a PF.
 */
int continuo_device_bind_token(struct continuo *ctx, int cdev, int iommufd,
			       const uint8_t *token, uint32_t *device);

/**
 * continuo_device_attach() - Attach a device to a HWPT
 * @ctx:  The context.
 * @cdev: The cdev, bound.
 * @hwpt: Id of the HWPT. If the device has another one, that is replaced without a
 *	  gap.
 *
 * Return: 0; -EBUSY while the device is preserved; -EINVAL if the HWPT does not fit
 * the device; -EOPNOTSUPP if it cannot be replaced without a gap.
 */
int continuo_device_attach(struct continuo *ctx, int cdev, uint32_t hwpt);

/**
 * continuo_ioas_alloc() - Make an address space
 * @ctx:     The context.
 * @iommufd: The iommufd.
 * @ioas:    Where its id is stored.
 *
 * Return: 0; -ENOMEM.
 */
int continuo_ioas_alloc(struct continuo *ctx, int iommufd, uint32_t *ioas);

/**
 * continuo_ioas_map() - Map memory into an address space
 * @ctx:     The context.
 * @iommufd: The iommufd.
 * @ioas:    Id of the address space.
 * @memfd:   The memory, as continuo_vm_memory() wants it.
 * @offset:  Where in the memory, a multiple of 4 KiB.
 * @length:  How much, a multiple of 4 KiB.
 * @iova:    Where in the address space, a multiple of 4 KiB.
 * @prot:    CONTINUO_READ, CONTINUO_WRITE, or both.
 *
 * Return: 0; -EEXIST if something is mapped there; -EBUSY while the iommufd is
 * preserved; -ENOMEM, also if the user may lock no more memory (RLIMIT_MEMLOCK);
 * -EINVAL if @prot says something else, or nothing, or if the kernel cannot map just so.
 */
int continuo_ioas_map(struct continuo *ctx, int iommufd, uint32_t ioas, int memfd,
		      uint64_t offset, uint64_t length, uint64_t iova,
		      unsigned int prot);

/**
 * continuo_hwpt_alloc() - Make a HWPT of an address space
 * @ctx:     The context.
 * @iommufd: The iommufd.
 * @device:  Id of a device that it has to fit.
 * @ioas:    Id of the address space.
 * @hwpt:    Where its id is stored.
 *
 * Return: 0; -ENOENT; -ENOMEM.
 */
int continuo_hwpt_alloc(struct continuo *ctx, int iommufd, uint32_t device,
			uint32_t ioas, uint32_t *hwpt);

/**
 * continuo_destroy() - Destroy an object of an iommufd
 * @ctx:     The context.
 * @iommufd: The iommufd.
 * @id:      Of the object.
 *
 * Return: 0; -EBUSY if it is in use; -ENOENT if it does not exist.
 */
int continuo_destroy(struct continuo *ctx, int iommufd, uint32_t id);

/* ---- a VM as a whole ---- */

struct continuo_vm;

/**
 * continuo_vm_new() - Begin to say what a VM consists of
 * @ctx: The context.
 * @vm:  Where the VM is stored.
 *
 * Return: 0; -ENOMEM.
 */
int continuo_vm_new(struct continuo *ctx, struct continuo_vm **vm);

/**
 * continuo_vm_free() - Forget a VM
 * @vm: The VM, or NULL. Descriptors that continuo_vm_take() has retrieved, and that
 *	the caller has not asked for, are closed. Those that he has added are his: they stay
 *	open, also if they were added to a VM that was taken over.
 */
void continuo_vm_free(struct continuo_vm *vm);

/**
 * continuo_vm_iommufd() - Say which iommufd the VM uses
 * @vm: The VM.
 * @fd: The iommufd, which stays open until the VM is preserved.
 *
 * Return: 0; -EEXIST if it was said before; -EBADF if this is no descriptor.
 */
int continuo_vm_iommufd(struct continuo_vm *vm, int fd);

/**
 * continuo_vm_memory() - Add memory, or other state in a memfd or a file of guestmemfs
 * @vm:   The VM.
 * @name: What the next process finds it by; unique, of 1 to 31 bytes.
 * @fd:   A memfd or a file of guestmemfs, which stays open until the VM is preserved. A
 *	  memfd that is mapped for DMA must have F_SEAL_SEAL, F_SEAL_GROW and F_SEAL_SHRINK.
 *	  A file of guestmemfs has no seals: from preserve on it cannot become shorter.
 *
 * Return: its index; -EEXIST if the name is in use; -EINVAL if this is neither, or
 * its size no multiple of 4 KiB; -ENOMEM; -E2BIG if there are too many.
 */
int continuo_vm_memory(struct continuo_vm *vm, const char *name, int fd);

/**
 * continuo_vm_memory_flags() - Say in what a memory is special
 * @vm:     The VM.
 * @memory: Index of the memory.
 * @flags:  0: this version knows no flag yet.
 *
 * Replaces what was said before. A program that needs a flag of a later version learns
 * here that the library which runs does not know it.
 *
 * Return: 0; -EINVAL if there is no such memory or flag: nothing has changed.
 */
int continuo_vm_memory_flags(struct continuo_vm *vm, int memory, uint32_t flags);

/**
 * continuo_vm_space() - Add an address space
 * @vm: The VM.
 *
 * Return: its index; -E2BIG if there are too many.
 */
int continuo_vm_space(struct continuo_vm *vm);

/**
 * continuo_vm_map() - Say what an address space maps
 * @vm:     The VM.
 * @space:  Index of the address space.
 * @memory: Index of the memory.
 * @offset: Where in the memory, a multiple of 4 KiB.
 * @length: How much, a multiple of 4 KiB.
 * @iova:   Where in the address space, a multiple of 4 KiB.
 * @prot:   CONTINUO_READ, CONTINUO_WRITE, or both.
 *
 * Return: 0; -ENOMEM; -E2BIG. What cannot be, such as a range that is mapped
 * twice, continuo_vm_preserve() says.
 */
int continuo_vm_map(struct continuo_vm *vm, int space, int memory,
		    uint64_t offset, uint64_t length, uint64_t iova,
		    unsigned int prot);

/**
 * continuo_vm_hwpt() - Add a HWPT
 * @vm:    The VM.
 * @space: Index of its address space.
 * @id:    Its id in the iommufd.
 *
 * Return: its index; -EINVAL; -E2BIG.
 */
int continuo_vm_hwpt(struct continuo_vm *vm, int space, uint32_t id);

/* What a HWPT can have been made with (IOMMU_HWPT_ALLOC_...). */
#define CONTINUO_HWPT_NEST_PARENT	1u
#define CONTINUO_HWPT_DIRTY_TRACKING	2u
#define CONTINUO_HWPT_PASID		8u
#define CONTINUO_HWPT_FLAGS		11u

/**
 * continuo_vm_hwpt_flags() - Say what a HWPT was made with
 * @vm:    The VM.
 * @hwpt:  Index of the HWPT.
 * @flags: CONTINUO_HWPT_NEST_PARENT, CONTINUO_HWPT_DIRTY_TRACKING, CONTINUO_HWPT_PASID.
 *
 * The HWPT that takes its place in the next kernel is made with the same. A library of
 * version 0.1 does not take such a VM over (-EBADMSG).
 *
 * Return: 0; -EINVAL if there is no such HWPT or flag.
 */
int continuo_vm_hwpt_flags(struct continuo_vm *vm, int hwpt, uint32_t flags);

/**
 * continuo_vm_device() - Add a device
 * @vm:   The VM.
 * @name: What the next process finds it by; unique, of 1 to 31 bytes.
 * @cdev: Its cdev, bound to the iommufd and attached to the HWPT; stays open.
 * @hwpt: Index of the HWPT.
 *
 * Return: its index; -EEXIST if the name is in use; -EINVAL; -E2BIG.
 */
int continuo_vm_device(struct continuo_vm *vm, const char *name, int cdev,
		       int hwpt);

/**
 * continuo_vm_device_flags() - Say in what a device is special
 * @vm:     The VM.
 * @device: Index of the device.
 * @flags:  0: this version knows no flag yet.
 *
 * As continuo_vm_memory_flags().
 *
 * Return: 0; -EINVAL if there is no such device or flag: nothing has changed.
 */
int continuo_vm_device_flags(struct continuo_vm *vm, int device, uint32_t flags);

/**
 * continuo_vm_device_token() - Say with which token a device was bound
 * @vm:     The VM.
 * @device: Index of the device: a VF whose PF vfio-pci has, or that PF.
 * @token:  CONTINUO_VF_TOKEN bytes, or NULL: with none.
 *
 * Whoever takes the VM over, or passes it on, binds the device with it, or with none if the
 * device asks for none there: its PF was refused, or has another driver. It is in the
 * manifest, which all can read that have the session. A library before 0.2 does not take
 * such a VM over (-EBADMSG).
 *
 * Return: 0; -EINVAL if there is no such device; -ENOMEM: nothing has changed.
 */
int continuo_vm_device_token(struct continuo_vm *vm, int device, const uint8_t *token);

/**
 * continuo_vm_preserve() - Preserve all of a VM
 * @vm:      The VM.
 * @session: A session with nothing in it.
 *
 * Marks the HWPTs, writes the manifest, and preserves manifest, memory, iommufd and
 * devices in the order that the kernel wants. Devices go on with their DMA; from
 * here on nothing can be mapped or unmapped. If it fails, or is to be undone, close the
 * session, and call continuo_vm_unpreserve(): then everything is as before.
 *
 * Return: 0; -EINVAL if the VM is not complete; what continuo_preserve() and
 * continuo_hwpt_mark() return.
 */
int continuo_vm_preserve(struct continuo_vm *vm, int session);

/**
 * continuo_vm_preserve_flags() - The same, with flags
 * @vm:      The VM.
 * @session: A session with nothing in it.
 * @flags:   0: this version knows no flag yet.
 *
 * Return: as continuo_vm_preserve(); -EINVAL also if there is no such flag: nothing was
 * preserved.
 */
int continuo_vm_preserve_flags(struct continuo_vm *vm, int session, uint32_t flags);

/**
 * continuo_vm_unpreserve() - Remove what is left of continuo_vm_preserve()
 * @vm: The VM, whose session has been closed, by the agent too.
 *
 * The HWPTs are not marked any more.
 *
 * Return: 0; -EBUSY if the session is not closed yet.
 */
int continuo_vm_unpreserve(struct continuo_vm *vm);

/* Where this kernel is with the way back (docs/way-back.md). */
enum continuo_back_state {
	/** It has none, or did not come by an update that has one. */
	CONTINUO_BACK_NONE,
	/** If it fails, or is not confirmed in time, the machine goes back. */
	CONTINUO_BACK_ARMED,
	/** It has been confirmed: there is no way back any more. */
	CONTINUO_BACK_CONFIRMED,
	/** The machine has come back to this kernel. */
	CONTINUO_BACK_CAME,
};

/**
 * continuo_back() - Can this kernel go back, or has it come back?
 * @ctx: The context.
 *
 * Return: One of enum continuo_back_state; -EPROTO if the kernel says something else; another negative
 * errno if it cannot be seen, as in a sandbox without /sys.
 */
int continuo_back(struct continuo *ctx);

/**
 * continuo_ready() - A VM is ready: wait until the update is confirmed
 * @ctx:     The context, with an agent.
 * @session: The retrieved session, of which all was retrieved, rebuilt and verified.
 *
 * Returns at once if this kernel cannot go back. Else the agent confirms once all VMs are ready that came with
 * the update, and the host is well. If that does not come in time, the machine goes back, and
 * nobody returns from this. It waits as long as it takes, whatever continuo_deadline() says;
 * continuo_cancel() ends it.
 *
 * Return: 0; -EBUSY if there is no agent: continuo_confirm() is to be called by whoever knows all VMs
 * of the host; -EPIPE if the agent has ended: say it again to the next one; -EINTR after
 * continuo_cancel(); -EOPNOTSUPP if the agent is older.
 */
int continuo_ready(struct continuo *ctx, int session);

/**
 * continuo_confirm() - There is to be no way back any more
 * @ctx: The context; with an agent it does it, else this process.
 *
 * What was kept for the way back is freed, and devices may move. The agent does this by itself; this is
 * for the operator, and where there is no agent.
 *
 * Return: 0; -ENOENT if there is no way back that could be given up; -EPERM or -EACCES if this
 * user may not do that.
 */
int continuo_confirm(struct continuo *ctx);

/* How the hardware gets from the restored tables to ones that can be changed. */
enum continuo_how {
	/** Build new tables, verify, replace. */
	CONTINUO_REPLACE,
	/** Take the restored tables over if they say the same. */
	CONTINUO_ADOPT,
	/** Build new tables, with leaves of the sizes of the restored ones. */
	CONTINUO_SIZES,
};

/**
 * continuo_vm_take() - Take a VM over, in the incoming kernel
 * @ctx:     The context.
 * @session: The retrieved session.
 * @how:     How its HWPTs are rebuilt.
 * @vm:      Where the VM is stored.
 *
 * Reads and checks the manifest, retrieves everything, rebuilds the address spaces,
 * has the kernel compare each HWPT with what the hardware is using, moves the
 * devices, and finishes the session. If this kernel can still go back (continuo_back()), it
 * waits for the confirmation before a device moves, as continuo_ready() does. DMA goes on all
 * the while. If it fails, the devices go on with the tables that they have: find out why, and try again, in
 * this process or another one. A session that is closed before it can be finished can
 * be retrieved again.
 *
 * Return: 0; -EBADMSG if the manifest is damaged or is none; -EPROTO if it is of a
 * version that this library does not read; -EILSEQ if the HWPTs differ; what
 * continuo_ready() returns; and what the steps return.
 */
int continuo_vm_take(struct continuo *ctx, int session, enum continuo_how how,
		     struct continuo_vm **vm);

/**
 * continuo_vm_move() - The same, and the session is not finished
 * @ctx:     The context.
 * @session: The retrieved session.
 * @how:     How its HWPTs are rebuilt.
 * @vm:      Where the VM is stored.
 *
 * For somebody who has to hand the VM on before he can be sure of it: continuo_finish() is
 * to be called then. If he ends before that, all can be retrieved once more and moved again, as
 * long as somebody else holds the session, as the agent does; only what the hardware used before
 * the first move cannot be compared any more. Until it is finished a device cannot be reset, and
 * nothing of it preserved.
 *
 * Return: as continuo_vm_take(), but for what continuo_finish() returns.
 */
int continuo_vm_move(struct continuo *ctx, int session, enum continuo_how how,
		     struct continuo_vm **vm);

/* The session is not finished, as continuo_vm_move() leaves it. */
#define CONTINUO_TAKE_UNFINISHED	1u

/**
 * continuo_vm_take_flags() - Take a VM over, with flags
 * @ctx:     The context.
 * @session: The retrieved session.
 * @how:     How its HWPTs are rebuilt.
 * @flags:   0, as continuo_vm_take(), or CONTINUO_TAKE_UNFINISHED, as continuo_vm_move().
 * @vm:      Where the VM is stored.
 *
 * Return: as continuo_vm_take(); -EINVAL if there is no such flag, or no such @how: nothing
 * was retrieved.
 */
int continuo_vm_take_flags(struct continuo *ctx, int session, enum continuo_how how,
			   uint32_t flags, struct continuo_vm **vm);

/**
 * continuo_vm_prepare() - The first half of taking a VM over: all but what cannot be undone
 * @ctx:     The context.
 * @session: The retrieved session.
 * @how:     How its HWPTs are rebuilt.
 * @vm:      Where the VM is stored.
 *
 * For who wants to do something else while continuo_ready() waits, in another thread or process. Everything
 * is retrieved, rebuilt and compared, and no device has moved. Its memory must not be written to, and
 * no virtual CPU run, before continuo_ready() has returned 0. continuo_vm_commit() is the other
 * half; continuo_vm_free() in place of it undoes this one.
 *
 * Return: as continuo_vm_take(), but for what moving and finishing return.
 */
int continuo_vm_prepare(struct continuo *ctx, int session, enum continuo_how how,
			struct continuo_vm **vm);

/**
 * continuo_vm_commit() - The second half: move the devices, finish the session
 * @vm:      The prepared VM.
 * @session: Its session.
 * @flags:   0, or CONTINUO_TAKE_UNFINISHED.
 *
 * If it fails, continuo_vm_free() the VM, and try again from the beginning, as with continuo_vm_take().
 *
 * Return: 0; -EINVAL if there is no such flag, or the VM was not prepared; -EBUSY if this kernel can
 * still go back: continuo_ready() comes first; and what the steps return.
 */
int continuo_vm_commit(struct continuo_vm *vm, int session, uint32_t flags);

/**
 * continuo_vm_verify() - Would continuo_vm_take() succeed?
 * @ctx:     The context.
 * @session: The retrieved session.
 *
 * Does all of it up to the comparison of each HWPT, and undoes that: devices are not
 * moved, and the session is not finished. What a process has adopted that died before
 * its devices had moved stays as it is. But what is retrieved stays so: the memory
 * counts for the caller's control group from then on, and if that has no room for it, it
 * cannot be retrieved any more.
 *
 * Return: as continuo_vm_take().
 */
int continuo_vm_verify(struct continuo *ctx, int session);

/**
 * continuo_vm_find_memory() - The memory of a name, of a VM that was taken over
 * @vm:   The VM.
 * @name: As given to continuo_vm_memory().
 *
 * Return: a file descriptor, which is the caller's now; -ENOENT if there is none of
 * that name, or if it was asked for before.
 */
int continuo_vm_find_memory(struct continuo_vm *vm, const char *name);

/**
 * continuo_vm_find_device() - The same of a device
 * @vm:     The VM.
 * @name:   As given to continuo_vm_device().
 * @device: Where its id in the iommufd is stored, or NULL.
 * @hwpt:   Where the id of its HWPT is stored, or NULL.
 *
 * Return: the cdev, which is the caller's now; -ENOENT as above.
 */
int continuo_vm_find_device(struct continuo_vm *vm, const char *name,
			    uint32_t *device, uint32_t *hwpt);

/**
 * continuo_vm_find_iommufd() - The same of the iommufd
 * @vm: The VM.
 *
 * Return: the iommufd, which is the caller's now; -ENOENT if it was asked for.
 */
int continuo_vm_find_iommufd(struct continuo_vm *vm);

/**
 * continuo_vm_find_space() - The IOAS that an address space was rebuilt in
 * @vm:    The VM.
 * @space: Its index.
 * @ioas:  Where the id is stored.
 *
 * Return: 0; -ENOENT if there is no such address space.
 */
int continuo_vm_find_space(struct continuo_vm *vm, int space, uint32_t *ioas);

#ifdef __cplusplus
}
#endif
#endif
