/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_IGB_H
#define _LINUX_KHO_ABI_IGB_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * DOC: igb Live Update ABI
 *
 * What the driver igb hands over for a physical function whose virtual functions (VFs) go
 * on working while the kernel is replaced: a &struct igb_pf_ser as the data of a
 * &struct pci_pf_driver_ser. It is what an administrator, or the VFs by their mailboxes, have
 * told the driver. Filters that only the registers have are not in it.
 *
 * This interface is a contract. A change of the layout, or of what a field
 * means, needs another version in %IGB_LIVEUPDATE_COMPATIBLE and in %IGB_PF_SER_VERSION.
 */

#define IGB_LIVEUPDATE_COMPATIBLE	"igb-pf-v1"

#define IGB_PF_SER_VERSION		1

/* No device of this driver has more VFs. */
#define IGB_SER_MAX_VFS			7
/* Hashes of multicast addresses that are kept for a VF */
#define IGB_SER_MC_HASHES		30
/* A VF can ask for more, and then gets all of them. */
#define IGB_SER_MAX_MC_HASHES		255

/**
 * enum igb_vf_ser_flags - Bits of &struct igb_vf_ser.flags.
 * @IGB_VF_SER_CLEAR_TO_SEND: It has reset itself since the PF was reset, and may ask for things.
 * @IGB_VF_SER_UNI_PROMISC: It gets all unicast frames.
 * @IGB_VF_SER_MULTI_PROMISC: It gets all multicast frames.
 * @IGB_VF_SER_PF_SET_MAC: Its address was set by the administrator.
 * @IGB_VF_SER_SPOOFCHK: It may only send with its own address.
 * @IGB_VF_SER_TRUSTED: It may change its address although the administrator has set it.
 */
enum igb_vf_ser_flags {
	IGB_VF_SER_CLEAR_TO_SEND	= BIT(0),
	IGB_VF_SER_UNI_PROMISC		= BIT(1),
	IGB_VF_SER_MULTI_PROMISC	= BIT(2),
	IGB_VF_SER_PF_SET_MAC		= BIT(3),
	IGB_VF_SER_SPOOFCHK		= BIT(4),
	IGB_VF_SER_TRUSTED		= BIT(5),
};

/**
 * struct igb_vf_ser - One VF.
 * @mac: Its address, in the order of transmission; all 0 if it has none yet.
 * @nr_mc_hashes: Number of multicast addresses that it has asked for; up to
 *	%IGB_SER_MAX_MC_HASHES.
 * @flags: See &enum igb_vf_ser_flags.
 * @vlan: VLAN that the administrator has put it into, 1 to 4095; 0: none.
 * @qos: Priority of its frames with that, 0 to 7.
 * @tx_rate: Most that it may send, in Mbit/s; 0: no limit.
 * @reserved: 0.
 * @mc_hashes: Hashes of the first %IGB_SER_MC_HASHES of these addresses, 12 bits each; the
 *	rest is 0.
 */
struct igb_vf_ser {
	u8 mac[6];
	u16 nr_mc_hashes;
	u32 flags;
	u16 vlan;
	u16 qos;
	u16 tx_rate;
	u16 reserved;
	u16 mc_hashes[IGB_SER_MC_HASHES];
} __packed;

/**
 * struct igb_pf_ser - A PF.
 * @version: %IGB_PF_SER_VERSION. First in every version of this structure.
 * @nr_vfs: Number of its VFs, 1 to %IGB_SER_MAX_VFS.
 * @reserved: 0.
 * @rate_link_speed: Speed of the link in Mbit/s that the limits were worked out for; 0 if no
 *	VF has one.
 * @reserved2: 0.
 * @vfs: Its VFs; the rest is 0.
 */
struct igb_pf_ser {
	u32 version;
	u16 nr_vfs;
	u16 reserved;
	u32 rate_link_speed;
	u32 reserved2;
	struct igb_vf_ser vfs[IGB_SER_MAX_VFS];
} __packed;

#endif /* _LINUX_KHO_ABI_IGB_H */
