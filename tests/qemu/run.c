// SPDX-License-Identifier: GPL-2.0-only
/*
 * What continuo-qemu reads that others have written: good ones, and each of their fields
 * damaged.
 *
 *   run               all of it
 *   run --corpus DIR  write good ones into files of DIR, for the fuzzer
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "map.h"
#include "state.h"
#include "stream.h"

/* As QEMU 11.1.3 has written it, of a machine with a VGA and no VFIO device. */
static const char recorded[] =
	"514350520000000101000000162f726f6d406574632f7461626c652d6c6f61646572000000000020010000000770632e"
	"726f6d0000000000200100000015303030303a30303a30312e302f7667612e726f6d000000000020010000000572616d"
	"300000000000200100000016303030303a30303a30312e302f7667612e7672616d00000000002001000000132f726f6d"
	"406574632f616370692f72736470000000000020010000000870632e62696f7300000000002001000000152f726f6d40"
	"6574632f616370692f7461626c657300000000002000051543707253746174652f7666696f2064657669636573000000"
	"0100";

static const struct {
	const char *name;
	int32_t id;
} recorded_fds[] = {
	{ "/rom@etc/table-loader" }, { "pc.rom" }, { "0000:00:01.0/vga.rom" }, { "ram0" },
	{ "0000:00:01.0/vga.vram" }, { "/rom@etc/acpi/rsdp" }, { "pc.bios" }, { "/rom@etc/acpi/tables" },
};

#define N(a)	(sizeof(a) / sizeof((a)[0]))

static unsigned int failures, tried;
static struct channel channel, parsed;
static struct input in, broken;
static struct channel_why why;

static void __attribute__((format(printf, 2, 3)))
expect(bool condition, const char *fmt, ...)
{
	va_list args;

	tried++;
	if (condition)
		return;
	failures++;
	printf("FAIL ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

/* --- the channel --- */

/* Of just that size, so that what is read behind its end is found. */
static int parse(const struct channel_format *format, const struct input *i)
{
	uint8_t *copy = malloc(i->size ? i->size : 1);
	int ret;

	memcpy(copy, i->bytes, i->size);
	ret = channel_parse(format, copy, i->size, i->carried, i->nr, &parsed, &why);
	free(copy);
	return ret;
}

static void refused(const struct channel_format *format, const char *what, const char *text)
{
	int ret = parse(format, &broken);

	expect(ret == -1 && strstr(why.text, text), "%s, %s: %d \"%s\", not \"%s\"", format->qemu, what, ret,
	       why.text, text);
}

static size_t where(int what, unsigned int nth)
{
	for (unsigned int i = 0; i < in.marks; i++)
		if (in.mark[i].what == what && !nth--)
			return in.mark[i].at;
	abort();
}

static uint8_t *anew(int what, unsigned int nth)
{
	broken = in;
	return broken.bytes + where(what, nth);
}

static void put(uint8_t *at, uint32_t value)
{
	at[0] = value >> 24;
	at[1] = value >> 16;
	at[2] = value >> 8;
	at[3] = value;
}

static void good(const struct channel_format *format, unsigned int fds, unsigned int devices)
{
	input_example(&channel, fds, devices);
	input_channel(format, &channel, &in);
	expect(!parse(format, &in), "%s with %u and %u: %s", format->qemu, fds, devices, why.text);
	expect(parsed.fds == fds && parsed.devices == devices, "%s: %u and %u", format->qemu, parsed.fds, parsed.devices);
	for (unsigned int i = 0; i < fds && i < parsed.fds; i++)
		expect(!strcmp(parsed.fd[i].name, channel.fd[i].name) && parsed.fd[i].id == channel.fd[i].id &&
		       parsed.fd[i].at == in.carried[i], "%s: descriptor %u", format->qemu, i);
	for (unsigned int i = 0; i < devices && i < parsed.devices; i++)
		expect(!strcmp(parsed.device[i].name, channel.device[i].name) &&
		       parsed.device[i].device == channel.device[i].device &&
		       parsed.device[i].ioas == channel.device[i].ioas &&
		       parsed.device[i].hwpt == channel.device[i].hwpt, "%s: device %u", format->qemu, i);
}

/* New ids, and nothing else. */
static void rewritten(const struct channel_format *format)
{
	unsigned int differ = 0;

	good(format, 4, 2);
	broken = in;
	channel_set(broken.bytes, &parsed.device[1], 0x01020314, 0x05060708, 0x090a0b0c);
	for (size_t i = 0; i < in.size; i++)
		differ += in.bytes[i] != broken.bytes[i];
	expect(differ == 12 && !parse(format, &broken) && parsed.device[1].device == 0x01020314 &&
	       parsed.device[1].ioas == 0x05060708 && parsed.device[1].hwpt == 0x090a0b0c &&
	       parsed.device[0].device == channel.device[0].device, "%s: new ids", format->qemu);
}

static void damaged_names(const struct channel_format *format)
{
	for (unsigned int nth = 0; nth < 6; nth++) {
		put(anew(FIELD_NAME, nth), 0);
		refused(format, "an empty name", "a name of 0 bytes");
		put(anew(FIELD_NAME, nth), 1);
		refused(format, "a name that is only a NUL", "a name of 1 bytes");
		put(anew(FIELD_NAME, nth), CHANNEL_NAME + 1);
		refused(format, "a long name", "a name of 257 bytes");
		put(anew(FIELD_NAME, nth), UINT32_MAX);
		refused(format, "a name without end", "a name of 4294967295 bytes");
		anew(FIELD_NAME, nth)[4] = 0;
		refused(format, "a NUL in a name", "NUL is not at its end");
		anew(FIELD_NAME, nth)[3]--;
		refused(format, "a name without NUL", "NUL is not at its end");
		anew(FIELD_NAME, nth)[5] = '\n';
		refused(format, "a control character", "a byte 0xa in it");
		anew(FIELD_NAME, nth)[5] = 0xc3;
		refused(format, "no ASCII", "a byte 0xc3 in it");
	}
}

static void damaged_descriptors(const struct channel_format *format)
{
	broken = in;
	broken.nr--;
	refused(format, "a descriptor is missing", "no descriptor came");
	broken = in;
	broken.carried[1]++;
	refused(format, "a descriptor came a byte later", "no descriptor came");
	broken = in;
	broken.carried[broken.nr++] = in.size - 1;
	refused(format, "a descriptor more", "descriptors came, and it names");
	input_example(&channel, 4, 0);
	strcpy(channel.fd[2].name, channel.fd[0].name);
	input_channel(format, &channel, &broken);
	refused(format, "two of one name", "two descriptors are called");
	input_example(&channel, 4, 2);
}

static void damaged_devices(const struct channel_format *format)
{
	static const int ids[] = { FIELD_DEVICE, FIELD_IOAS, FIELD_HWPT };

	for (unsigned int i = 0; i < 3; i++) {
		put(anew(ids[i], 1), 0);
		refused(format, "an id 0", "no object has the id 0");
	}
	put(anew(FIELD_DEVICE, 0), 0x80000000);
	refused(format, "a negative id", "no object has the id 0");
	put(anew(FIELD_DEVICE, 1), channel.device[0].device);
	refused(format, "two of one id", "is there twice");
	/* The second device has the first one's name, which is as long. */
	broken = in;
	memcpy(broken.bytes + where(FIELD_NAME, 5), in.bytes + where(FIELD_NAME, 4), 4 + strlen(channel.device[0].name));
	refused(format, "two of one name", "is there twice");
}

/* The first record once more, under another id, behind the last one. */
static void too_many(const struct channel_format *format)
{
	size_t first, length, last;

	good(format, CHANNEL_FDS, 0);
	first = where(INPUT_MORE, 0);
	length = where(INPUT_MORE, 1) - first;
	last = where(INPUT_LAST, 0);
	broken = in;
	memmove(broken.bytes + last + length, in.bytes + last, in.size - last);
	memcpy(broken.bytes + last, in.bytes + first, length);
	put(broken.bytes + last + where(FIELD_ID, 0) - first, 77);
	broken.size += length;
	broken.carried[broken.nr++] = last + in.carried[0] - first;
	refused(format, "too many descriptors", "more than 1024 descriptors");
}

static void damaged(const struct channel_format *format)
{
	uint8_t *at;

	good(format, 4, 2);
	put(anew(INPUT_MAGIC, 0), 0x5145564d);
	refused(format, "another magic number", "it begins with 0x5145564d");
	put(anew(INPUT_VERSION, 0), 2);
	refused(format, "another version", "its version is 2");
	for (unsigned int i = 0; i < 6; i++) {
		*anew(INPUT_MORE, i) = 2;
		refused(format, "no byte 1 before a record", "a byte 0x2 before a record");
	}
	damaged_names(format);
	damaged_descriptors(format);
	damaged_devices(format);
	*anew(INPUT_MARK, 0) = 4;
	refused(format, "no mark of a section", "a section begins with byte 0x4");
	*anew(INPUT_SECTION, 0) = 'c';
	refused(format, "another section", "where \"CprState/vfio devices\" has to be");
	put(anew(INPUT_SECTION_VERSION, 0), 2);
	refused(format, "another version of a section", "has version 2; 1 is known");
	broken = in;
	broken.bytes[broken.size++] = 5;
	refused(format, "one byte more", "1 bytes follow that");
	at = anew(INPUT_LAST, 1);
	*at = 1;
	refused(format, "a list without end", "it ends in");
	for (size_t i = 0; i < in.size; i++) {
		broken = in;
		broken.size = i;
		expect(parse(format, &broken) == -1, "%s: it is taken after %zu of %zu bytes", format->qemu, i, in.size);
	}
	too_many(format);
	good(format, 4, 2);
	/* More than there is room for. */
	broken = in;
	expect(channel_parse(format, broken.bytes, CHANNEL_BYTES + 1, in.carried, in.nr, &parsed, &why) == -1,
	       "%s: it has any size", format->qemu);
}

static void as_recorded(void)
{
	const struct channel_format *format = channel_format(11, 1);
	size_t n = strlen(recorded) / 2;

	memset(&channel, 0, sizeof(channel));
	channel.fds = N(recorded_fds);
	for (unsigned int i = 0; i < N(recorded_fds); i++)
		strcpy(channel.fd[i].name, recorded_fds[i].name);
	input_channel(format, &channel, &in);
	broken.size = n;
	for (size_t i = 0; i < n; i++) {
		unsigned int byte;

		sscanf(recorded + 2 * i, "%2x", &byte);
		broken.bytes[i] = byte;
	}
	expect(in.size == n && !memcmp(in.bytes, broken.bytes, n), "what is made is not what QEMU 11.1.3 wrote");
}

static void channels(void)
{
	static const int versions[][2] = { { 10, 2 }, { 11, 1 } };

	for (unsigned int i = 0; i < N(versions); i++) {
		const struct channel_format *format = channel_format(versions[i][0], versions[i][1]);

		if (!format || !strstr(channel_versions(), format->qemu)) {
			expect(false, "there is no description of QEMU %d.%d", versions[i][0], versions[i][1]);
			continue;
		}
		good(format, 0, 0);
		good(format, 1, 0);
		good(format, 300, 5);
		good(format, CHANNEL_FDS, CHANNEL_DEVICES);
		rewritten(format);
		damaged(format);
	}
	expect(!channel_format(10, 0) && !channel_format(11, 0) && !channel_format(11, 2) && !channel_format(12, 0),
	       "there is a description of a QEMU that is not known");
	as_recorded();
}

/* --- the memory map --- */

#define HEAD	"FlatView #0\r\n AS \"I/O\", root: io\r\n Root memory region: io\r\n" \
		"  0000000000000000-0000000000000007 (prio 0, ram): not this one\r\n\r\n" \
		"FlatView #1\r\n AS \"memory\", root: system\r\n AS \"cpu-memory-0\", root: system\r\n Root memory region: system\r\n"
#define RAM	"  0000000000000000-000000000009ffff (prio 0, ram): ram0 KVM\r\n"
#define REST	"  00000000000c0000-0000000003ffffff (prio -1, ram): ram0 @00000000000c0000 KVM\r\n"

static struct map_piece piece[MAP_PIECES];

static void map(const char *text, int wanted, const char *reason)
{
	char said[200] = "";
	int n = map_read(text, piece, said, sizeof(said));

	expect(n == wanted && strstr(said, reason), "map \"%.60s\": %d \"%s\", not %d \"%s\"", text, n, said, wanted, reason);
}

static void maps(void)
{
	char *many, line[120];
	size_t n;

	map(HEAD RAM "  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem\r\n" REST
	    "  00000000fe000000-00000000fe003fff (prio 0, ramd): 0000:00:04.0 BAR 0 mmaps[0] KVM\r\n"
	    "  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n\r\nFlatView #2\r\n AS \"other\", root: x\r\n" RAM, 3, "");
	expect(!piece[0].first && piece[0].last == 0x9ffff && !piece[0].offset && !piece[0].readonly &&
	       !strcmp(piece[0].name, "ram0"), "the first piece");
	expect(piece[1].first == 0xc0000 && piece[1].offset == 0xc0000, "the second piece");
	expect(piece[2].readonly && !strcmp(piece[2].name, "pc.bios"), "the third piece");
	/* Whole pages only. */
	map(HEAD "  0000000000000800-0000000000002fff (prio 0, ram): a\n  0000000000003000-00000000000037ff (prio 0, ram): b\n", 1, "");
	expect(piece[0].first == 0x1000 && piece[0].last == 0x2fff && piece[0].offset == 0x800, "a piece that begins in a page");
	map(HEAD "  No rendered FlatView\n", 0, "");
	map("", -1, "no address space \"memory\"");
	map("FlatView #0\n AS \"memory2\", root: x\n" RAM, -1, "no address space \"memory\"");
	map(HEAD "  000000000000000-000000000009ffff (prio 0, ram): a\n", -1, "not of a form that is known");
	map(HEAD "  0000000000000000-000000000009ffff (prio 0, ram) a\n", -1, "not of a form that is known");
	map(HEAD "  0000000000000000-000000000009ffff (prio 0, ram): \n", -1, "not of a form that is known");
	map(HEAD "  0000000000000000-000000000009ffff (prio 0, ram): a @xyz\n", -1, "not of a form that is known");
	map(HEAD "  0000000000000000-000000000009FFFF (prio 0, ram): a\n", -1, "not of a form that is known");
	map(HEAD "  0000000000002000-0000000000001fff (prio 0, ram): a\n", -1, "the range cannot be");
	map(HEAD RAM "  0000000000001000-0000000000001fff (prio 0, ram): a\n", -1, "the range cannot be");
	map(HEAD "  0000000000001000-0000000000002fff (prio 0, ram): a @fffffffffffff000\n", -1, "the range cannot be");
	many = malloc((MAP_PIECES + 8) * 70);
	n = sprintf(many, HEAD);
	for (unsigned int i = 0; i <= MAP_PIECES; i++)
		n += sprintf(many + n, "  %016x-%016x (prio 0, ram): a\n", i << 13, (i << 13) + 0xfff);
	snprintf(line, sizeof(line), "in more than %d pieces", MAP_PIECES);
	map(many, -1, line);
	free(many);
}

/* --- the stream --- */

static const uint8_t stream[] =
	"QEVM\0\0\0\3\7some sections\0\6\0\0\0\23{\"page_size\": 4096}";
#define STREAM_SIZE	(sizeof(stream) - 1)

static void word(const char *bytes, size_t size, enum stream_word wanted, size_t used)
{
	size_t n;
	enum stream_word is = stream_hear((const uint8_t *)bytes, size, &n);

	expect(is == wanted && n == used, "a word of %zu bytes: %d after %zu, not %d after %zu", size, is, n, wanted, used);
}

static void streams(void)
{
	uint8_t copy[STREAM_SIZE];

	expect(stream_whole(stream, STREAM_SIZE), "a whole stream is not seen");
	for (size_t i = 0; i < STREAM_SIZE; i++)
		expect(!stream_whole(stream, i), "a stream is whole after %zu bytes", i);
	for (size_t i = 0; i < STREAM_SIZE; i++) {
		/* A section, and what the description says, can be anything. */
		if ((i >= 8 && i < 22) || (i > 28 && i < STREAM_SIZE - 1))
			continue;
		memcpy(copy, stream, STREAM_SIZE);
		copy[i] ^= 0x11;
		expect(!stream_whole(copy, STREAM_SIZE), "a stream with byte %zu changed is whole", i);
	}
	word("", 0, STREAM_MORE, 0);
	word("\0\1\0", 3, STREAM_MORE, 0);
	word("\0\1\0\4\0\0\0", 7, STREAM_MORE, 0);
	word("\0\1\0\4\0\0\0\0", 8, STREAM_DONE, 8);
	word("\0\1\0\4\0\0\0\1", 8, STREAM_FAILED, 8);
	word("\0\2\0\4\0\0\0\1\0\1\0\4\0\0\0\0", 16, STREAM_DONE, 16);
	word("\0\2\0\4\0\0\0\1\0\1", 10, STREAM_MORE, 8);
	word("\0\3\0\4\0\0\0\1", 8, STREAM_UNKNOWN, 0);
	word("\0\1\0\5\0\0\0\1\1", 9, STREAM_UNKNOWN, 0);
	word("\377\377\377\377", 4, STREAM_UNKNOWN, 0);
}

/* --- the state --- */

static void *make_state(size_t *size)
{
	static const char *const text[STATE_PARTS] = { "{}", "channel", "the stream" };
	void *at;

	*size = state_size(5000);
	at = aligned_alloc(4096, *size);
	memset(at, 0, *size);
	state_make(at, *size);
	for (int i = 0; i < STATE_PARTS; i++) {
		size_t room;
		void *to = state_room(at, i, &room);

		expect(room >= (i == STATE_STREAM ? 5000 : STATE_HEAD), "part %d has room for %zu", i, room);
		memcpy(to, text[i], strlen(text[i]));
		state_put(at, i, strlen(text[i]));
	}
	return at;
}

static void state(const void *at, size_t size, const char *reason)
{
	struct state_view view;
	char said[200] = "";
	int ret = state_read(at, size, &view, said, sizeof(said));

	expect(*reason ? ret == -1 && strstr(said, reason) : !ret, "state: %d \"%s\", not \"%s\"", ret, said, reason);
}

/* Each member, with a sum that fits: what it says has to be looked at. */
static void damaged_state(void *at, size_t size)
{
	static const uint64_t wrong[] = { 0, 1, 4095, 1ull << 40, UINT64_MAX, UINT64_MAX - 4095 };
	struct state_head *h = at, was = *h;

	for (int i = 0; i < STATE_PARTS; i++) {
		for (unsigned int k = 0; k < N(wrong); k++) {
			h->part[i].offset = wrong[k];
			state_seal(at);
			state(at, size, "is not where it can be");
			*h = was;
			h->part[i].length = wrong[k];
			state_seal(at);
			state(at, size, k == 1 || k == 2 ? "of the state" : "is not where it can be");
			*h = was;
		}
		((char *)at)[h->part[i].offset] ^= 1;
		state(at, size, "of the state is damaged");
		((char *)at)[h->part[i].offset] ^= 1;
	}
	h->part[STATE_STREAM].offset = h->part[STATE_CHANNEL].offset;
	state_seal(at);
	state(at, size, "is not where it can be");
	*h = was;
	h->parts = 4;
	state_seal(at);
	state(at, size, "the head of the state is damaged");
	*h = was;
	h->size++;
	state_seal(at);
	state(at, size, "the head of the state is damaged");
	*h = was;
	h->version = 2;
	state(at, size, "is of version 2");
	*h = was;
	h->magic++;
	state(at, size, "no state of a VM");
	*h = was;
	h->sum ^= 1;
	state(at, size, "the head of the state is damaged");
	*h = was;
	state(at, size - 1, "the head of the state is damaged");
	state(at, 4095, "its head alone");
	state(at, 0, "its head alone");
}

static void states(void)
{
	size_t size;
	void *at = make_state(&size);

	state(at, size, "was never suspended");
	state_seal(at);
	state(at, size, "");
	damaged_state(at, size);
	state(at, size, "");
	state_unseal(at);
	state(at, size, "was never suspended");
	free(at);
}

/* --- */

static void keep(const char *dir, const char *name, char kind, const void *bytes, size_t size)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f || fputc(kind, f) < 0 || fwrite(bytes, 1, size, f) != size || fclose(f))
		exit(1);
}

/* Small ones: the first byte says what it is. */
static int corpus(const char *dir)
{
	size_t size;
	void *at = make_state(&size);

	input_example(&channel, 3, 2);
	input_channel(channel_format(10, 2), &channel, &in);
	keep(dir, "channel-10.2", 0, in.bytes, in.size);
	input_channel(channel_format(11, 1), &channel, &in);
	keep(dir, "channel-11.1", 1, in.bytes, in.size);
	keep(dir, "map", 2, HEAD RAM REST, strlen(HEAD RAM REST));
	keep(dir, "stream", 3, stream, STREAM_SIZE);
	keep(dir, "word", 4, "\0\2\0\4\0\0\0\1\0\1\0\4\0\0\0\0", 16);
	state_seal(at);
	keep(dir, "state", 5, at, STATE_HEAD);
	free(at);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--corpus"))
		return corpus(argv[2]);
	channels();
	maps();
	streams();
	states();
	printf("%s: %u of %u as expected\n", failures ? "FAIL" : "ok", tried - failures, tried);
	return failures ? 1 : 0;
}
