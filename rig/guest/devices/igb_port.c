// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers: "Intel 82576 Gigabit Ethernet Controller Datasheet", sections "Programming
 * Interface" and "Virtualization".
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/igb.h"
#include "devices/igb_port.h"
#include "interfaces/netlink.h"

#define MAX_VFS		7u
#define PATIENCE_MS	10000

/* Of a virtual function */
enum {
	VF_CTRL		= 0x0000,
	VF_MESSAGE	= 0x0800,
	VF_MAILBOX	= 0x0c40,
};

#define CTRL_RST		(1u << 26)
#define MAILBOX_REQUEST		(1u << 0)
#define MAILBOX_ACK		(1u << 1)
#define MAILBOX_VF_HAS_IT	(1u << 2)
#define MAILBOX_PF_HAS_SENT	(1u << 4)
#define MAILBOX_RESET_DONE	(1u << 7)
#define MESSAGE_RESET		1u
#define MESSAGE_ACK		(1u << 31)

static char port_bdf[BDF_LEN];

bool igb_port_wanted(void)
{
	return !strcmp(opt("pf", ""), "igb");
}

static unsigned int port_index(void)
{
	unsigned int index;

	if (!port_bdf[0])
		must(vfio_find(ID_INTEL, ID_IGB, 0, port_bdf), "find the physical function (igb)");
	index = net_index(port_bdf);
	if (!index)
		die("%s: the kernel's driver has made no network interface of it", port_bdf);
	return index;
}

/* The first one is to get frames without a tag. The others have what an administrator can set. */
static struct net_vf wanted(unsigned int nth)
{
	struct net_vf vf = { .spoofchk = true };

	igb_vf_mac(nth, vf.mac);
	if (nth) {
		vf.vlan = 100 + nth;
		vf.qos = 3;
		vf.spoofchk = false;
		vf.trusted = true;
		vf.rate = 100 + nth;
	}
	return vf;
}

/* A limit can only be set when there is a link. */
static void wait_for_link(unsigned int index)
{
	for (int left = PATIENCE_MS; left > 0; left -= 10) {
		if (net_has_link(index))
			return;
		usleep(10000);
	}
	die("%s: the link does not come up", port_bdf);
}

void igb_port_start(void)
{
	must(net_set_up(port_index(), true), "have the interface of the PF up");
}

void igb_port_set_vfs(void)
{
	unsigned int index = port_index();

	wait_for_link(index);
	for (unsigned int i = 0; i < igb_vfs(); i++) {
		struct net_vf vf = wanted(i);

		must(net_set_vf(index, i, &vf), "set up a virtual function");
	}
}

static uint32_t wait_mailbox(struct vdev *vf, uint32_t bits, const char *what)
{
	uint32_t seen = 0;
	int left;

	/* Bits are cleared by reading. */
	for (left = PATIENCE_MS; left > 0 && !(seen & bits); left--) {
		seen |= rd32(vf, VF_MAILBOX);
		usleep(1000);
	}
	if (!(seen & bits))
		die("%s: the PF's driver does not answer: %s", vf->bdf, what);
	return seen;
}

void igb_port_begin_vf(struct vdev *vf)
{
	uint32_t answer;

	wr32(vf, VF_CTRL, CTRL_RST);
	wait_mailbox(vf, MAILBOX_RESET_DONE, "is the PF up?");
	wr32(vf, VF_MAILBOX, MAILBOX_VF_HAS_IT);
	wr32(vf, VF_MESSAGE, MESSAGE_RESET);
	wr32(vf, VF_MAILBOX, MAILBOX_REQUEST);
	wait_mailbox(vf, MAILBOX_PF_HAS_SENT, "reset");
	wr32(vf, VF_MAILBOX, MAILBOX_VF_HAS_IT);
	answer = rd32(vf, VF_MESSAGE);
	wr32(vf, VF_MAILBOX, MAILBOX_ACK);
	if (answer != (MESSAGE_RESET | MESSAGE_ACK))
		die("%s: the PF's driver answers %#x to a reset", vf->bdf, answer);
}

static void settings(void)
{
	struct net_vf vfs[MAX_VFS];
	unsigned int n = igb_vfs();

	must(net_get_vfs(port_index(), vfs, MAX_VFS), "read what is set for virtual functions");
	for (unsigned int i = 0; i < n; i++)
		emit("setting",
		     ",\"vf\":%u,\"mac\":\"%02x:%02x:%02x:%02x:%02x:%02x\",\"vlan\":%u,\"qos\":%u,\"rate\":%u,\"spoofchk\":%d,\"trusted\":%d",
		     i, vfs[i].mac[0], vfs[i].mac[1], vfs[i].mac[2], vfs[i].mac[3],
		     vfs[i].mac[4], vfs[i].mac[5], vfs[i].vlan, vfs[i].qos,
		     vfs[i].rate, vfs[i].spoofchk, vfs[i].trusted);
}

/* Who gets what, who may send. Reading them changes nothing. */
static const struct {
	const char *name;
	unsigned int first, step, n;
} shared[] = {
	{ "RCTL", 0x100, 4, 1 }, { "TCTL", 0x400, 4, 1 },
	{ "VFRE", 0xc8c, 4, 1 }, { "VFTE", 0xc90, 4, 1 },
	{ "QDE", 0x2408, 4, 1 }, { "DTXSWC", 0x3500, 4, 1 },
	{ "VMVIR", 0x3700, 4, 8 }, { "RAL", 0x5400, 8, 16 },
	{ "RAH", 0x5404, 8, 16 }, { "RAL16", 0x54e0, 8, 8 },
	{ "RAH16", 0x54e4, 8, 8 }, { "MTA", 0x5200, 4, 128 },
	{ "VFTA", 0x5600, 4, 128 }, { "MRQC", 0x5818, 4, 1 },
	{ "VT_CTL", 0x581c, 4, 1 }, { "VMOLR", 0x5ad0, 4, 8 },
	{ "RPLOLR", 0x5af0, 4, 1 }, { "VLVF", 0x5d00, 4, 32 },
};

static void registers(void)
{
	struct vdev pf = { .fd = -1 };

	port_index();
	snprintf(pf.bdf, sizeof(pf.bdf), "%s", port_bdf);
	must(vfio_map_sysfs(&pf), "map the PF's BAR");
	for (unsigned int i = 0; i < ARRAY_SIZE(shared); i++) {
		char text[128 * 9 + 1] = "";
		size_t at = 0;

		for (unsigned int k = 0; k < shared[i].n; k++)
			at += snprintf(text + at, sizeof(text) - at, "%s%08x", k ? " " : "",
				       rd32(&pf, shared[i].first + k * shared[i].step));
		emit("register", ",\"name\":\"%s\",\"values\":\"%s\"", shared[i].name, text);
	}
	vfio_unmap(&pf);
}

void igb_port_command(const char *args)
{
	unsigned int m[6];
	int ret = 0;

	if (!strcmp(args, "up") || !strcmp(args, "down")) {
		ret = net_set_up(port_index(), args[0] == 'u');
	} else if (!strcmp(args, "settings")) {
		settings();
	} else if (!strcmp(args, "registers")) {
		registers();
	} else if (sscanf(args, "ask %x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) == 6) {
		uint8_t mac[6] = { m[0], m[1], m[2], m[3], m[4], m[5] };

		ret = net_receive_for(port_index(), mac);
	} else {
		die("port %s?", args);
	}
	emit("port", ",\"what\":\"%.16s\",\"errno\":%d", args, -ret);
}
