// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clocks.h"
#include "core/crc32.h"
#include "end.h"
#include "journal.h"
#include "options.h"
#include "sound.h"
#include "wire.h"

#define DEVICE		"eth0"
#define ETHERTYPE_IN	0x88b5		/* as in rig/referee/frames.py */
#define ETHERTYPE_OUT	0x88b6
#define MAGIC		0x56474952	/* "RIGV" */
#define VERSION		1
#define STATUS_NS	200000000ull
#define ROOM_BYTES	(64 << 20)	/* of the socket: all that can come in while nobody reads */

/* A frame after its Ethernet header, and before its payload. */
struct frame {
	uint16_t length;
	uint64_t seq, time_ns;
	uint32_t last;
	uint32_t crc;			/* of the rest, with what is above */
} __attribute__((packed));

static int sock;
static struct ether_header head;
static uint64_t counted;
static unsigned int nr_cpus;
static bool can_go;			/* the device, for a while */
static const struct timespec moment = { .tv_nsec = 1000000 };

static bool is_gone(void)
{
	return can_go && (errno == ENODEV || errno == ENXIO || errno == ENETDOWN);
}

/* false: there is no device, or it goes away just now. */
static bool ask(unsigned long what, struct ifreq *ifr, const char *text)
{
	if (!ioctl(sock, what, ifr))
		return true;
	if (!is_gone())
		die("%s of %s: %m", text, DEVICE);
	return false;
}

static bool take_all_of_the_ring(struct ifreq *ifr)
{
	struct ethtool_ringparam ring = { .cmd = ETHTOOL_GRINGPARAM };

	ifr->ifr_data = (char *)&ring;
	if (!ask(SIOCETHTOOL, ifr, "ring"))
		return false;
	ring.cmd = ETHTOOL_SRINGPARAM;
	ring.rx_pending = ring.rx_max_pending;
	return ask(SIOCETHTOOL, ifr, "whole ring");
}

static bool link_is_up(void)
{
	char state[32] = "";
	FILE *f = fopen("/sys/class/net/" DEVICE "/operstate", "re");

	if (f && !fgets(state, sizeof(state), f))
		*state = 0;
	if (f)
		fclose(f);
	return !strcmp(state, "up\n");
}

/* Until then what is sent goes nowhere, without an error. */
static bool wait_for_link(struct ifreq *ifr)
{
	do {
		nanosleep(&moment, NULL);
		if (!ask(SIOCGIFFLAGS, ifr, "flags"))
			return false;
	} while (!link_is_up());
	/* Changes nothing, but waits for the lock under which the kernel then makes the device send. */
	return ask(SIOCSIFFLAGS, ifr, "flags");
}

static bool open_device(void)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IN) };
	struct ifreq ifr = {};
	int room = ROOM_BYTES;

	strcpy(ifr.ifr_name, DEVICE);
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (sock < 0)
		die("socket: %m");
	if (!ask(SIOCGIFINDEX, &ifr, "index"))
		return false;
	addr.sll_ifindex = ifr.ifr_ifindex;
	if (!ask(SIOCGIFHWADDR, &ifr, "address"))
		return false;
	memset(head.ether_dhost, 0xff, ETH_ALEN);
	memcpy(head.ether_shost, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	head.ether_type = htons(ETHERTYPE_OUT);
	if (!take_all_of_the_ring(&ifr) || !ask(SIOCGIFFLAGS, &ifr, "flags"))
		return false;
	ifr.ifr_flags |= IFF_UP;
	if (!ask(SIOCSIFFLAGS, &ifr, "flags") || !wait_for_link(&ifr))
		return false;
	if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		die("room for what comes in: %m");
	/* What is bound to a device that is down has an error waiting for its first user. */
	if (!bind(sock, (struct sockaddr *)&addr, sizeof(addr)))
		return true;
	if (!is_gone())
		die("socket on %s: %m", DEVICE);
	return false;
}

static void wait_for_device(void)
{
	say("%s has gone, %llu frames have come", DEVICE, (unsigned long long)counted);
	do {
		close(sock);
		nanosleep(&moment, NULL);
	} while (!open_device());
	say("%s is there again", DEVICE);
}

void wire_open(unsigned int cpus)
{
	nr_cpus = cpus;
	if (!open_device())
		die("there is no %s", DEVICE);
	can_go = option_given("vm.plug=1");
}

static void speak(enum word_kind kind, uint64_t seq, uint32_t crc, uint32_t length)
{
	struct {
		struct ether_header head;
		struct word word;
	} __attribute__((packed)) out;
	struct clocks now;

	for (;;) {
		now = clocks_now();
		out.head = head;
		out.word = (struct word){
			.magic = MAGIC, .version = VERSION, .kind = kind,
			.seq = seq, .counted = counted, .crc = crc, .length = length,
			.mono_ns = now.mono_ns, .real_ns = now.real_ns, .tsc = now.tsc,
			.acknowledged = journal_acknowledged(),
			.backwards = clocks_backwards(), .cpus = nr_cpus,
			.sounds = kind == WORD_ANSWER ? 0 : sound_interrupts(),
		};
		if (send(sock, &out, sizeof(out), 0) == sizeof(out))
			return;
		if (!is_gone())
			die("send on the wire: %m");
		wait_for_device();
	}
}

/* Whether there is another one to come, and if not, what comes. */
static enum wire_end answer(const uint8_t *data, size_t len)
{
	const size_t at = sizeof(struct ether_header);
	struct frame f = {};
	uint32_t crc = 0;

	/* What is too short or damaged is answered too: it is for the referee to judge. */
	if (len >= at + sizeof(f)) {
		memcpy(&f, data + at, sizeof(f));
		crc = crc32_rig(0, data + at, offsetof(struct frame, crc));
		crc = crc32_rig(crc, data + at + sizeof(f), len - at - sizeof(f));
	}
	counted++;
	speak(WORD_ANSWER, f.seq, crc, len);
	return f.crc == crc ? f.last : WIRE_GOES_ON;
}

enum wire_end wire_serve(void)
{
	struct pollfd pfd = { .events = POLLIN };
	uint64_t due = 0, now;
	uint8_t data[2048];
	enum wire_end end = WIRE_GOES_ON;
	ssize_t n;

	while (end == WIRE_GOES_ON) {
		now = clocks_now().mono_ns;
		if (now >= due) {
			speak(WORD_STATUS, 0, 0, 0);
			due = now + STATUS_NS;
		}
		pfd.fd = sock;
		if (poll(&pfd, 1, (due - now) / 1000000 + 1) <= 0)
			continue;
		n = recv(sock, data, sizeof(data), MSG_DONTWAIT);
		if (n > 0)
			end = answer(data, n);
		else if (n < 0 && is_gone())
			wait_for_device();
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			die("receive on the wire: %m");
	}
	return end;
}

void wire_close(void)
{
	int left;

	speak(WORD_END, 0, 0, 0);
	do {
		nanosleep(&moment, NULL);
	} while (!ioctl(sock, SIOCOUTQ, &left) && left);
}
