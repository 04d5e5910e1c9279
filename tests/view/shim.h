/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel as the view needs, to compile it outside of it. Each header that
 * it includes is this one (tests/view/check makes them).
 */
#ifndef SHIM_H
#define SHIM_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef uint32_t __le32;
typedef unsigned int gfp_t;

#define CONFIG_LIVEUPDATE	1
#define CONFIG_DEBUG_FS		1
#define CONFIG_PCI_LIVEUPDATE	1
#define CONFIG_IOMMU_LIVEUPDATE	1

#define __init
#define __user
#define __counted_by(n)
#define __printf(a, b)		__attribute__((format(printf, a, b)))
#define EXPORT_SYMBOL_GPL(f)	struct shim_##f
#define BIT(n)			(1u << (n))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define sizeof_field(t, m)	sizeof(((t *)0)->m)
#define static_assert		_Static_assert
#define READ_ONCE(x)		(x)
#define swap(a, b) \
	do { __typeof__(a) shim_was = (a); (a) = (b); (b) = shim_was; } while (0)
#define SZ_16K			16384
#define cond_resched()
#define IS_ERR(p)		((uintptr_t)(p) >= (uintptr_t)-4095)
#define PTR_ERR(p)		((long)(p))
#define ERR_PTR(e)		((void *)(long)(e))
#define strscpy(to, from)	((void)snprintf(to, sizeof(to), "%s", from))
#define strstarts(text, with)	(!strncmp(text, with, strlen(with)))

/* Memory: an allocation can fail. */
#define GFP_KERNEL_ACCOUNT	0u
void *shim_alloc(size_t size);
#define kvmalloc(size, gfp)	shim_alloc(((void)(gfp), size))
#define kzalloc_obj(obj, ...)	((__typeof__(obj) *)shim_zalloc(sizeof(obj)))
static inline void *shim_zalloc(size_t size)
{
	void *p = shim_alloc(size);

	return p ? memset(p, 0, size) : NULL;
}
#define kvfree			free
#define kfree			free
#define __free(f)		__attribute__((cleanup(shim_##f)))
static inline void shim_kvfree(void *p)
{
	void *at = *(void **)p;

	if (!IS_ERR(at))
		free(at);
}

/* Locks are held, or it is seen. */
struct mutex {
	int held;
};
#define DEFINE_MUTEX(m)		struct mutex m
#define mutex_init(m)		((m)->held = 0)
#define mutex_destroy(m)	((m)->held ? abort() : (void)0)
static inline struct mutex *shim_lock_mutex(struct mutex *m)
{
	if (m->held++)
		abort();
	return m;
}
static inline struct mutex *shim_lock_rcu(void)
{
	return NULL;
}
static inline void shim_unlock(struct mutex **m)
{
	if (*m)
		(*m)->held--;
}
#define guard(kind)	__attribute__((cleanup(shim_unlock))) struct mutex *shim_guard = shim_lock_##kind
#define ACQUIRE(kind, name) \
	__attribute__((cleanup(shim_unlock))) struct mutex *name = shim_lock_mutex
#define ACQUIRE_ERR(kind, name)	((void)(name), 0)

struct list_head {
	struct list_head *next, *prev;
};
#define LIST_HEAD(l)		struct list_head l = { &(l), &(l) }
#define container_of(p, t, m)	((t *)((char *)(p) - offsetof(t, m)))
#define list_for_each_entry(p, l, m) \
	for (p = container_of((l)->next, __typeof__(*p), m); &p->m != (l); \
	     p = container_of(p->m.next, __typeof__(*p), m))
static inline void list_add_tail(struct list_head *entry, struct list_head *list)
{
	entry->prev = list->prev;
	entry->next = list;
	list->prev->next = entry;
	list->prev = entry;
}

struct seq_buf {
	char *buffer;
	size_t size, len;
};
void seq_buf_init(struct seq_buf *s, char *buf, unsigned int size);
void seq_buf_clear(struct seq_buf *s);
bool seq_buf_has_overflowed(struct seq_buf *s);
int seq_buf_printf(struct seq_buf *s, const char *fmt, ...) __printf(2, 3);
int seq_buf_puts(struct seq_buf *s, const char *text);
int seq_buf_putc(struct seq_buf *s, unsigned char c);
size_t seq_buf_get_buf(struct seq_buf *s, char **to);
void seq_buf_commit(struct seq_buf *s, int n);

#define ESCAPE_OCTAL	1
#define ESCAPE_NAP	2
#define ESCAPE_APPEND	4
int string_escape_str(const char *from, char *to, size_t room, unsigned int flags,
		      const char *only);

/* PCI, processes */
#define PCI_BUS_NUM(bdf)	((bdf) >> 8 & 0xff)
#define PCI_SLOT(bdf)		((bdf) >> 3 & 0x1f)
#define PCI_FUNC(bdf)		((bdf) & 7)
#define PCI_COMMAND		4
#define PCI_COMMAND_MASTER	4
#define PCI_POSSIBLE_ERROR(v)	((v) == 0xffff)
struct pci_dev;
struct pci_dev *pci_get_domain_bus_and_slot(int segment, unsigned int bus, unsigned int devfn);
void pci_read_config_word(struct pci_dev *pdev, int at, u16 *value);
void pci_dev_put(struct pci_dev *pdev);
#define TASK_COMM_LEN		16
struct task_struct {
	struct task_struct *group_leader;
	u64 start_boottime;
	int exit_state;
	pid_t pid;
};
extern struct task_struct *current;
extern int init_pid_ns;
#define task_pid_nr(t)		((t)->pid)
#define get_task_comm(to, t)	strscpy(to, (t)->pid == 1 ? "init" : "a \"b\"\n")
struct task_struct *find_task_by_pid_ns(pid_t pid, int *ns);

/* A device */
struct inode;
struct file {
	void *private_data;
	bool rawio;
};
struct file_operations {
	void *owner;
	int (*open)(struct inode *inode, struct file *file);
	ssize_t (*read)(struct file *file, char *to, size_t n, loff_t *at);
	loff_t (*llseek)(struct file *file, loff_t at, int whence);
	int (*release)(struct inode *inode, struct file *file);
};
loff_t no_seek_end_llseek(struct file *file, loff_t at, int whence);
ssize_t simple_read_from_buffer(void *to, size_t n, loff_t *at, const void *from, size_t size);
extern int init_user_ns;
#define CAP_SYS_RAWIO		17
#define file_ns_capable(file, ns, cap)	((void)(ns), (file)->rawio)
#define THIS_MODULE		NULL
#define MISC_DYNAMIC_MINOR	255
struct device;
struct attribute {
	const char *name;
};
struct device_attribute {
	struct attribute attr;
	ssize_t (*show)(struct device *dev, struct device_attribute *attr, char *buf);
};
struct attribute_group {
	struct attribute **attrs;
};
#define DEVICE_ATTR_RO(n) \
	struct device_attribute dev_attr_##n = { { #n }, n##_show }
#define ATTRIBUTE_GROUPS(n) \
	static const struct attribute_group n##_group = { n##_attrs }; \
	static const struct attribute_group *n##_groups[] = { &n##_group, NULL }
#define sysfs_emit(buf, ...)	sprintf(buf, __VA_ARGS__)
struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
	const struct attribute_group **groups;
	unsigned int mode;
};
int misc_register(struct miscdevice *device);
#define late_initcall(f)	int shim_initcall(void) { return f(); }
int shim_initcall(void);

#endif
