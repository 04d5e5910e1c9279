// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/files.h"
#include "interfaces/netlink.h"

#define PCI_DIR		"/sys/bus/pci/devices"
#define ANSWER		32768

struct request {
	struct nlmsghdr h;
	union {
		struct ifinfomsg link;
		struct ndmsg neighbour;
	};
	char attrs[512];
};

static void *end_of(struct request *q)
{
	return (char *)q + NLMSG_ALIGN(q->h.nlmsg_len);
}

static struct rtattr *put(struct request *q, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = end_of(q);

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
	q->h.nlmsg_len = NLMSG_ALIGN(q->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static void end_nested(struct request *q, struct rtattr *a)
{
	a->rta_len = (char *)end_of(q) - (char *)a;
}

static struct request request(unsigned short type, unsigned short flags, size_t size)
{
	return (struct request){
		.h.nlmsg_len = NLMSG_LENGTH(size),
		.h.nlmsg_type = type,
		.h.nlmsg_flags = NLM_F_REQUEST | flags,
	};
}

/* The first message of the answer; its length, or -errno. */
static int ask(struct request *q, void *answer)
{
	struct nlmsghdr *h = answer;
	struct nlmsgerr *err;
	int fd, n;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	n = send(fd, q, q->h.nlmsg_len, 0) < 0 ? -1 : recv(fd, answer, ANSWER, 0);
	n = n < 0 ? -errno : n;
	close(fd);
	if (n < 0 || !NLMSG_OK(h, (unsigned int)n))
		return n < 0 ? n : -EPROTO;
	err = NLMSG_DATA(h);
	return h->nlmsg_type == NLMSG_ERROR ? err->error : n;
}

static int tell(struct request *q)
{
	char answer[ANSWER] __attribute__((aligned(8)));
	int ret = ask(q, answer);

	return ret < 0 ? ret : 0;
}

unsigned int net_index(const char *bdf)
{
	char path[128], file[512], text[32];
	unsigned int index = 0;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), PCI_DIR "/%s/net", bdf);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (!index && (e = readdir(dir))) {
		snprintf(file, sizeof(file), "%s/%s/ifindex", path, e->d_name);
		if (read_file(file, text, sizeof(text)) > 0)
			index = strtoul(text, NULL, 10);
	}
	closedir(dir);
	return index;
}

int net_set_up(unsigned int index, bool up)
{
	struct request q = request(RTM_NEWLINK, NLM_F_ACK, sizeof(q.link));

	q.link.ifi_index = index;
	q.link.ifi_flags = up ? IFF_UP : 0;
	q.link.ifi_change = IFF_UP;
	return tell(&q);
}

/* As "bridge fdb add MAC dev DEV self" does: it gets the frames to that address as well. */
int net_receive_for(unsigned int index, const uint8_t mac[6])
{
	struct request q = request(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE, sizeof(q.neighbour));

	q.neighbour.ndm_family = AF_BRIDGE;
	q.neighbour.ndm_ifindex = index;
	q.neighbour.ndm_state = NUD_NOARP | NUD_PERMANENT;
	q.neighbour.ndm_flags = NTF_SELF;
	put(&q, NDA_LLADDR, mac, 6);
	return tell(&q);
}

int net_set_vf(unsigned int index, unsigned int nth, const struct net_vf *vf)
{
	struct request q = request(RTM_NEWLINK, NLM_F_ACK, sizeof(q.link));
	struct ifla_vf_vlan vlan = { .vf = nth, .vlan = vf->vlan, .qos = vf->qos };
	struct ifla_vf_rate rate = { .vf = nth, .max_tx_rate = vf->rate };
	struct ifla_vf_spoofchk spoofchk = { .vf = nth, .setting = vf->spoofchk };
	struct ifla_vf_trust trust = { .vf = nth, .setting = vf->trusted };
	struct ifla_vf_mac mac = { .vf = nth };
	struct rtattr *list, *one;

	memcpy(mac.mac, vf->mac, 6);
	q.link.ifi_index = index;
	list = put(&q, IFLA_VFINFO_LIST | NLA_F_NESTED, NULL, 0);
	one = put(&q, IFLA_VF_INFO | NLA_F_NESTED, NULL, 0);
	put(&q, IFLA_VF_MAC, &mac, sizeof(mac));
	put(&q, IFLA_VF_VLAN, &vlan, sizeof(vlan));
	put(&q, IFLA_VF_RATE, &rate, sizeof(rate));
	put(&q, IFLA_VF_SPOOFCHK, &spoofchk, sizeof(spoofchk));
	put(&q, IFLA_VF_TRUST, &trust, sizeof(trust));
	end_nested(&q, one);
	end_nested(&q, list);
	return tell(&q);
}

static void read_vf(struct rtattr *info, struct net_vf *vfs, unsigned int n)
{
	int left = RTA_PAYLOAD(info);

	/* Each of these begins with the number of the function. */
	for (struct rtattr *a = RTA_DATA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		struct net_vf *vf = &vfs[*(uint32_t *)RTA_DATA(a) % n];

		switch (a->rta_type & NLA_TYPE_MASK) {
		case IFLA_VF_MAC:
			memcpy(vf->mac, ((struct ifla_vf_mac *)RTA_DATA(a))->mac, 6);
			break;
		case IFLA_VF_VLAN:
			vf->vlan = ((struct ifla_vf_vlan *)RTA_DATA(a))->vlan;
			vf->qos = ((struct ifla_vf_vlan *)RTA_DATA(a))->qos;
			break;
		case IFLA_VF_RATE:
			vf->rate = ((struct ifla_vf_rate *)RTA_DATA(a))->max_tx_rate;
			break;
		case IFLA_VF_SPOOFCHK:
			vf->spoofchk = ((struct ifla_vf_spoofchk *)RTA_DATA(a))->setting;
			break;
		case IFLA_VF_TRUST:
			vf->trusted = ((struct ifla_vf_trust *)RTA_DATA(a))->setting;
			break;
		}
	}
}

static int ask_link(unsigned int index, void *answer)
{
	struct request q = request(RTM_GETLINK, 0, sizeof(q.link));
	uint32_t mask = RTEXT_FILTER_VF;

	q.link.ifi_index = index;
	put(&q, IFLA_EXT_MASK, &mask, sizeof(mask));
	return ask(&q, answer);
}

bool net_has_link(unsigned int index)
{
	char answer[ANSWER] __attribute__((aligned(8)));
	struct nlmsghdr *h = (struct nlmsghdr *)answer;
	int left;

	if (ask_link(index, answer) < 0)
		return false;
	left = IFLA_PAYLOAD(h);
	for (struct rtattr *a = IFLA_RTA(NLMSG_DATA(h)); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_CARRIER)
			return *(uint8_t *)RTA_DATA(a);
	return false;
}

int net_get_vfs(unsigned int index, struct net_vf *vfs, unsigned int n)
{
	char answer[ANSWER] __attribute__((aligned(8)));
	struct nlmsghdr *h = (struct nlmsghdr *)answer;
	int ret, left;

	memset(vfs, 0, n * sizeof(*vfs));
	ret = ask_link(index, answer);
	if (ret < 0)
		return ret;
	left = IFLA_PAYLOAD(h);
	for (struct rtattr *a = IFLA_RTA(NLMSG_DATA(h)); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		int rest = RTA_PAYLOAD(a);

		if ((a->rta_type & NLA_TYPE_MASK) != IFLA_VFINFO_LIST)
			continue;
		for (struct rtattr *v = RTA_DATA(a); RTA_OK(v, rest); v = RTA_NEXT(v, rest))
			read_vf(v, vfs, n);
	}
	return 0;
}
