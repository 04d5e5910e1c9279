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
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clocks.h"
#include "core/crc32.h"
#include "end.h"
#include "journal.h"
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

static void speak(enum word_kind kind, uint64_t seq, uint32_t crc, uint32_t length)
{
	struct {
		struct ether_header head;
		struct word word;
	} __attribute__((packed)) out = { .head = head };
	struct clocks now = clocks_now();

	out.word = (struct word){
		.magic = MAGIC, .version = VERSION, .kind = kind,
		.seq = seq, .counted = counted, .crc = crc, .length = length,
		.mono_ns = now.mono_ns, .real_ns = now.real_ns, .tsc = now.tsc,
		.acknowledged = journal_acknowledged(),
		.backwards = clocks_backwards(), .cpus = nr_cpus,
		.sounds = kind == WORD_ANSWER ? 0 : sound_interrupts(),
	};
	if (send(sock, &out, sizeof(out), 0) != sizeof(out))
		die("send on the wire: %m");
}

static void all_of_the_ring(struct ifreq *ifr)
{
	struct ethtool_ringparam ring = { .cmd = ETHTOOL_GRINGPARAM };

	ifr->ifr_data = (char *)&ring;
	if (ioctl(sock, SIOCETHTOOL, ifr))
		die("ring of %s: %m", DEVICE);
	ring.cmd = ETHTOOL_SRINGPARAM;
	ring.rx_pending = ring.rx_max_pending;
	if (ioctl(sock, SIOCETHTOOL, ifr))
		die("%u places in the ring of %s: %m", ring.rx_pending, DEVICE);
}

void wire_open(unsigned int cpus)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IN) };
	struct ifreq ifr = {};
	int room = ROOM_BYTES;

	nr_cpus = cpus;
	strcpy(ifr.ifr_name, DEVICE);
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (sock < 0 || ioctl(sock, SIOCGIFINDEX, &ifr))
		die("%s: %m", DEVICE);
	addr.sll_ifindex = ifr.ifr_ifindex;
	if (ioctl(sock, SIOCGIFHWADDR, &ifr))
		die("address of %s: %m", DEVICE);
	memset(head.ether_dhost, 0xff, ETH_ALEN);
	memcpy(head.ether_shost, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	head.ether_type = htons(ETHERTYPE_OUT);
	all_of_the_ring(&ifr);
	if (ioctl(sock, SIOCGIFFLAGS, &ifr))
		die("flags of %s: %m", DEVICE);
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &ifr))
		die("bring up %s: %m", DEVICE);
	/* What is bound to a device that is down has an error waiting for its first user. */
	if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    bind(sock, (struct sockaddr *)&addr, sizeof(addr)))
		die("socket on %s: %m", DEVICE);
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
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
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
		if (poll(&pfd, 1, (due - now) / 1000000 + 1) <= 0)
			continue;
		n = recv(sock, data, sizeof(data), MSG_DONTWAIT);
		if (n > 0)
			end = answer(data, n);
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			die("receive on the wire: %m");
	}
	return end;
}

void wire_close(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int left;

	speak(WORD_END, 0, 0, 0);
	do {
		nanosleep(&moment, NULL);
	} while (!ioctl(sock, SIOCOUTQ, &left) && left);
}
