// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: The way back
 *
 * The jump of a live update is a door with no handle on the other side: a next kernel
 * that does not come up is the end of every VM on the host. With a back image it is
 * not. Three kernels are spoken of here: the first one jumps, the second one fails,
 * the third one is what the second one goes back to; often it is the first one's image.
 *
 * Happy path
 * ~~~~~~~~~~
 *
 * Parked: kexec_file_load(2) with KEXEC_FILE_LIVEUPDATE_BACK loads an image in a slot
 * of its own, with a command line of its own. It is an ordinary image: its segments
 * belong into KHO's scratch memory and name the first kernel's handover. Its pages are
 * preserved, and a KHO subtree says where they are (include/linux/kho/abi/back.h).
 * reboot(2) asks both images for the formats that are about to be written.
 *
 * Held: the second kernel finds the subtree when it takes over the preserved memory.
 * From then on nothing that was handed over reaches its allocator: the nodes of KHO's
 * tree are reserved, and each page that is restored gets one more reference. What the
 * handover says is not written: users of it work on copies (PCI, IOMMU).
 *
 * Armed: from early_initcall on a &struct kimage stands ready that has the parked pages
 * and all that a jump allocates. A panic then goes to luo_back_panic() in place of the
 * end. If user space does not confirm in time (liveupdate.confirm_within=SECONDS), the
 * kernel panics.
 *
 * Confirmed: user space writes 1 to /sys/kernel/liveupdate_back/confirm when all that
 * it got back is as it should be and before a virtual CPU runs: from there on what the
 * VM does is not in the handover. Until then no device leaves what it came with and
 * no session with devices is finished (EBUSY). What was held is let go, and there is
 * no way back any more.
 *
 * Refused: what a kernel cannot take over it stops. While it boots, one that can go back
 * panics in place of that, before anything is stopped.
 *
 * Going back
 * ~~~~~~~~~~
 *
 * On the CPU that panics, interrupts off, and with locks held by whoever had them. The
 * reason and the end of the log go where the third kernel finds them. The other CPUs
 * are stopped. PCI: whatever is not in the handover loses bus mastering, what is in it
 * loses its interrupts. IOMMU: entries that are not those of the handover are removed,
 * and interrupts are looked up in the first kernel's table again, in which there are
 * none. Only then the image is copied, over memory that other devices could have been
 * told to write to.
 *
 * The third kernel gets the handover as the second one got it, and takes over in the
 * same way. It sees in the subtree that it has come back, frees the parked pages, and
 * is not armed itself: if it fails, too, that is a panic as without any of this.
 *
 * Unhappy paths
 * ~~~~~~~~~~~~~
 *
 * No memory to park or to preserve: kexec_file_load(2) fails, nothing is left behind.
 *
 * A subtree that cannot be used (version, a page that KHO did not keep, an entry that
 * leads elsewhere): the log says so, nothing is held, and the update goes on without a
 * way back.
 *
 * A page of the image that has changed since it was loaded (a stray write): a panic as without
 * any of this, before anything is stopped. The image is hashed when it is parked, and
 * when it is about to be used.
 *
 * A panic before early_initcall, after the confirmation, or once the second kernel is on
 * its way down itself: a panic as without any of this.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/cleanup.h>
#include <linux/init.h>
#include <linux/kexec.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/back.h>
#include <linux/kho_radix_tree.h>
#include <linux/kmsg_dump.h>
#include <linux/kobject.h>
#include <linux/iommu-liveupdate.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_back.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/panic.h>
#include <linux/pci_liveupdate.h>
#include <linux/reboot.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/timer.h>
#include <linux/utsname.h>
#include <linux/xxhash.h>

#include <asm/apic.h>
#include <asm/virt.h>

#include "../kexec_internal.h"
#include "kexec_handover_internal.h"
#include "luo_back_check.h"

static_assert(sizeof(struct luo_back_ser) <= PAGE_SIZE);
static_assert(LUO_BACK_SEGMENTS == KEXEC_SEGMENT_MAX);

/*
 * What this kernel has parked for the case that the next one fails. Under the lock of
 * kexec.
 */
static struct {
	struct kimage *image;
	struct luo_back_ser *ser;
} parked;

/*
 * What the previous kernel has parked. @taken is set by exchange: either by the panic or by
 * the confirmation, and the deadline takes it for its panic, which is not there at once.
 * While a panic has it, @armed stays: nothing may move on other CPUs until they stand still.
 * @lock protects @holds and @held; @holds is read without it
 * where a restored page comes by, and asked again under it.
 */
static struct {
	struct luo_back_ser *ser;
	struct kho_radix_node *root;
	void *log;
	struct kimage *armed;
	int taken;
	int late;
	bool going;
	bool came;
	bool confirmed;
	struct mutex lock;	/* Protects @holds and @held */
	bool holds;
	struct kho_radix_tree held;
} back = {
	.lock = __MUTEX_INITIALIZER(back.lock),
};

/* --- the list of an image --- */

static int digest_entry(kimage_entry_t entry, void *ctx)
{
	if (has_page(entry))
		xxh64_update(ctx, phys_to_virt(entry & PAGE_MASK), PAGE_SIZE);
	return 0;
}

static u64 digest_image(const struct luo_back_ser *ser)
{
	struct xxh64_state ctx;

	xxh64_reset(&ctx, 0);
	xxh64_update(&ctx, &ser->head, sizeof(ser->head));
	xxh64_update(&ctx, &ser->start, sizeof(ser->start));
	xxh64_update(&ctx, &ser->nr_pages, sizeof(ser->nr_pages));
	xxh64_update(&ctx, &ser->nr_segments, sizeof(ser->nr_segments));
	xxh64_update(&ctx, ser->segments, sizeof(ser->segments));
	walk_list(ser->head, digest_entry, &ctx);
	return xxh64_digest(&ctx);
}

/* --- the first kernel --- */

struct preserved {
	u64 n, max;
};

static int preserve_entry(kimage_entry_t entry, void *arg)
{
	struct preserved *p = arg;
	int ret;

	if (!has_page(entry))
		return 0;
	if (kho_scratch_overlap(entry & PAGE_MASK, PAGE_SIZE))
		return -EADDRNOTAVAIL;
	ret = kho_preserve_pages(phys_to_page(entry & PAGE_MASK), 1);
	if (!ret)
		p->n++;
	return ret;
}

static int unpreserve_entry(kimage_entry_t entry, void *arg)
{
	struct preserved *p = arg;

	if (!has_page(entry))
		return 0;
	if (p->n == p->max)
		return 1;
	kho_unpreserve_pages(phys_to_page(entry & PAGE_MASK), 1);
	p->n++;
	return 0;
}

static void unpreserve_image(const struct kimage *image, u64 n)
{
	walk_list(image->head, unpreserve_entry,
		  &(struct preserved){ .max = n });
}

static int preserve_image(const struct kimage *image, u64 *n)
{
	struct preserved p = {};
	int ret;

	ret = walk_list(image->head, preserve_entry, &p);
	if (ret)
		unpreserve_image(image, p.n);
	*n = p.n;
	return ret;
}

static void unpark(void)
{
	struct luo_back_ser *ser = parked.ser;

	if (!ser)
		return;
	parked.ser = NULL;
	kho_remove_subtree(ser);
	unpreserve_image(parked.image, ser->nr_pages);
	kho_unpreserve_free(phys_to_virt(ser->log_pa));
	kho_unpreserve_free(ser);
	kimage_free(parked.image);
	parked.image = NULL;
}

/* kexec_file_load(2) puts what it has loaded in a place, and frees what was there. */
static struct kimage *exchanged;

/**
 * luo_back_slot() - Which slot does kexec_file_load(2) load into?
 * @slot: That of ordinary images.
 * @flags: The call's.
 *
 * A back image that was loaded before is given up, as a crash image is.
 *
 * Context: kexec_file_load(2), under the lock of kexec.
 * Return: @slot, or one of which nothing comes back when it is exchanged.
 */
struct kimage **luo_back_slot(struct kimage **slot, unsigned long flags)
{
	if (!(flags & KEXEC_FILE_LIVEUPDATE_BACK))
		return slot;
	unpark();
	exchanged = NULL;
	return &exchanged;
}

/**
 * luo_back_park() - Hand over an image for the case that the next kernel fails
 * @image: An image that was loaded just now.
 * @flags: The call's.
 *
 * Context: kexec_file_load(2), under the lock of kexec; the last step that can fail.
 * Return: 0, also if it is no back image. -EINVAL if it is a crash image at the same
 * time, -EOPNOTSUPP without live update, -EADDRNOTAVAIL if a page of it is where the
 * next kernel will be, -ENOMEM.
 */
int luo_back_park(struct kimage *image, unsigned long flags)
{
	struct luo_back_ser *ser;
	void *log;
	u64 n;
	int ret, i;

	if (!(flags & KEXEC_FILE_LIVEUPDATE_BACK))
		return 0;
	if (flags & KEXEC_FILE_ON_CRASH)
		return -EINVAL;
	if (!kho_is_enabled() || !liveupdate_enabled())
		return -EOPNOTSUPP;

	ser = kho_alloc_preserve(PAGE_SIZE);
	if (IS_ERR(ser))
		return PTR_ERR(ser);
	log = kho_alloc_preserve(LUO_BACK_LOG_SIZE);
	if (IS_ERR(log)) {
		ret = PTR_ERR(log);
		goto err_ser;
	}
	ret = preserve_image(image, &n);
	if (ret == -EADDRNOTAVAIL)
		pr_err("a page of the image to go back to is where the next kernel will be: load it again\n");
	if (ret)
		goto err_log;

	ser->version = LUO_BACK_VERSION;
	ser->state = LUO_BACK_PARKED;
	ser->head = image->head;
	ser->start = image->start;
	ser->nr_pages = n;
	ser->nr_segments = image->nr_segments;
	for (i = 0; i < image->nr_segments; i++) {
		ser->segments[i].pa = image->segment[i].mem;
		ser->segments[i].size = image->segment[i].memsz;
	}
	ser->log_pa = virt_to_phys(log);
	ser->digest = digest_image(ser);
	ret = kho_add_subtree(LUO_BACK_KHO_NODE, ser, sizeof(*ser));
	if (ret)
		goto err_image;

	parked.ser = ser;
	parked.image = image;
	pr_info("a way back is loaded: %llu pages\n", n);
	return 0;

err_image:
	unpreserve_image(image, n);
err_log:
	kho_unpreserve_free(log);
err_ser:
	kho_unpreserve_free(ser);
	return ret;
}

/**
 * luo_back_formats() - Which formats does the back image read?
 * @formats: Set to what is kept of the image; see luo_formats.c.
 *
 * Context: Under the lock of kexec.
 * Return: false if there is no back image.
 */
bool luo_back_formats(unsigned long *formats)
{
	if (!parked.ser)
		return false;
	*formats = parked.image->kho.formats;
	return true;
}

/**
 * luo_back_parked() - Is a back image loaded?
 *
 * Context: Any. It stays as it is only under the lock of kexec, which reboot(2) has.
 * Return: true if there is one.
 */
bool luo_back_parked(void)
{
	return READ_ONCE(parked.ser);
}

/* --- the second kernel: hold --- */

/*
 * Before anything of it was checked: only what it says of itself decides whether pages
 * are held, and check_ser() follows before it is used for anything else.
 */
static bool __init find_ser(void)
{
	struct luo_back_ser *ser;
	phys_addr_t pa;
	size_t size;

	if (kho_retrieve_subtree(LUO_BACK_KHO_NODE, &pa, &size) ||
	    size < sizeof(*ser) || !PAGE_ALIGNED(pa) || !pfn_valid(PHYS_PFN(pa)))
		return false;
	ser = phys_to_virt(pa);
	if (ser->version != LUO_BACK_VERSION)
		return false;
	back.ser = ser;
	return true;
}

/**
 * luo_back_keep_node() - A node of the tree that says what was preserved
 * @node: Its physical address.
 * @data: Not used.
 *
 * The first one is the root. With a way back the third kernel needs them all.
 *
 * Context: When the preserved memory is reserved, before there is an allocator.
 * Return: 0.
 */
int __init luo_back_keep_node(phys_addr_t node, void *data)
{
	if (!back.root) {
		back.root = phys_to_virt(node);
		back.holds = find_ser() && back.ser->state == LUO_BACK_PARKED;
	}
	if (back.holds)
		memblock_reserve(node, PAGE_SIZE);
	return 0;
}

/* The key that KHO has for it: the order is where the topmost bit is. */
static unsigned long key_of(struct page *page, unsigned int order)
{
	return BIT(64 - PAGE_SHIFT - order) | page_to_pfn(page) >> order;
}

static struct page *page_of(unsigned long key, unsigned int *order)
{
	*order = 64 - PAGE_SHIFT - (fls64(key) - 1);
	return pfn_to_page((key & ~BIT(fls64(key) - 1)) << *order);
}

/* A folio has one reference for all of it; pages have one each. */
static unsigned long nr_refs(struct page *page, unsigned int order)
{
	return PageHead(page) ? 1 : BIT(order);
}

/**
 * luo_back_hold() - Something was restored: keep it from the allocator
 * @page: Its first page.
 * @order: Its order.
 *
 * Context: May sleep.
 */
void luo_back_hold(struct page *page, unsigned int order)
{
	unsigned long i;

	if (!READ_ONCE(back.holds))
		return;
	guard(mutex)(&back.lock);
	if (!back.holds)
		return;
	for (i = 0; i < nr_refs(page, order); i++)
		page_ref_inc(page + i);
	/* Without a note of it, it is never let go. */
	if (!back.held.root && kho_radix_init_tree(&back.held, NULL))
		return;
	kho_radix_add_key(&back.held, key_of(page, order));
}

static int let_go(unsigned long key, void *data)
{
	unsigned int order;
	struct page *page = page_of(key, &order);
	unsigned long i, n = nr_refs(page, order);

	for (i = 0; i < n; i++)
		put_page(page + i);
	cond_resched();
	return 0;
}

static int give_node(phys_addr_t node, void *data)
{
	struct page *page = phys_to_page(node);

	ClearPageReserved(page);
	set_page_count(page, 1);
	adjust_managed_page_count(page, 1);
	return 0;
}

/* Frees a page of the list when the next one is known. */
static int free_entry(kimage_entry_t entry, void *arg)
{
	struct page **last = arg, *page;

	if (!has_page(entry))
		return 0;
	page = kho_restore_pages(entry & PAGE_MASK, 1);
	if (!page)
		return -EINVAL;
	if (!(entry & IND_INDIRECTION)) {
		__free_page(page);
		return 0;
	}
	if (*last)
		__free_page(*last);
	*last = page;
	return 0;
}

static void free_parked(const struct luo_back_ser *ser)
{
	struct page *last = NULL;

	walk_list(ser->head, free_entry, &last);
	if (last)
		__free_page(last);
}

/* Nobody can go back any more: all that was kept for it is given up. */
static void release(void)
{
	static const struct kho_radix_walk_cb held_cb = { .leaf = let_go };
	static const struct kho_radix_walk_cb node_cb = { .node = give_node };
	struct kho_radix_tree nodes;

	scoped_guard(mutex, &back.lock) {
		if (!back.holds)
			return;
		WRITE_ONCE(back.holds, false);
	}
	if (back.held.root) {
		kho_radix_walk_tree(&back.held, &held_cb, NULL);
		kho_radix_destroy_tree(&back.held);
	}
	if (!kho_radix_init_tree(&nodes, back.root)) {
		kho_radix_walk_tree(&nodes, &node_cb, NULL);
		kho_radix_destroy_tree(&nodes);
	}
}

/* --- the second kernel: arm --- */

static struct kimage *__init make_image(const struct luo_back_ser *ser)
{
	struct kimage *image = do_kimage_alloc_init();
	u32 i;

	if (!image)
		return NULL;
	/* kimage_free() is not to find pages in it. */
	image->head = IND_DONE;
	image->start = ser->start;
	image->nr_segments = ser->nr_segments;
	for (i = 0; i < ser->nr_segments; i++) {
		image->segment[i].mem = ser->segments[i].pa;
		image->segment[i].memsz = ser->segments[i].size;
	}
	image->control_code_page =
		kimage_alloc_control_pages(image, get_order(KEXEC_CONTROL_PAGE_SIZE));
	if (!image->control_code_page)
		goto err;
	image->swap_page = kimage_alloc_control_pages(image, 0);
	if (!image->swap_page || machine_kexec_prepare(image))
		goto err;
	return image;

err:
	kimage_free_page_list(&image->control_pages);
	kfree(image);
	return NULL;
}

static unsigned int confirm_within;

/* The one that goes back, or that gives it up */
static bool take(void)
{
	return luo_back_armed() && !xchg(&back.taken, 1);
}

static void too_late(struct timer_list *timer)
{
	if (!take())
		return;
	WRITE_ONCE(back.late, 1);
	panic("the live update was not confirmed within %u s", confirm_within);
}

static DEFINE_TIMER(deadline, too_late);

static int __init luo_back_arm(void)
{
	struct kimage *image = NULL;
	const char *why;

	if (!back.ser)
		return 0;
	why = check_ser(back.ser);
	if (!why)
		back.log = phys_to_virt(back.ser->log_pa);
	if (!why && back.ser->state != LUO_BACK_PARKED) {
		back.came = true;
		back.ser->reason[LUO_BACK_REASON - 1] = 0;
		back.ser->release[LUO_BACK_RELEASE - 1] = 0;
		pr_warn("came back: %s has failed on CPU %u: %s\n",
			back.ser->release, back.ser->cpu, back.ser->reason);
		return 0;
	}
	if (!why) {
		image = make_image(back.ser);
		why = image ? NULL : "out of memory";
	}
	if (why) {
		pr_err("no way back: %s\n", why);
		release();
		back.ser = NULL;
		return 0;
	}
	WRITE_ONCE(back.armed, image);
	pr_info("the way back is armed: %llu pages\n", back.ser->nr_pages);
	if (confirm_within)
		mod_timer(&deadline, jiffies + confirm_within * HZ);
	return 0;
}
early_initcall(luo_back_arm);

/**
 * luo_back_armed() - Can this kernel go back?
 *
 * Return: true from early_initcall until it was confirmed, if a way back came along.
 */
bool luo_back_armed(void)
{
	return READ_ONCE(back.armed);
}
EXPORT_SYMBOL_GPL(luo_back_armed);

/**
 * luo_back_instead() - Something that was handed over is about to be refused
 * @why: The rule that it breaks.
 *
 * What is refused is stopped, for good. If this kernel can go back, it does that in place
 * of it: the third kernel may be able to take over what this one cannot, and if not, it
 * refuses it itself. Only while the kernel boots: later on it is somebody's wish.
 *
 * Context: Any. Returns if there is no way back.
 */
void luo_back_instead(const char *why)
{
	if (luo_back_armed() && system_state < SYSTEM_RUNNING)
		panic("what was handed over cannot be taken over: %s", why);
}

/**
 * luo_back_going() - Is this kernel on its way back?
 *
 * Return: true in the last steps of a panic that goes back: one CPU, interrupts off.
 */
bool luo_back_going(void)
{
	return back.going;
}

/*
 * Did what was loaded lie untouched? Asked here, where it is about to be used: at the boot the
 * VMs would wait for it, and afterwards is when a stray write can come. What its list
 * says was checked when this was armed, but the list can have changed since: so it is walked
 * once more before its pages are read.
 */
static bool is_untouched(const struct luo_back_ser *ser)
{
	struct check c = { .ser = ser, .left = ser->nr_pages };

	if (ser->nr_segments > LUO_BACK_SEGMENTS ||
	    walk_list(ser->head, check_entry, &c) || c.left)
		return false;
	return digest_image(ser) == ser->digest;
}

static void write_log(struct luo_back_ser *ser)
{
	struct kmsg_dump_iter iter;
	size_t len = 0;

	kmsg_dump_rewind(&iter);
	kmsg_dump_get_buffer(&iter, false, back.log, LUO_BACK_LOG_SIZE, &len);
	ser->log_len = len;
}

/**
 * luo_back_panic() - Go back, if that is possible
 * @reason: What the panic says.
 *
 * Context: panic(), on the one CPU that does it, interrupts off. Locks may be held by
 * anybody, this CPU included.
 */
void luo_back_panic(const char *reason)
{
	struct luo_back_ser *ser = back.ser;
	struct kimage *image = READ_ONCE(back.armed);

	/* On its way down it has given up already what it would go back with. */
	if (kexec_in_progress || system_state > SYSTEM_RUNNING)
		return;
	/* The deadline's, which has taken it already; once, should this panic itself. */
	if (!xchg(&back.late, 0) && !take())
		return;
	if (!is_untouched(ser)) {
		pr_emerg("no way back: the image has changed since it was loaded\n");
		return;
	}
	pr_emerg("going back to the kernel that was left for this\n");

	kexec_in_progress = true;
	back.going = true;
	smp_send_stop();
	x86_virt_emergency_disable_virtualization_cpu();
	ser->cpu = raw_smp_processor_id();
	strscpy(ser->release, init_uts_ns.name.release, sizeof(ser->release));
	strscpy(ser->reason, reason, sizeof(ser->reason));
	write_log(ser);

	pci_liveupdate_back();
	iommu_liveupdate_back();
#ifdef CONFIG_X86_IO_APIC
	/* machine_shutdown() takes it, and who had it does not run any more. */
	ioapic_zap_locks();
#endif
	machine_shutdown();

	image->head = ser->head;
	/* Last: what is not gone can be gone to once more. */
	ser->state = LUO_BACK_GONE;
	machine_kexec(image);
}

/* --- what user space sees --- */

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%s\n", luo_back_armed() ? "armed" :
			  back.came ? "came-back" :
			  back.confirmed ? "confirmed" : "none");
}

static ssize_t loaded_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%d\n", luo_back_parked());
}

static ssize_t confirm_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t len)
{
	struct kimage *image;
	bool yes;
	int ret;

	ret = kstrtobool(buf, &yes);
	if (ret)
		return ret;
	if (!yes)
		return -EINVAL;
	if (!take())
		return -ENOENT;
	timer_delete_sync(&deadline);
	image = back.armed;
	back.confirmed = true;
	WRITE_ONCE(back.armed, NULL);
	release();
	free_parked(back.ser);
	kho_restore_free(back.log);
	kho_restore_free(back.ser);
	kimage_free(image);
	pr_info("confirmed: there is no way back any more\n");
	return len;
}

static ssize_t reason_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	return back.came ? sysfs_emit(buf, "%s\n", back.ser->reason) : 0;
}

static ssize_t release_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return back.came ? sysfs_emit(buf, "%s\n", back.ser->release) : 0;
}

static struct kobj_attribute state_attr = __ATTR_RO(state);
static struct kobj_attribute loaded_attr = __ATTR_RO(loaded);
static struct kobj_attribute confirm_attr = __ATTR_WO(confirm);
static struct kobj_attribute reason_attr = __ATTR_RO(reason);
static struct kobj_attribute release_attr = __ATTR_RO(release);

static ssize_t log_read(struct file *file, struct kobject *kobj,
			const struct bin_attribute *attr, char *buf, loff_t at,
			size_t len)
{
	u64 size = back.came ? min(back.ser->log_len, LUO_BACK_LOG_SIZE) : 0;

	return memory_read_from_buffer(buf, len, &at,
				       back.came ? back.log :
						   NULL, size);
}

static const struct bin_attribute log_attr = {
	.attr = { .name = "log", .mode = 0400 },
	.read = log_read,
};

static struct attribute *back_attrs[] = {
	&state_attr.attr,
	&loaded_attr.attr,
	&confirm_attr.attr,
	&reason_attr.attr,
	&release_attr.attr,
	NULL,
};

static const struct bin_attribute *const back_bin_attrs[] = { &log_attr, NULL };

static const struct attribute_group back_group = {
	.attrs = back_attrs,
	.bin_attrs = back_bin_attrs,
};

static int __init luo_back_show(void)
{
	struct kobject *kobj;

	if (back.came)
		free_parked(back.ser);
	kobj = kobject_create_and_add("liveupdate_back", kernel_kobj);
	if (!kobj)
		return -ENOMEM;
	return sysfs_create_group(kobj, &back_group);
}
late_initcall(luo_back_show);

/* Not the name of this file, which is of no interest to the user */
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "liveupdate."
module_param(confirm_within, uint, 0444);
MODULE_PARM_DESC(confirm_within, "Seconds until a kernel that came by a live update, and that nobody confirms, goes back (0: no limit)");
