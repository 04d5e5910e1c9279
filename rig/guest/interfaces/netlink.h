/* SPDX-License-Identifier: GPL-2.0-only */
/* What a network manager asks the kernel for: rtnetlink(7), netdevice(7). */
#ifndef RIG_INTERFACES_NETLINK_H
#define RIG_INTERFACES_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

/* What is set for a virtual function of a network device */
struct net_vf {
	uint8_t mac[6];
	unsigned int vlan, qos, rate;	/* rate: Mbit/s; 0: no limit */
	bool spoofchk, trusted;
};

/* The index of the interface of a PCI device, 0 if it has none. */
unsigned int net_index(const char *bdf);
/* Each: 0, or -errno. */
int net_set_up(unsigned int index, bool up);
bool net_has_link(unsigned int index);
int net_receive_for(unsigned int index, const uint8_t mac[6]);
int net_set_vf(unsigned int index, unsigned int nth, const struct net_vf *vf);
int net_get_vfs(unsigned int index, struct net_vf *vfs, unsigned int n);

#endif
