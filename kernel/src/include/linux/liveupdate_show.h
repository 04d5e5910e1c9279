/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_LIVEUPDATE_SHOW_H
#define _LINUX_LIVEUPDATE_SHOW_H

#include <linux/sched.h>
#include <linux/types.h>

struct kho_radix_tree;
struct seq_buf;

/**
 * enum liveupdate_wait - What an object is still waited for, in this order.
 * @LIVEUPDATE_WAIT_RESET: The kernel resets a device that was refused.
 * @LIVEUPDATE_WAIT_PROBE: The kernel finds the device, or the IOMMU unit.
 * @LIVEUPDATE_WAIT_RETRIEVE: User space gets a session or a file back.
 * @LIVEUPDATE_WAIT_BIND: User space binds a cdev to its iommufd.
 * @LIVEUPDATE_WAIT_RESTORE: User space asks for a HWPT by its token.
 * @LIVEUPDATE_WAIT_REPLACE: User space attaches devices to HWPTs built anew.
 * @LIVEUPDATE_WAIT_FINISH: User space finishes the session.
 * @LIVEUPDATE_WAIT_CLOSE: User space closes the session.
 * @LIVEUPDATE_WAIT_NR: Number of them.
 */
enum liveupdate_wait {
	LIVEUPDATE_WAIT_RESET,
	LIVEUPDATE_WAIT_PROBE,
	LIVEUPDATE_WAIT_RETRIEVE,
	LIVEUPDATE_WAIT_BIND,
	LIVEUPDATE_WAIT_RESTORE,
	LIVEUPDATE_WAIT_REPLACE,
	LIVEUPDATE_WAIT_FINISH,
	LIVEUPDATE_WAIT_CLOSE,
	LIVEUPDATE_WAIT_NR,
};

/* Number of the format; it changes if a key goes or changes its meaning. */
#define LIVEUPDATE_VIEW_FORMAT	1

/**
 * struct liveupdate_view - One look at one side of a live update.
 * @text:     Where it goes; if there was no room for it, it has overflowed.
 * @incoming: Which side: what came, or what will go.
 * @both:     The text has both sides; each record says which one it is of.
 * @physical: The reader may know physical addresses.
 * @debug:    It is for debugfs, which shows reference counts, too.
 * @open:     A record was begun and not ended.
 * @waits:    Bits of &enum liveupdate_wait for the record that is open.
 * @session:  Name of the session whose files are shown.
 * @token:    Token of the file that is shown.
 */
struct liveupdate_view {
	struct seq_buf *text;
	bool incoming;
	bool both;
	bool physical;
	bool debug;
	bool open;
	unsigned int waits;
	const char *session;
	u64 token;
};

/**
 * struct liveupdate_task - Who did something, as it was at that moment.
 * @pid:   Process id in the initial namespace; 0 for nobody.
 * @start: When the process was started; tells it from a later one of that id.
 * @comm:  Its name.
 */
struct liveupdate_task {
	pid_t pid;
	u64 start;
	char comm[TASK_COMM_LEN];
};

/**
 * struct liveupdate_pci_state - A PCI device of one side's list.
 * @segment: PCI segment.
 * @bdf:     Bus number and devfn.
 * @bridge:  It is a bridge.
 * @present: There is such a device, and it is in the state that the list says:
 *	     outgoing, or incoming.
 * @pending: Incoming: the device was not found yet.
 * @frozen:  Outgoing: reboot(2) is under way.
 * @master:  Its bus mastering is on.
 * @shown:   For who shows the list.
 * @users:   Bridge: number of listed endpoints below.
 * @secondary: Bridge: first bus number below.
 * @subordinate: Bridge: last bus number below.
 */
struct liveupdate_pci_state {
	u32 segment;
	u16 bdf;
	bool bridge;
	bool present;
	bool pending;
	bool frozen;
	bool master;
	bool shown;
	u32 users;
	u8 secondary;
	u8 subordinate;
};

/**
 * struct liveupdate_pci_list - What pci_liveupdate_list() found.
 * @nr: Number of @dev.
 * @dev: The devices, in ascending order of segment and bdf.
 */
struct liveupdate_pci_list {
	u32 nr;
	struct liveupdate_pci_state dev[] __counted_by(nr);
};

#ifdef CONFIG_LIVEUPDATE
/* What was refused stays on show for as long as the kernel runs. */
__printf(4, 5)
void liveupdate_refused(const char *type, const char *by, const char *why,
			const char *id, ...);
void liveupdate_refused_pci(u32 segment, u16 bdf, const char *type,
			    const char *by, const char *why);
void liveupdate_refused_reset(u32 segment, u16 bdf, bool done, int err);
bool liveupdate_was_refused_pci(u32 segment, u16 bdf);
__printf(1, 2)
bool liveupdate_was_refused(const char *id, ...);

void liveupdate_note_task(struct liveupdate_task *task);

/* For those who show something */
void liveupdate_show_record(struct liveupdate_view *v, const char *type);
void liveupdate_show_end(struct liveupdate_view *v);
void liveupdate_show_word(struct liveupdate_view *v, const char *key,
			  const char *word);
void liveupdate_show_text(struct liveupdate_view *v, const char *key,
			  const char *text);
void liveupdate_show_num(struct liveupdate_view *v, const char *key, u64 num);
void liveupdate_show_hex(struct liveupdate_view *v, const char *key, u64 num);
void liveupdate_show_pa(struct liveupdate_view *v, const char *key, u64 pa);
void liveupdate_show_refs(struct liveupdate_view *v, const char *key, u64 num);
void liveupdate_show_bdf(struct liveupdate_view *v, const char *key,
			 u32 segment, u16 bdf);
void liveupdate_show_task(struct liveupdate_view *v,
			  const struct liveupdate_task *task);
void liveupdate_show_wait(struct liveupdate_view *v, enum liveupdate_wait wait);

/* Those who show something */
void liveupdate_show_refusals(struct liveupdate_view *v);
void liveupdate_show_refused(struct liveupdate_view *v);
int luo_session_show(struct liveupdate_view *v);
int liveupdate_show_side(struct liveupdate_view *v);
#endif

#if defined(CONFIG_LIVEUPDATE) && defined(CONFIG_DEBUG_FS)
void liveupdate_show_kho(struct kho_radix_tree *tree);
#else
static inline void liveupdate_show_kho(struct kho_radix_tree *tree)
{
}
#endif

#ifdef CONFIG_PCI_LIVEUPDATE
struct liveupdate_pci_list *pci_liveupdate_list(bool incoming);
#else
static inline struct liveupdate_pci_list *pci_liveupdate_list(bool incoming)
{
	return NULL;
}
#endif

#ifdef CONFIG_IOMMU_LIVEUPDATE
void iommu_liveupdate_show(struct liveupdate_view *v,
			   struct liveupdate_pci_list *pci);
#else
static inline void iommu_liveupdate_show(struct liveupdate_view *v,
					 struct liveupdate_pci_list *pci)
{
}
#endif

#endif /* _LINUX_LIVEUPDATE_SHOW_H */
