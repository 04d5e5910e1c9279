// SPDX-License-Identifier: GPL-2.0-only
/* Files of guestmemfs: made by one kernel, looked for by the next */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

#include "core/array.h"
#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "devices/dma_memory.h"
#include "devices/igb.h"
#include "interfaces/guestmem.h"
#include "interfaces/iommufd.h"
#include "interfaces/kexec.h"
#include "interfaces/luo.h"
#include "interfaces/memory.h"
#include "scenarios/bad_memory.h"
#include "scenarios/guest_files.h"
#include "scenarios/uncooperative/requests.h"

#define UNIT		(2ul << 20)
#define LIMIT		"trusted.guestmemfs.limit"

static const struct wanted {
	const char *path;
	unsigned long size;
	unsigned int mode, uid, gid;
} wanted[] = {
	/* Leaves of 2 MiB, and one end within a page. */
	{ GUESTMEM_DIR "/tenant/ram", 100 * UNIT + 12345, S_IFREG | 0640, 1000, 100 },
	{ GUESTMEM_DIR "/tenant", 0, S_IFDIR | 02750, 1000, 100 },
	{ GUESTMEM_DIR "/renamed to this", 3 * UNIT, S_IFREG | 0600, 0, 0 },
	{ GUESTMEM_DIR "/empty", 0, S_IFREG | 0444, 7, 8 },
};

/* Things that have to be so and are not. */
static unsigned int bad;

static void expect(bool ok, const char *what, const char *path)
{
	if (ok)
		return;
	fprintf(stderr, "rig: guestmemfs: %s: %s (errno %d)\n", path, what, errno);
	bad++;
}

static uint64_t word_of(const struct wanted *w, unsigned long i)
{
	return (w - wanted + 1) * 0x9e3779b97f4a7c15ull ^ i * 0xff51afd7ed558ccdull;
}

static unsigned long words(const struct wanted *w)
{
	return w->size / sizeof(uint64_t);
}

static long page_tables_kb(void)
{
	static char text[4096];

	read_file("/proc/self/status", text, sizeof(text));
	return number_of(text, "VmPTE");
}

static uint64_t *map(int fd, unsigned long size)
{
	uint64_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		die("map %lu bytes of guestmemfs: %s", size, strerror(errno));
	return p;
}

static void fill(const struct wanted *w, int fd)
{
	long before = page_tables_kb();
	uint64_t *p = map(fd, w->size);
	bool zero = true;

	for (unsigned long i = 0; i < words(w); i++) {
		zero &= !p[i];
		p[i] = word_of(w, i);
	}
	expect(zero, "new memory is not zero", w->path);
	/* In leaves of 2 MiB it takes a page or two. */
	expect(page_tables_kb() - before < 64, "not mapped in leaves of 2 MiB", w->path);
	munmap(p, w->size);
}

static void make(const struct wanted *w)
{
	int fd = guestmem_make(w->path, w->size);

	if (w->size)
		fill(w, fd);
	if (fchown(fd, w->uid, w->gid) || fchmod(fd, w->mode & 07777))
		die("give %s away: %s", w->path, strerror(errno));
	close(fd);
}

static unsigned long long emit_space(const char *event)
{
	struct statfs fs;

	if (statfs(GUESTMEM_DIR, &fs))
		die("statfs " GUESTMEM_DIR ": %s", strerror(errno));
	emit(event, ",\"bad\":%u,\"units\":%llu,\"free\":%llu,\"inodes\":%llu,\"inodes_free\":%llu",
	     bad, (unsigned long long)fs.f_blocks, (unsigned long long)fs.f_bfree,
	     (unsigned long long)fs.f_files, (unsigned long long)fs.f_ffree);
	return fs.f_bfree;
}

/* What else may be allocated meanwhile: tables of processes, and what is kept for each CPU. */
#define ASIDE_KB	8192

/* The host neither gives memory for it nor keeps a copy. */
static void make_large(const struct wanted *w)
{
	static char before[8192], after[8192];

	read_file("/proc/meminfo", before, sizeof(before));
	make(w);
	read_file("/proc/meminfo", after, sizeof(after));
	expect(number_of(before, "MemFree") - number_of(after, "MemFree") < ASIDE_KB,
	       "its memory is the host's", w->path);
	expect(number_of(after, "Cached") - number_of(before, "Cached") < ASIDE_KB,
	       "is in the page cache, too", w->path);
	emit("aside", ",\"kb\":%lu,\"free_kb\":%ld,\"cached_kb\":%ld", w->size >> 10,
	     number_of(before, "MemFree") - number_of(after, "MemFree"),
	     number_of(after, "Cached") - number_of(before, "Cached"));
}

static void begin(void)
{
	int fd;

	if (mkdir(GUESTMEM_DIR "/tenant", 0700))
		die("mkdir: %s", strerror(errno));
	make_large(&wanted[0]);
	if (chown(wanted[1].path, wanted[1].uid, wanted[1].gid) ||
	    chmod(wanted[1].path, wanted[1].mode & 07777) ||
	    setxattr(wanted[1].path, LIMIT, "256M", 4, 0))
		die("give a directory away: %s", strerror(errno));
	make(&wanted[2]);
	make(&wanted[3]);
	if (rename(wanted[2].path, GUESTMEM_DIR "/tenant/x") ||
	    rename(GUESTMEM_DIR "/tenant/x", wanted[2].path))
		die("rename: %s", strerror(errno));
	/* One that is gone, and one that is gone but open. */
	fd = open(GUESTMEM_DIR "/gone", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	expect(fd >= 0 && write(fd, "text", 4) == 4 && !unlink(GUESTMEM_DIR "/gone"), "cannot be removed", "gone");
	close(fd);
	fd = open(GUESTMEM_DIR "/open", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	expect(fd >= 0 && !ftruncate(fd, UNIT) && !unlink(GUESTMEM_DIR "/open"), "cannot be removed", "open");
	/* It stays open until the jump. */
	emit_space("files");
}

static void check_data(const struct wanted *w)
{
	static uint64_t buf[UNIT / sizeof(uint64_t)];
	int fd = open(w->path, O_RDWR | O_CLOEXEC);
	unsigned long i, wrong = 0;
	uint64_t *p;

	if (fd < 0) {
		expect(false, "cannot be opened", w->path);
		return;
	}
	p = map(fd, w->size);
	for (i = 0; i < words(w); i++)
		wrong += p[i] != word_of(w, i);
	expect(!wrong, "words differ as it is mapped", w->path);
	munmap(p, w->size);
	expect(pread(fd, buf, UNIT, UNIT) == UNIT, "cannot be read", w->path);
	wrong = 0;
	for (i = 0; i < ARRAY_SIZE(buf); i++)
		wrong += buf[i] != word_of(w, ARRAY_SIZE(buf) + i);
	expect(!wrong, "words differ as it is read", w->path);
	close(fd);
}

static void check(void)
{
	unsigned int entries = 0;
	char limit[32] = "";
	struct dirent *e;
	struct stat st;
	DIR *dir;

	for (unsigned int i = 0; i < ARRAY_SIZE(wanted); i++) {
		const struct wanted *w = &wanted[i];

		if (stat(w->path, &st)) {
			expect(false, "is not there", w->path);
			continue;
		}
		expect(st.st_mode == w->mode, "has another mode", w->path);
		expect(st.st_uid == w->uid && st.st_gid == w->gid, "has another owner", w->path);
		expect(S_ISDIR(w->mode) || (unsigned long)st.st_size == w->size, "has another size", w->path);
		expect((unsigned long)st.st_blocks * 512 == (w->size + UNIT - 1) / UNIT * UNIT, "takes another room", w->path);
		if (w->size)
			check_data(w);
	}
	getxattr(wanted[1].path, LIMIT, limit, sizeof(limit) - 1);
	expect(!strcmp(limit, "268435456"), "has another limit", wanted[1].path);
	dir = opendir(GUESTMEM_DIR);
	while (dir && (e = readdir(dir)))
		entries += e->d_name[0] != '.';
	expect(entries == 3, "has other entries", GUESTMEM_DIR);
	if (dir)
		closedir(dir);
	emit_space("files");
}

/* Two GiB, as two leaves: in leaves of 2 MiB there would be a table for each GiB. */
static void leaf(void)
{
	int fd = guestmem_make(GUESTMEM_DIR "/leaf", 2ul << 30);
	long before = page_tables_kb();
	uint64_t *p = map(fd, 2ul << 30);

	for (unsigned long at = 0; at < 2ul << 30; at += 512ul << 20)
		p[at / sizeof(*p)] = at;
	expect(page_tables_kb() - before <= 4, "not mapped in leaves of 1 GiB", "leaf");
	emit_space("files");
}

/* What fails has to fail with this. */
static void fails(int ret, int err, const char *what)
{
	if (ret >= 0 || errno != err) {
		fprintf(stderr, "rig: guestmemfs: %s: returned %d, errno %d; expected errno %d\n",
			what, ret, ret < 0 ? errno : 0, err);
		bad++;
	}
}

static int make_of(const char *path, unsigned long size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, size)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

/* Are all these bytes of a file zero? */
static bool is_zero(int fd, unsigned long from, unsigned long to)
{
	static char buf[1 << 16];

	while (from < to) {
		ssize_t n = pread(fd, buf, to - from < sizeof(buf) ? to - from : sizeof(buf), from);

		if (n <= 0)
			return false;
		for (ssize_t i = 0; i < n; i++)
			if (buf[i])
				return false;
		from += n;
	}
	return true;
}

/* What is given to another owner is zero, and what comes back behind an end, too. */
static void zeros(void)
{
	int fd = make_of(GUESTMEM_DIR "/zero", 4 * UNIT);
	char *p;

	expect(fd >= 0, "cannot be made", "zero");
	p = mmap(NULL, 4 * UNIT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memset(p, 0x5a, 4 * UNIT);
	expect(!ftruncate(fd, UNIT + 100), "cannot be cut", "zero");
	/* A process can write behind the end, within the page, also if that end was another one. */
	memset(p + UNIT + 100, 0x5a, 200);
	expect(!ftruncate(fd, UNIT + 5000), "cannot grow", "zero");
	memset(p + UNIT + 5000, 0x5a, 1000);
	expect(!ftruncate(fd, UNIT + 100), "cannot be cut", "zero");
	expect(!ftruncate(fd, 4 * UNIT), "cannot grow", "zero");
	expect(is_zero(fd, UNIT + 100, 4 * UNIT), "is not zero behind its old end", "zero");
	expect(p[0] == 0x5a && p[UNIT + 99] == 0x5a, "has lost what was before the end", "zero");
	memset(p, 0x5a, 4 * UNIT);
	munmap(p, 4 * UNIT);
	close(fd);
	expect(!unlink(GUESTMEM_DIR "/zero"), "cannot be removed", "zero");
	fd = make_of(GUESTMEM_DIR "/other", 4 * UNIT);
	expect(is_zero(fd, 0, 4 * UNIT), "of another owner is not zero", "other");
	close(fd);
	unlink(GUESTMEM_DIR "/other");
}

static void limits(unsigned long long free)
{
	int fd;

	fails(make_of(GUESTMEM_DIR "/large", (free + 1) * UNIT), ENOSPC, "more than there is");
	fails(make_of(GUESTMEM_DIR "/large", 1ul << 62), EFBIG, "more than there can be");
	expect(!unlink(GUESTMEM_DIR "/large"), "cannot be removed", "large");
	mkdir(GUESTMEM_DIR "/small", 0700);
	fails(setxattr(GUESTMEM_DIR "/small", LIMIT, "many", 4, 0), EINVAL, "a limit that is no number");
	expect(!setxattr(GUESTMEM_DIR "/small", LIMIT, "4M", 2, 0), "cannot have a limit", "small");
	fd = make_of(GUESTMEM_DIR "/small/a", UNIT);
	expect(fd >= 0, "cannot be made within the limit", "small/a");
	fails(ftruncate(fd, 3 * UNIT), EDQUOT, "more than the limit");
	expect(!ftruncate(fd, 2 * UNIT), "cannot be made as large as the limit", "small/a");
	close(fd);
	close(make_of(GUESTMEM_DIR "/b", UNIT));
	fails(rename(GUESTMEM_DIR "/b", GUESTMEM_DIR "/small/b"), EDQUOT, "a rename into what is full");
	fails(rmdir(GUESTMEM_DIR "/small"), ENOTEMPTY, "rmdir of a directory with a file");
	/* What was removed while it is open counts, also from a folder that is gone, until it is closed. */
	mkdir(GUESTMEM_DIR "/small/sub", 0700);
	expect(!unlink(GUESTMEM_DIR "/small/a"), "cannot be removed", "small/a");
	fd = make_of(GUESTMEM_DIR "/small/sub/open", 2 * UNIT);
	expect(fd >= 0 && !unlink(GUESTMEM_DIR "/small/sub/open") && !rmdir(GUESTMEM_DIR "/small/sub"), "cannot be removed", "small/sub");
	fails(make_of(GUESTMEM_DIR "/small/a", UNIT), EDQUOT, "more than the limit, beside what was removed and is open");
	fails(ftruncate(fd, 3 * UNIT), EDQUOT, "more than the limit, of what was removed");
	close(fd);
	close(make_of(GUESTMEM_DIR "/small/a", UNIT));
	/* The file that is replaced makes no room: it may be open. */
	expect(!unlink(GUESTMEM_DIR "/small/a") && !rename(GUESTMEM_DIR "/b", GUESTMEM_DIR "/small/b") &&
	       !unlink(GUESTMEM_DIR "/small/b") && !rmdir(GUESTMEM_DIR "/small"), "cannot be emptied", "small");
}

static void requests(void)
{
	int fd = make_of(GUESTMEM_DIR "/r", UNIT), ro, mem;
	volatile char *p;
	char c;

	fails((long)mmap(NULL, UNIT, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == -1 ? -1 : 0, EINVAL, "a private mapping");
	fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, UNIT), EOPNOTSUPP, "a hole");
	expect(!fallocate(fd, 0, 0, 2 * UNIT), "cannot grow by fallocate", "r");
	fails(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 3 * UNIT), EOPNOTSUPP, "memory behind the end");
	ro = open(GUESTMEM_DIR "/r", O_RDONLY | O_CLOEXEC);
	fails((long)mmap(NULL, UNIT, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0) == -1 ? -1 : 0, EACCES, "writing to what is open for reading");
	p = mmap(NULL, UNIT, PROT_READ, MAP_SHARED, ro, 0);
	expect(p != MAP_FAILED && !*p, "cannot be mapped for reading", "r");
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	expect(pread(mem, &c, 1, (long)p) == 1, "cannot be read by a debugger", "r");
	expect(pwrite(mem, "x", 1, (long)p) != 1 && !*p, "is written to by way of a mapping for reading", "r");
	close(mem);
	munmap((void *)p, UNIT);
	fails(link(GUESTMEM_DIR "/r", GUESTMEM_DIR "/l"), EPERM, "a hard link");
	fails(symlink("r", GUESTMEM_DIR "/l"), EPERM, "a symbolic link");
	fails(mknod(GUESTMEM_DIR "/l", S_IFIFO | 0600, 0), EPERM, "a pipe");
	fails(open(GUESTMEM_DIR, O_TMPFILE | O_RDWR, 0600), EOPNOTSUPP, "a file without a name");
	fails(mount("guestmemfs", "/mnt", "guestmemfs", 0, "size=1G"), EINVAL, "a mount option");
	close(ro);
	expect(!unlink(GUESTMEM_DIR "/r"), "cannot be removed", "r");
	close(fd);
}

static void rules(void)
{
	unsigned long long before, after;

	before = emit_space("space");
	mkdir("/mnt", 0755);
	zeros();
	limits(before);
	requests();
	after = emit_space("space");
	expect(before == after, "has lost memory", GUESTMEM_DIR);
	emit_space("files");
}

/* The file that a device has: nobody can take anything from it. */
static void held(void)
{
	static const char path[] = GUESTMEM_DIR "/rig-dma", other[] = GUESTMEM_DIR "/other";
	struct stat st;

	expect(!stat(path, &st), "is not there", path);
	fails(truncate(path, st.st_size - UNIT), EBUSY, "cutting what a device has");
	fails(truncate(path, 0), EBUSY, "emptying what a device has");
	fails(unlink(path), EBUSY, "removing what a device has");
	close(make_of(other, UNIT));
	fails(rename(other, path), EBUSY, "replacing what a device has");
	expect(!rename(path, other) || errno == EEXIST || !access(other, F_OK), "cannot be renamed", path);
	expect(!rename(other, path), "cannot be renamed back", path);
	expect(!truncate(path, st.st_size), "cannot keep its size", path);
	emit_space("files");
}

#define SESSION		"files"

enum { TOKEN_NAMELESS = 1, TOKEN_NAMED, TOKEN_READ };

static const char named[] = GUESTMEM_DIR "/named", nameless[] = GUESTMEM_DIR "/nameless",
		  readable[] = GUESTMEM_DIR "/readable";

/* In a session: a file without a name, one with a name, one that is open for reading. */
static void keep(void)
{
	int session = luo_session_create(SESSION), fd[3];

	fd[0] = guestmem_make(nameless, 3 * UNIT);
	expect(pwrite(fd[0], "nameless", 8, UNIT) == 8 && !unlink(nameless), "cannot be removed", nameless);
	expect(lseek(fd[0], UNIT, SEEK_SET) == UNIT && !fcntl(fd[0], F_SETFL, O_APPEND), "has no position", nameless);
	fd[1] = guestmem_make(named, 5 * UNIT);
	close(guestmem_make(readable, UNIT));
	fd[2] = open(readable, O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		expect(!luo_preserve(session, fd[i], TOKEN_NAMELESS + i), "cannot be preserved", SESSION);
	fails(unlink(named), EBUSY, "removing what is preserved");
	fails(ftruncate(fd[1], UNIT), EBUSY, "cutting what is preserved");
	expect(luo_preserve(session, fd[1], 99) < 0, "can be preserved twice", named);
	/* They stay open until the jump. */
	emit_space("files");
}

/* One is retrieved and two are not; before the finish nothing can be taken from any. */
static void kept(void)
{
	int session = luo_session_retrieve(SESSION), other, fd;
	unsigned long long before, after;
	char text[8] = "";

	expect(session >= 0, "cannot be retrieved", SESSION);
	before = emit_space("space");
	other = luo_session_create("other");
	fd = open(named, O_RDWR | O_CLOEXEC);
	expect(other >= 0 && luo_preserve(other, fd, TOKEN_NAMED) == -EBUSY, "can be preserved before it is retrieved", named);
	close(fd);
	close(other);
	fails(unlink(named), EBUSY, "removing what nobody has retrieved");
	fails(truncate(named, 0), EBUSY, "cutting what nobody has retrieved");
	fd = luo_retrieve(session, TOKEN_READ);
	expect(fd >= 0 && fcntl(fd, F_GETFL) >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY,
	       "can be written to", readable);
	close(fd);
	fd = luo_retrieve(session, TOKEN_NAMELESS);
	expect(fd >= 0 && pread(fd, text, 8, UNIT) == 8 && !memcmp(text, "nameless", 8), "has lost its data", nameless);
	expect(!lseek(fd, 0, SEEK_CUR) && !(fcntl(fd, F_GETFL) & O_APPEND), "is not as if it had been opened anew", nameless);
	fails(ftruncate(fd, 0), EBUSY, "cutting what is not finished");
	expect(!luo_finish(session), "cannot be finished", SESSION);
	close(session);
	expect(!unlink(named) && !unlink(readable), "cannot be removed when it is finished", named);
	expect(emit_space("space") == before + 6, "has not freed its memory", named);
	expect(pread(fd, text, 8, UNIT) == 8 && !memcmp(text, "nameless", 8), "is gone before it is closed", nameless);
	close(fd);
	after = emit_space("space");
	expect(after == before + 9, "has not freed its memory", nameless);
	emit_space("files");
}

/* One more jump, and nobody has come for them. */
static void stale(void)
{
	expect(!truncate(named, UNIT) && !unlink(named) && !unlink(readable), "cannot be removed", named);
	emit_space("files");
}

/* None is retrieved: the one without a name goes with the finish. */
static void given_up(void)
{
	unsigned long long before = emit_space("space");
	int session = luo_session_retrieve(SESSION);

	expect(session >= 0 && !luo_finish(session), "cannot be finished", SESSION);
	close(session);
	expect(emit_space("space") == before + 3, "has not freed its memory", nameless);
	expect(!unlink(named) && !unlink(readable), "cannot be removed when it is finished", named);
	emit_space("files");
}

/* The first file is damaged: it is refused, the others are there, and no memory is given out. */
static void damaged(void)
{
	int fd = open(wanted[0].path, O_RDWR | O_CLOEXEC);

	fails(fd, EUCLEAN, "opening what is damaged");
	check_data(&wanted[2]);
	fails(make_of(GUESTMEM_DIR "/new", UNIT), EUCLEAN, "memory, when it is not known what is free");
	expect(!access(GUESTMEM_DIR "/new", F_OK) && !unlink(GUESTMEM_DIR "/new"), "cannot be made without memory", "new");
	expect(!unlink(wanted[2].path), "cannot be removed", wanted[2].path);
	emit_space("files");
}

/* Memory of one goes bad: who has it mapped is told, and the file stays as it is, in this kernel. */
static void gone_bad(void)
{
	static const char path[] = GUESTMEM_DIR "/bad", other[] = GUESTMEM_DIR "/other";
	int fd = guestmem_make(path, 3 * UNIT), session = luo_session_create(SESSION), child = -1;

	close(guestmem_make(other, UNIT));
	expect(!luo_preserve(session, fd, TOKEN_NAMED), "cannot be preserved", path);
	close(session);
	expect(!bad_memory_told(fd, UNIT, &child), "cannot be said to be bad", path);
	expect(!child, "is bad, and a process that has it mapped was not told", path);
	session = luo_session_create(SESSION);
	expect(session >= 0 && luo_preserve(session, fd, TOKEN_NAMED) == -EHWPOISON, "can be preserved", path);
	close(session);
	fails(ftruncate(fd, UNIT), EHWPOISON, "cutting what is bad");
	fails(unlink(path), EHWPOISON, "removing what is bad");
	fails(rename(other, path), EHWPOISON, "replacing what is bad");
	expect(!ftruncate(fd, 4 * UNIT), "cannot become longer", path);
	close(fd);
	/* The kernel keeps the inode by itself. */
	write_file("/proc/sys/vm/drop_caches", "2");
	fails(unlink(path), EHWPOISON, "removing what is bad, and was closed");
	emit_space("files");
}

/* The next kernel does not know of it. */
static void bad_forgotten(void)
{
	expect(!unlink(GUESTMEM_DIR "/bad"), "cannot be removed in the next kernel", "bad");
	expect(!unlink(GUESTMEM_DIR "/other"), "is not there", "other");
	emit_space("files");
}

static uint64_t sum_of(const uint64_t *p, unsigned long words)
{
	uint64_t sum = 0;

	for (unsigned long i = 0; i < words; i++)
		sum = sum * 31 + p[i];
	return sum;
}

/* The devices' file after a jump that preserved nothing: it is there, nobody writes to it or has it. */
static void still(void)
{
	static const char path[] = GUESTMEM_DIR "/rig-dma";
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st = {};
	struct igb nic = {};
	uint64_t *p, sum;

	expect(fd >= 0 && !fstat(fd, &st) && st.st_size >= (off_t)OFF_NIC_END, "is not there", path);
	p = map(fd, st.st_size);
	nic.mem = (uint8_t *)p + OFF_NIC_RING;
	emit("latest", ",\"sent_ns\":%llu", (unsigned long long)igb_latest(&nic));
	sum = sum_of(p, st.st_size / sizeof(*p));
	expect(sum, "is empty", path);
	/* Frames come all the time. */
	usleep(500000);
	expect(sum_of(p, st.st_size / sizeof(*p)) == sum, "is written to", path);
	munmap(p, st.st_size);
	expect(!ftruncate(fd, 0) && !unlink(path), "cannot be removed", path);
	close(fd);
	emit_space("files");
}

/*
 * A device's file was emptied, or removed, if that was possible, and all memory that is free
 * then goes to another owner, who looks for what the device writes.
 */
static void next_owner(int err)
{
	unsigned long words = 0, at = 0;
	int fd;
	uint64_t *p, end;
	struct statfs fs;

	if (err || statfs(GUESTMEM_DIR, &fs)) {
		emit("cut", ",\"errno\":%d,\"words\":0", err);
		return;
	}
	fd = guestmem_make(GUESTMEM_DIR "/next owner", fs.f_bfree * UNIT);
	p = map(fd, fs.f_bfree * UNIT);
	for (end = now_us() + 30000000; !words && now_us() < end;)
		for (at = 0; at < fs.f_bfree * UNIT / sizeof(*p); at++)
			words += !!p[at];
	emit("cut", ",\"errno\":0,\"words\":%lu", words);
	/* Our own memory is gone. */
	power_off();
}

static void cut(void)
{
	next_owner(truncate(GUESTMEM_DIR "/rig-dma", 0) ? errno : 0);
}

static void unlinked(void)
{
	next_owner(unlink(GUESTMEM_DIR "/rig-dma") ? errno : 0);
}

#define STATED		GUESTMEM_DIR "/stated"

static int answer(int ret)
{
	return ret < 0 ? -errno : ret;
}

/* As it was at first, if nobody keeps it from being so. */
static void make_anew(void)
{
	int fd = open(STATED, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, 3 * UNIT))
		die("make " STATED ": %s", strerror(errno));
	close(fd);
}

static int map_for_device(int fd)
{
	int iommufd = iommufd_open(), ret;

	ret = iommufd_map_file(iommufd, iommufd_ioas_alloc(iommufd), fd, 0, UNIT, 0);
	close(iommufd);
	return ret;
}

/* What can be asked by whoever opens it by its name; what takes something away comes last. */
static void each_answer(const char *state)
{
	static const char other[] = GUESTMEM_DIR "/other", moved[] = GUESTMEM_DIR "/moved";
	int fd = open(STATED, O_RDWR | O_CLOEXEC), session = luo_session_create("again");
	struct stat st;
	void *p;

	if (session < 0 || fd < 0 || fstat(fd, &st))
		die("open " STATED ": %s", strerror(errno));
	p = mmap(NULL, UNIT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cell(state, "map for a process", p == MAP_FAILED ? -errno : 0);
	if (p != MAP_FAILED)
		munmap(p, UNIT);
	cell(state, "map for a device", map_for_device(fd));
	cell(state, "preserve", luo_preserve(session, fd, 1));
	close(session);
	cell(state, "longer", answer(ftruncate(fd, st.st_size + UNIT)));
	cell(state, "hole", answer(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, UNIT)));
	cell(state, "rename", answer(rename(STATED, moved)));
	if (rename(moved, STATED) && errno != ENOENT)
		die("rename " STATED " back: %s", strerror(errno));
	cell(state, "shorter", answer(ftruncate(fd, UNIT)));
	close(make_of(other, UNIT));
	cell(state, "replace", answer(rename(other, STATED)));
	close(fd);
	unlink(other);
	cell(state, "remove", answer(unlink(STATED)));
	if (access(STATED, F_OK))
		make_anew();
}

/* Up to where it is preserved; what was opened for that stays so until the jump. */
static void states(void)
{
	int iommufd, session, fd;

	make_anew();
	each_answer("free file");
	fd = open(STATED, O_RDWR | O_CLOEXEC);
	iommufd = iommufd_open();
	if (iommufd_map_file(iommufd, iommufd_ioas_alloc(iommufd), fd, 0, UNIT, 0))
		die("map " STATED ": %s", strerror(errno));
	each_answer("mapped file");
	close(iommufd);
	session = luo_session_create(SESSION);
	must(luo_preserve(session, fd, TOKEN_NAMED), "preserve " STATED);
	each_answer("preserved file");
	close(session);
	close(fd);
	each_answer("undone file");
	fd = open(STATED, O_RDWR | O_CLOEXEC);
	session = luo_session_create(SESSION);
	must(luo_preserve(session, fd, TOKEN_NAMED), "preserve " STATED);
	emit_space("files");
}

static void states_after(void)
{
	int session = luo_session_retrieve(SESSION), fd;

	must(session, "retrieve the session");
	each_answer("incoming file");
	fd = luo_retrieve(session, TOKEN_NAMED);
	must(fd, "retrieve " STATED);
	each_answer("retrieved file");
	must(luo_finish(session), "finish");
	close(session);
	each_answer("finished file");
	close(fd);
	emit_space("files");
}

static void jump(void)
{
	kexec_load_this_stage();
	tcdrain(ctl_fd());
	emit("stays", ",\"errno\":%d", -kexec_try());
}

static void jump_segments(void)
{
	kexec_load_segments();
	emit("stays", ",\"errno\":%d", -kexec_try());
}

static void only_mount(void)
{
	emit_space("files");
}

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{ "bad", gone_bad },
	{ "bad-forgotten", bad_forgotten },
	{ "begin", begin },
	{ "check", check },
	{ "cut", cut },
	{ "damaged", damaged },
	{ "given-up", given_up },
	{ "held", held },
	{ "jump", jump },
	{ "jump-segments", jump_segments },
	{ "keep", keep },
	{ "kept", kept },
	{ "leaf", leaf },
	{ "mount", only_mount },
	{ "rules", rules },
	{ "stale", stale },
	{ "states", states },
	{ "states-after", states_after },
	{ "still", still },
	{ "unlinked", unlinked },
};

void guest_files(const char *what)
{
	int err = guestmem_mount();

	bad = 0;
	if (err) {
		emit("files", ",\"errno\":%d", err);
		return;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(scenarios); i++) {
		if (strcmp(what, scenarios[i].name))
			continue;
		scenarios[i].run();
		return;
	}
	die("files %s?", what);
}
