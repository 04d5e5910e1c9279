// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/kho/abi/igb.h>
#include <linux/types.h>

#include "igb_liveupdate_check.h"

#define FLAGS	(IGB_VF_SER_CLEAR_TO_SEND | IGB_VF_SER_UNI_PROMISC | \
		 IGB_VF_SER_MULTI_PROMISC | IGB_VF_SER_PF_SET_MAC | \
		 IGB_VF_SER_SPOOFCHK | IGB_VF_SER_TRUSTED)

#define MAC_GROUP	0x01
#define MAX_VLAN	4095
#define MAX_QOS		7
#define MAX_HASH	0xfff

static bool is_zero(const void *p, size_t size)
{
	const u8 *byte = p;

	while (size--)
		if (*byte++)
			return false;
	return true;
}

static const char *check_vf(const struct igb_pf_ser *ser,
			    const struct igb_vf_ser *vf)
{
	unsigned int i;

	if (vf->reserved || vf->flags & ~FLAGS)
		return "unknown flags or reserved field of a VF";
	if (vf->mac[0] & MAC_GROUP)
		return "address of a VF is one of a group";
	if (vf->flags & IGB_VF_SER_PF_SET_MAC && is_zero(vf->mac, sizeof(vf->mac)))
		return "the administrator has set no address";
	if (vf->vlan > MAX_VLAN || vf->qos > MAX_QOS)
		return "VLAN or priority of a VF";
	if (vf->tx_rate > ser->rate_link_speed)
		return "a VF may send more than the link does";
	if (vf->nr_mc_hashes > IGB_SER_MAX_MC_HASHES)
		return "number of multicast addresses of a VF";
	for (i = 0; i < IGB_SER_MC_HASHES; i++)
		if (vf->mc_hashes[i] > (i < vf->nr_mc_hashes ? MAX_HASH : 0))
			return "hash of a multicast address of a VF";
	return NULL;
}

/**
 * igb_pf_ser_check() - Check what was handed over for a PF
 * @ser: That, of the size of the structure.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *igb_pf_ser_check(const struct igb_pf_ser *ser)
{
	const char *why = NULL;
	unsigned int i;

	if (ser->version != IGB_PF_SER_VERSION)
		return "version of what igb hands over is not known";
	if (ser->reserved || ser->reserved2)
		return "reserved field of what igb hands over";
	if (!ser->nr_vfs || ser->nr_vfs > IGB_SER_MAX_VFS)
		return "number of VFs of an igb";
	if (ser->rate_link_speed && ser->rate_link_speed != 100 &&
	    ser->rate_link_speed != 1000)
		return "speed of the link of an igb";
	for (i = 0; i < ser->nr_vfs && !why; i++)
		why = check_vf(ser, &ser->vfs[i]);
	for (; i < IGB_SER_MAX_VFS && !why; i++)
		if (!is_zero(&ser->vfs[i], sizeof(ser->vfs[i])))
			why = "a VF that an igb does not have";
	return why;
}
