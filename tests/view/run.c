// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's part of the view, outside of the kernel: texts for the strict reader
 * ("run text"), and what must hold when things change, fail or do not fit ("run").
 * What LUO, PCI and the IOMMU code would say is said here, of a state that can change at
 * each call into one of them.
 */
#include "shim.h"
#include <linux/liveupdate_formats.h>
#include <linux/liveupdate_show.h>

/* --- the kernel --- */

static long allocs_left = -1;		/* until one fails; -1: none does */
static long calls, change_at = -1;	/* of a part; the state changes at that one */
static bool always_changes;
static int sessions;			/* each with a file, and its device */
static int signal_at = -1;		/* the look at which a signal comes */
static const char *odd = "a \"b\" \\c\n\303\274=\377";

struct task_struct *current;
int init_pid_ns, init_user_ns;
static struct task_struct init = { .pid = 1, .start_boottime = 5 };
static struct task_struct other = { .pid = 70, .start_boottime = 6 };

struct task_struct *find_task_by_pid_ns(pid_t pid, int *ns)
{
	(void)ns;
	return pid == init.pid ? &init : NULL;
}

void *shim_alloc(size_t size)
{
	if (allocs_left >= 0 && !allocs_left--)
		return NULL;
	return malloc(size);
}

void seq_buf_clear(struct seq_buf *s)
{
	s->len = 0;
}

void seq_buf_init(struct seq_buf *s, char *buf, unsigned int size)
{
	s->buffer = buf;
	s->size = size;
	s->len = 0;
}

bool seq_buf_has_overflowed(struct seq_buf *s)
{
	return s->len > s->size;
}

/* As the kernel's: what does not fit with a NUL behind it has overflowed. */
int seq_buf_printf(struct seq_buf *s, const char *fmt, ...)
{
	va_list args;
	int n;

	if (s->len >= s->size) {
		s->len = s->size + 1;
		return -1;
	}
	va_start(args, fmt);
	n = vsnprintf(s->buffer + s->len, s->size - s->len, fmt, args);
	va_end(args);
	s->len = s->len + n < s->size ? s->len + n : s->size + 1;
	return 0;
}

int seq_buf_puts(struct seq_buf *s, const char *text)
{
	return seq_buf_printf(s, "%s", text);
}

int seq_buf_putc(struct seq_buf *s, unsigned char c)
{
	return seq_buf_printf(s, "%c", c);
}

size_t seq_buf_get_buf(struct seq_buf *s, char **to)
{
	*to = s->len < s->size ? s->buffer + s->len : NULL;
	return *to ? s->size - s->len : 0;
}

void seq_buf_commit(struct seq_buf *s, int n)
{
	/* A BUG_ON() there */
	if (n >= 0 && s->len + n > s->size) {
		fputs("FAIL more was committed than there is room for\n", stderr);
		exit(1);
	}
	s->len = n < 0 ? s->size + 1 : s->len + n;
}

int string_escape_str(const char *from, char *to, size_t room, unsigned int flags,
		      const char *only)
{
	size_t n = 0;

	if (flags != (ESCAPE_OCTAL | ESCAPE_NAP | ESCAPE_APPEND))
		abort();
	for (; *from; from++) {
		unsigned char c = *from;
		bool escaped = c < 0x20 || c >= 0x7f || strchr(only, c);
		char as[] = { escaped ? '\\' : c, '0' + (c >> 6), '0' + (c >> 3 & 7), '0' + (c & 7) };
		int len = escaped ? 4 : 1;

		for (int i = 0; i < len; i++, n++)
			if (n < room)
				to[n] = as[i];
	}
	return n;
}

struct pci_dev {
	u16 command;
};

static struct pci_dev standing = { .command = 0x2 };

struct pci_dev *pci_get_domain_bus_and_slot(int segment, unsigned int bus, unsigned int devfn)
{
	(void)segment;
	(void)bus;
	return devfn == 0x20 ? &standing : NULL;
}

void pci_read_config_word(struct pci_dev *pdev, int at, u16 *value)
{
	(void)at;
	*value = pdev->command;
}

void pci_dev_put(struct pci_dev *pdev)
{
	(void)pdev;
}

loff_t no_seek_end_llseek(struct file *file, loff_t at, int whence)
{
	(void)file;
	return whence ? -EINVAL : at;
}

ssize_t simple_read_from_buffer(void *to, size_t n, loff_t *at, const void *from, size_t size)
{
	if (*at < 0)
		return -EINVAL;
	if ((size_t)*at >= size)
		return 0;
	if (n > size - *at)
		n = size - *at;
	memcpy(to, (const char *)from + *at, n);
	*at += n;
	return n;
}

static struct miscdevice *device;

int misc_register(struct miscdevice *d)
{
	device = d;
	return 0;
}

/* --- its parts --- */

static void call(void)
{
	if (calls++ == change_at || always_changes)
		sessions = !sessions;
}

void luo_formats_show(struct liveupdate_view *v)
{
	call();
	liveupdate_show_record(v, "image");
	liveupdate_show_word(v, "state", "has-list");
}

int luo_session_show(struct liveupdate_view *v)
{
	struct liveupdate_task task;

	call();
	if (signal_at >= 0 && !signal_at--)
		return -EINTR;
	for (int i = 0; i < sessions; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s%d", odd, i);
		current = i ? &other : &init;
		current->group_leader = current;
		liveupdate_note_task(&task);
		liveupdate_show_record(v, "session");
		liveupdate_show_text(v, "name", name);
		liveupdate_show_word(v, "state", v->incoming ? "retrieved" : "outgoing");
		liveupdate_show_num(v, "files", 1);
		liveupdate_show_task(v, &task);
		if (v->incoming)
			liveupdate_show_wait(v, LIVEUPDATE_WAIT_FINISH);
		liveupdate_show_record(v, "file");
		liveupdate_show_text(v, "session", name);
		liveupdate_show_hex(v, "token", i);
		liveupdate_show_text(v, "compatible", "vfio-pci-v1");
		liveupdate_show_word(v, "state", v->incoming ? "retrieved" : "preserved");
		liveupdate_show_refs(v, "open", calls);
		liveupdate_show_bdf(v, "device", 0, i);
	}
	return 0;
}

struct liveupdate_pci_list *pci_liveupdate_list(bool incoming)
{
	struct liveupdate_pci_list *list;

	call();
	list = shim_zalloc(sizeof(*list) + sizeof(list->dev[0]) * (sessions + 1));
	if (!list)
		return ERR_PTR(-ENOMEM);
	list->nr = sessions + 1;
	list->dev[sessions] = (struct liveupdate_pci_state){
		.bdf = 0xff00, .bridge = true, .present = true, .master = true, .users = sessions,
		.secondary = 1, .subordinate = 2,
	};
	for (int i = 0; i < sessions; i++)
		list->dev[i] = (struct liveupdate_pci_state){ .bdf = i, .present = true, .shown = true };
	(void)incoming;
	return list;
}

void iommu_liveupdate_show(struct liveupdate_view *v, struct liveupdate_pci_list *pci)
{
	call();
	liveupdate_show_record(v, "iommu");
	liveupdate_show_num(v, "index", 0);
	liveupdate_show_pa(v, "registers", 0xfed90000);
	liveupdate_show_pa(v, "root", 0x1000);
	liveupdate_show_word(v, "state", v->incoming ? "adopted" : "preserved");
	liveupdate_show_record(v, "domain");
	liveupdate_show_num(v, "index", 0);
	liveupdate_show_pa(v, "top", 0x2000);
	liveupdate_show_refs(v, "refs", calls);
	liveupdate_show_num(v, "devices", pci->nr - 1);
	liveupdate_show_word(v, "state", v->incoming ? "restored" : "preserved");
	for (u32 i = 0; i < pci->nr - 1; i++) {
		liveupdate_show_record(v, "device");
		liveupdate_show_bdf(v, "bdf", 0, i);
		liveupdate_show_word(v, "state", v->incoming ? "attached" : "preserved");
		liveupdate_show_num(v, "domain", 0);
		liveupdate_show_num(v, "iommu-index", 0);
		liveupdate_show_pa(v, "iommu", 0xfed90000);
	}
}

void liveupdate_show_refusals(struct liveupdate_view *v)
{
	(void)v;
}

/* --- what must hold --- */

static int failed, checks;

static void expect(bool ok, const char *what, long got)
{
	checks++;
	if (ok)
		return;
	failed++;
	fprintf(stderr, "FAIL %s (%ld)\n", what, got);
}

#define ROOM	(4 << 20)

/* All of it, in pieces of that size; -errno if a read fails. */
static ssize_t read_pieces(struct file *f, char *to, size_t piece)
{
	loff_t at = 0;
	ssize_t n;

	while ((n = device->fops->read(f, to + at, piece, &at)) > 0)
		;
	if (n < 0)
		return n;
	to[at] = 0;
	return at;
}

static void open_view(struct file *f, bool rawio)
{
	*f = (struct file){ .rawio = rawio };
	if (device->fops->open(NULL, f))
		abort();
}

static void close_view(struct file *f)
{
	device->fops->release(NULL, f);
}

static ssize_t once(char *to, bool rawio)
{
	struct file f;
	ssize_t n;

	calls = 0;
	open_view(&f, rawio);
	n = read_pieces(&f, to, 4096);
	close_view(&f);
	return n;
}

/* Lines that begin so. */
static int count(const char *text, const char *what)
{
	size_t len = strlen(what);
	int n = 0;

	for (; *text; text++)
		n += text[0] == '\n' && !strncmp(text + 1, what, len);
	return n;
}

static const char whole[] = "format=1\nview state=whole\n", changing[] = "format=1\nview state=changing\n";

/* Both looks that it takes, and how many calls one is. */
static long quiet(char *text)
{
	sessions = 1;
	change_at = -1;
	expect(once(text, true) > 0 && strstr(text, whole) == text, "a view of what stands still", calls);
	expect(!strstr(text, " open=") && !strstr(text, " refs="), "counts are shown", 0);
	expect(calls % 2 == 0, "it was not looked twice", calls);
	return calls / 2;
}

static void changes(char *text)
{
	long each = quiet(text);

	for (int first = 0; first < 2; first++) {
		for (change_at = 0; change_at < 4 * each; change_at++) {
			sessions = first;
			once(text, true);
			expect(strstr(text, whole) == text, "one change, and it is not whole", change_at);
			expect(count(text, "file ") == count(text, "device "), "files and devices of two moments", change_at);
			/* A change after the last question was not seen. */
			expect(count(text, "file ") == 2 * (change_at < calls - 1 ? !first : first),
			       "not what is the case", change_at);
		}
	}
	change_at = -1;
	always_changes = true;
	once(text, true);
	expect(strstr(text, changing) == text && calls == 17 * each, "it changes all the time", calls);
	always_changes = false;
}

static void pieces(char *text)
{
	char *other = malloc(ROOM);
	struct file f;
	loff_t at = 0;
	ssize_t n;

	sessions = 150;
	n = once(text, true);
	expect(n > 1 << 15 && count(text, "device ") == 300 && text[n - 1] == '\n', "a large view", n);
	/* What happens after the first piece is not in the others, but in the next look. */
	open_view(&f, true);
	expect(device->fops->read(&f, other, 100, &at) == 100, "the first piece", at);
	sessions = 0;
	expect(device->fops->read(&f, other + 100, ROOM - 101, &at) == n - 100 && !memcmp(text, other, n), "the others", at);
	expect(device->fops->read(&f, other, ROOM, &at) == 0, "its end", at);
	at = 0;
	n = device->fops->read(&f, other, ROOM - 1, &at);
	expect(n > 0 && n < 1000, "another look", n);
	close_view(&f);
	if (failed)
		goto out;
	/* Not from the beginning, and nothing was seen yet */
	open_view(&f, true);
	at = 10;
	expect(device->fops->read(&f, text, ROOM - 1, &at) == n - 10 && !memcmp(text, other + 10, n - 10), "from the middle", at);
	expect(device->fops->llseek(&f, 0, 2) < 0 && device->fops->llseek(&f, 0, 0) == 0, "seek", 0);
	close_view(&f);
	sessions = 150;
	n = once(text, true);
	for (size_t piece = 1; piece < ROOM; piece = piece * 5 + 1) {
		open_view(&f, true);
		expect(read_pieces(&f, other, piece) == n && !strcmp(text, other), "in pieces", piece);
		close_view(&f);
	}
out:
	free(other);
}

static void failures(char *text)
{
	struct file f = {};
	ssize_t n;
	int i;

	allocs_left = 0;
	expect(device->fops->open(NULL, &f) == -ENOMEM, "open without memory", 0);
	for (i = 0; i < 1000; i++) {
		sessions = 60;
		allocs_left = -1;
		open_view(&f, true);
		allocs_left = i;
		n = read_pieces(&f, text, 4096);
		expect(n > 0 || n == -ENOMEM, "read without memory", n);
		if (n > 0)
			break;
		allocs_left = -1;
		expect(read_pieces(&f, text, 4096) > 0 && strstr(text, whole) == text, "read with memory again", i);
		close_view(&f);
	}
	close_view(&f);
	expect(i > 8 && i < 1000, "allocations that fail", i);
	allocs_left = -1;
	sessions = 1;
	for (i = 0; i < 4; i++) {
		open_view(&f, true);
		signal_at = i;
		expect(read_pieces(&f, text, 4096) == -EINTR, "read with a signal", i);
		expect(read_pieces(&f, text, 4096) > 0 && strstr(text, whole) == text, "read after a signal", i);
		close_view(&f);
	}
	signal_at = -1;
}

static void refuse(void)
{
	liveupdate_refused_pci(0, 0x0020, "device", "iommu", "it says \"no\"");
	liveupdate_refused_pci(0, 0x0020, "device", "pci", "what follows is not another reason");
	liveupdate_refused_reset(0, 0x0020, true, -ENOTTY);
	liveupdate_refused_pci(0, 0x0028, "device", "iommu", "gone");
	liveupdate_refused_reset(0, 0x0028, false, 0);
	liveupdate_refused("iommu", "iommu", "a unit", "index=%u", 7);
	liveupdate_refused("domain", "iommu", "a domain of its number", "index=%u", 7);
	liveupdate_refused("iommu", "intel", "by its address", "registers=%#x", 0xfed91000);
	liveupdate_refused("bus", "intel", "other entries", "bus=%#x", 5);
	liveupdate_refused("list", "iommufd", "its size", "name=iommufd-v2");
}

int main(int argc, char **argv)
{
	char *text = malloc(ROOM), format[8];

	if (!text || shim_initcall() || !device)
		return 1;
	if (argc == 3 && !strcmp(argv[1], "text")) {
		refuse();
		sessions = 2;
		once(text, !strcmp(argv[2], "rawio"));
		fputs(text, stdout);
		free(text);
		return 0;
	}
	expect(device->mode == 0440 && !strcmp(device->name, "liveupdate-view"), "the node", device->mode);
	((struct device_attribute *)device->groups[0]->attrs[0])->show(NULL, NULL, format);
	expect(!strcmp(format, "1\n"), "the format in sysfs", 0);
	changes(text);
	pieces(text);
	failures(text);
	free(text);
	if (!failed)
		printf("%d checks\n", checks);
	return !!failed;
}
