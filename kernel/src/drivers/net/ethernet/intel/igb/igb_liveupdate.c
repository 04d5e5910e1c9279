// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: An igb whose virtual functions go on while the kernel is replaced
 *
 * This driver has the physical function (PF); drivers/pci/liveupdate_iov.c says what it owes its
 * virtual ones (VFs). It is also the model for the drivers of other PFs: what has to be kept, and
 * where such a driver would break it.
 *
 * What VFs need of the PF is in registers that all functions share: reception and transmission
 * as such (RCTL, TCTL), who gets which frames (RAR, VLVF, VFTA, MTA, VMOLR, MRQC), who may send
 * (VFTE, DTXSWC), the link. A reset, which this driver makes whenever its interface goes down,
 * takes all of it away. So as long as igb_liveupdate_keeps() says so:
 *
 * - There is no reset of the device, nor of its PHY, and VFs are not told that there was one.
 *   Instead the PF's own queues are stopped, because their memory goes next.
 * - Reception and transmission stay on when the interface goes down, and so does the link.
 * - Queue 0 is left alone, which is a VF's.
 * - What an administrator asks for that needs one of these gets -EBUSY: speed, flow control and
 *   the number of queues. Of the self-test only what does not stop the device is done.
 *
 * Addresses, VLANs and the like of VFs can be changed as ever.
 *
 * The handover has what is in no register, see include/linux/kho/abi/igb.h. The next kernel's
 * driver reads the rest: filters that a VF has asked for are those that name its pool, and
 * those that name the PF's go. Messages that VFs have sent in the meantime are looked at when the
 * interface is opened.
 *
 * If the interface was down, VFs get no frames, and nothing of this applies but the handover:
 * the next kernel's driver resets the device, as ever, and knows its VFs.
 *
 * What is set for a VF after the PF was stopped, some milliseconds before the jump, is in the
 * registers only.
 *
 * Not tried on hardware, where a PF with a PHY behind SGMII, for one, has more in CTRL_EXT.
 *
 * "Intel 82576 Gigabit Ethernet Controller Datasheet", section "Virtualization".
 */

#include <linux/bitops.h>
#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/kho/abi/igb.h>
#include <linux/kho/abi/pci.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "igb.h"
#include "igb_liveupdate_check.h"

/* The layout is a contract; see include/linux/kho/abi/igb.h. */
static_assert(sizeof(struct igb_vf_ser) == 80);
static_assert(sizeof(struct igb_pf_ser) == 576);
static_assert(sizeof(struct igb_pf_ser) <= PCI_PF_DRIVER_MAX_SIZE);
static_assert(IGB_SER_MC_HASHES == IGB_MAX_VF_MC_ENTRIES);

/* Each pool has the queue of its number, and on 82576 a second one, so many further. */
#define POOLS		8
#define STOP_MS		100
#define RAH_POOLS(rah)	(((rah) / E1000_RAH_POOL_1) & (BIT(POOLS) - 1))

static struct igb_adapter *adapter_of(struct pci_dev *pf)
{
	return netdev_priv(pci_get_drvdata(pf));
}

/**
 * igb_liveupdate_holds() - Must VFs stay?
 * @adapter: The PF.
 *
 * Return: true if they are preserved, or came with a live update and either are not finished or
 * the interface has not been opened since.
 */
bool igb_liveupdate_holds(struct igb_adapter *adapter)
{
	return adapter->flags & IGB_FLAG_TAKEN_OVER ||
	       pci_liveupdate_keeps_vfs(adapter->pdev);
}

/**
 * igb_liveupdate_keeps() - Must VFs notice nothing of what happens now?
 * @adapter: The PF.
 *
 * Return: true if they must stay, and get frames.
 */
bool igb_liveupdate_keeps(struct igb_adapter *adapter)
{
	struct e1000_hw *hw = &adapter->hw;

	return igb_liveupdate_holds(adapter) &&
	       rd32(E1000_RCTL) & E1000_RCTL_EN;
}

/*
 * The PF's own DMA ends. The queues of a VF are those of its pool; all others are the PF's, whoever
 * has used them.
 */
static void stop_queues(struct igb_adapter *adapter)
{
	struct e1000_hw *hw = &adapter->hw;
	u32 queues = hw->mac.type == e1000_82576 ? 2 * POOLS : POOLS;
	u32 left = STOP_MS, busy, i;

	for (i = 0; i < queues; i++) {
		if (i % POOLS < adapter->vfs_allocated_count)
			continue;
		wr32(E1000_RXDCTL(i), 0);
		wr32(E1000_TXDCTL(i), 0);
	}
	/* What is under way comes to its end. */
	do {
		usleep_range(1000, 2000);
		busy = 0;
		for (i = 0; i < queues; i++)
			if (i % POOLS >= adapter->vfs_allocated_count)
				busy |= rd32(E1000_RXDCTL(i)) | rd32(E1000_TXDCTL(i));
	} while (busy & E1000_RXDCTL_QUEUE_ENABLE && --left);
	if (!left)
		dev_err(&adapter->pdev->dev, "liveupdate: a queue of its own does not stop\n");
}

/* What the previous kernel's PF has asked for, and this one's will ask for again, if it does. */
static void drop_own_addresses(struct igb_adapter *adapter)
{
	u32 own = adapter->vfs_allocated_count, i;
	struct e1000_hw *hw = &adapter->hw;

	for (i = 1; i < hw->mac.rar_entry_count - own; i++) {
		if (RAH_POOLS(rd32(E1000_RAH(i))) == BIT(own)) {
			wr32(E1000_RAH(i), 0);
			wr32(E1000_RAL(i), 0);
		}
	}
}

/* Also where an entry is not in use: promiscuous mode does that. */
static void drop_own_vlans(struct igb_adapter *adapter)
{
	u32 own = BIT(E1000_VLVF_POOLSEL_SHIFT + adapter->vfs_allocated_count);
	struct e1000_hw *hw = &adapter->hw;
	u32 vlvf, i;

	for (i = 0; i < E1000_VLVF_ARRAY_SIZE; i++) {
		vlvf = rd32(E1000_VLVF(i));
		if (!(vlvf & own))
			continue;
		vlvf &= ~own;
		wr32(E1000_VLVF(i), vlvf & E1000_VLVF_POOLSEL_MASK ? vlvf : 0);
	}
}

/* All VLANs that a VF is in, and no others. Bits are written that are there already. */
static void restore_vlans(struct igb_adapter *adapter)
{
	struct e1000_hw *hw = &adapter->hw;
	u32 vlvf, vid, i;

	memset(adapter->shadow_vfta, 0,
	       E1000_VLAN_FILTER_TBL_SIZE * sizeof(*adapter->shadow_vfta));
	adapter->shadow_vfta[0] = BIT(0);
	for (i = 0; i < E1000_VLVF_ARRAY_SIZE; i++) {
		vlvf = rd32(E1000_VLVF(i));
		vid = vlvf & E1000_VLVF_VLANID_MASK;
		if (vlvf & E1000_VLVF_VLANID_ENABLE)
			adapter->shadow_vfta[vid / 32] |= BIT(vid % 32);
	}
	for (i = 0; i < E1000_VLAN_FILTER_TBL_SIZE; i++)
		hw->mac.ops.write_vfta(hw, i, adapter->shadow_vfta[i]);
}

/* As the link is. Else it would be set up anew by the driver's own idea of it, which it has not. */
static void inherit_flow_control(struct e1000_hw *hw)
{
	u32 ctrl = rd32(E1000_CTRL);

	hw->fc.current_mode = (ctrl & E1000_CTRL_RFCE ? e1000_fc_rx_pause : 0) |
			      (ctrl & E1000_CTRL_TFCE ? e1000_fc_tx_pause : 0);
	hw->fc.requested_mode = hw->fc.current_mode;
}

/**
 * igb_liveupdate_not_reset() - A reset of the device is due
 * @adapter: The PF, whose interface is down.
 *
 * Context: Process; may sleep.
 * Return: true if there must be none. The PF's own queues are stopped then.
 */
bool igb_liveupdate_not_reset(struct igb_adapter *adapter)
{
	adapter->flags &= ~IGB_FLAG_NOT_RESET;
	if (!igb_liveupdate_keeps(adapter))
		return false;
	adapter->flags |= IGB_FLAG_NOT_RESET;
	stop_queues(adapter);
	if (adapter->flags & IGB_FLAG_TAKEN_OVER) {
		drop_own_addresses(adapter);
		inherit_flow_control(&adapter->hw);
	}
	if (adapter->flags & (IGB_FLAG_TAKEN_OVER | IGB_FLAG_VLAN_PROMISC)) {
		drop_own_vlans(adapter);
		restore_vlans(adapter);
	}
	return true;
}

/**
 * igb_liveupdate_up() - The interface goes up
 * @adapter: The PF, with its interrupts on.
 *
 * Messages of VFs are looked at that came when there was no interrupt.
 *
 * Return: true if VFs need not be told of a reset, because there was none.
 */
bool igb_liveupdate_up(struct igb_adapter *adapter)
{
	struct e1000_hw *hw = &adapter->hw;

	if (adapter->flags & IGB_FLAG_TAKEN_OVER) {
		adapter->flags &= ~IGB_FLAG_TAKEN_OVER;
		pci_liveupdate_pf_taken(adapter->pdev);
	}
	if (!(adapter->flags & IGB_FLAG_NOT_RESET))
		return false;
	wr32(E1000_ICS, E1000_ICR_VMMB);
	return true;
}

/**
 * igb_liveupdate_mta() - Multicast addresses of VFs, before the table is written
 * @adapter: The PF, whose own are in the copy of the table.
 */
void igb_liveupdate_mta(struct igb_adapter *adapter)
{
	struct e1000_mac_info *mac = &adapter->hw.mac;
	struct vf_data_storage *vf;
	unsigned int i, j;
	u32 hash;

	for (i = 0; i < adapter->vfs_allocated_count; i++) {
		vf = &adapter->vf_data[i];
		for (j = 0; j < min(vf->num_vf_mc_hashes, IGB_MAX_VF_MC_ENTRIES); j++) {
			hash = vf->vf_mc_hashes[j];
			mac->mta_shadow[(hash >> 5) & (mac->mta_reg_count - 1)] |=
				BIT(hash & 0x1f);
		}
	}
}

/* Handing over */

static const struct {
	u32 driver;
	u32 ser;
} vf_flags[] = {
	{ IGB_VF_FLAG_CTS,		IGB_VF_SER_CLEAR_TO_SEND },
	{ IGB_VF_FLAG_UNI_PROMISC,	IGB_VF_SER_UNI_PROMISC },
	{ IGB_VF_FLAG_MULTI_PROMISC,	IGB_VF_SER_MULTI_PROMISC },
	{ IGB_VF_FLAG_PF_SET_MAC,	IGB_VF_SER_PF_SET_MAC },
};

static void fill_vf(struct igb_vf_ser *ser, const struct vf_data_storage *vf)
{
	unsigned int i, n = min(vf->num_vf_mc_hashes, IGB_MAX_VF_MC_ENTRIES);

	ether_addr_copy(ser->mac, vf->vf_mac_addresses);
	for (i = 0; i < ARRAY_SIZE(vf_flags); i++)
		if (vf->flags & vf_flags[i].driver)
			ser->flags |= vf_flags[i].ser;
	if (vf->spoofchk_enabled)
		ser->flags |= IGB_VF_SER_SPOOFCHK;
	if (vf->trusted)
		ser->flags |= IGB_VF_SER_TRUSTED;
	ser->vlan = vf->pf_vlan;
	ser->qos = vf->pf_qos;
	ser->tx_rate = vf->tx_rate;
	ser->nr_mc_hashes = vf->num_vf_mc_hashes;
	for (i = 0; i < n; i++)
		ser->mc_hashes[i] = vf->vf_mc_hashes[i] & 0xfff;
}

static void igb_liveupdate_fill(struct pci_dev *pf, void *data)
{
	struct igb_adapter *adapter = adapter_of(pf);
	struct igb_pf_ser *ser = data;
	unsigned long flags;
	unsigned int i;

	ser->version = IGB_PF_SER_VERSION;
	ser->rate_link_speed = adapter->vf_rate_link_speed;
	spin_lock_irqsave(&adapter->vfs_lock, flags);
	ser->nr_vfs = adapter->vfs_allocated_count;
	for (i = 0; i < min(ser->nr_vfs, IGB_SER_MAX_VFS); i++)
		fill_vf(&ser->vfs[i], &adapter->vf_data[i]);
	spin_unlock_irqrestore(&adapter->vfs_lock, flags);
}

static const char *igb_liveupdate_check(struct pci_dev *pf, const void *data)
{
	/* There is none before the probe. */
	bool bound = pci_get_drvdata(pf);
	const struct igb_pf_ser *ser = data;
	const char *why = igb_pf_ser_check(ser);

	if (!why && ser->nr_vfs != pci_num_vf(pf))
		why = "number of VFs differs from that of the device";
	if (!why && bound && test_bit(__IGB_TESTING, &adapter_of(pf)->state))
		why = "its self-test is under way";
	return why;
}

static void igb_liveupdate_stop(struct pci_dev *pf)
{
	struct net_device *netdev = pci_get_drvdata(pf);

	rtnl_lock();
	dev_close(netdev);
	/* Nobody opens it again. */
	netif_device_detach(netdev);
	rtnl_unlock();
}

const struct pci_liveupdate_pf_ops igb_liveupdate_pf_ops = {
	.compatible = IGB_LIVEUPDATE_COMPATIBLE,
	.size = sizeof(struct igb_pf_ser),
	.fill = igb_liveupdate_fill,
	.check = igb_liveupdate_check,
	.stop = igb_liveupdate_stop,
};

/* Taking over */

/**
 * igb_liveupdate_vfs() - How many VFs does a new PF begin with?
 * @adapter: The PF, which has not been touched.
 * @vfs: How many are to be switched on otherwise.
 *
 * Return: as many as are on since the previous kernel, if they were handed over; else @vfs.
 */
unsigned int igb_liveupdate_vfs(struct igb_adapter *adapter, unsigned int vfs)
{
	struct igb_pf_ser ser;

	if (!pci_liveupdate_pf_handover(adapter->pdev, &igb_liveupdate_pf_ops, &ser))
		return vfs;
	adapter->flags |= IGB_FLAG_TAKEN_OVER;
	return ser.nr_vfs;
}

static void restore_vf(struct vf_data_storage *vf, const struct igb_vf_ser *ser)
{
	unsigned int i;

	ether_addr_copy(vf->vf_mac_addresses, ser->mac);
	for (i = 0; i < ARRAY_SIZE(vf_flags); i++)
		if (ser->flags & vf_flags[i].ser)
			vf->flags |= vf_flags[i].driver;
	vf->last_nack = jiffies;
	vf->spoofchk_enabled = ser->flags & IGB_VF_SER_SPOOFCHK;
	vf->trusted = ser->flags & IGB_VF_SER_TRUSTED;
	vf->pf_vlan = ser->vlan;
	vf->pf_qos = ser->qos;
	vf->tx_rate = ser->tx_rate;
	vf->num_vf_mc_hashes = ser->nr_mc_hashes;
	memcpy(vf->vf_mc_hashes, ser->mc_hashes, sizeof(vf->vf_mc_hashes));
}

static void use_address(struct igb_adapter *adapter, u32 index, const u8 *mac, u32 vf)
{
	ether_addr_copy(adapter->mac_table[index].addr, mac);
	adapter->mac_table[index].queue = vf;
	adapter->mac_table[index].state = IGB_MAC_STATE_IN_USE;
}

/* Addresses that a VF has asked for besides its own are only in the registers. */
static void restore_filters(struct igb_adapter *adapter)
{
	u32 vfs = adapter->vfs_allocated_count, rah, ral, i;
	struct e1000_hw *hw = &adapter->hw;
	struct vf_mac_filter *entry;
	u8 mac[ETH_ALEN];

	if (!adapter->vf_mac_list)
		return;
	entry = list_first_entry(&adapter->vf_macs.l, struct vf_mac_filter, l);
	for (i = 1; i < hw->mac.rar_entry_count - vfs; i++) {
		rah = rd32(E1000_RAH(i));
		ral = rd32(E1000_RAL(i));
		if (!(rah & E1000_RAH_AV) || !RAH_POOLS(rah) ||
		    RAH_POOLS(rah) >= BIT(vfs) ||
		    list_entry_is_head(entry, &adapter->vf_macs.l, l))
			continue;
		put_unaligned_le32(ral, mac);
		put_unaligned_le16(rah, mac + 4);
		entry->vf = __ffs(RAH_POOLS(rah));
		entry->free = false;
		ether_addr_copy(entry->vf_mac, mac);
		use_address(adapter, i, mac, entry->vf);
		entry = list_next_entry(entry, l);
	}
}

/**
 * igb_liveupdate_restore() - Take VFs over instead of beginning with new ones
 * @adapter: The PF; there is room for its VFs.
 *
 * Return: how many VFs were taken over; 0 if they are new.
 */
unsigned int igb_liveupdate_restore(struct igb_adapter *adapter)
{
	struct igb_pf_ser ser;
	unsigned int i;

	if (!(adapter->flags & IGB_FLAG_TAKEN_OVER) ||
	    !pci_liveupdate_pf_handover(adapter->pdev, &igb_liveupdate_pf_ops, &ser))
		return 0;
	adapter->vf_rate_link_speed = ser.rate_link_speed;
	for (i = 0; i < ser.nr_vfs; i++) {
		restore_vf(&adapter->vf_data[i], &ser.vfs[i]);
		use_address(adapter, adapter->hw.mac.rar_entry_count - (i + 1),
			    ser.vfs[i].mac, i);
	}
	restore_filters(adapter);
	dev_info(&adapter->pdev->dev, "liveupdate: %u virtual functions go on since the previous kernel\n",
		 ser.nr_vfs);
	return ser.nr_vfs;
}

/**
 * igb_liveupdate_failed() - Could a PF not be taken over?
 * @adapter: The PF, in its probe; what is needed for its VFs and its interrupts was set up.
 *
 * Return: true if its VFs go on, and there was no memory for them, or no MSI-X, without which
 * this driver has none. Then it must not go on.
 */
bool igb_liveupdate_failed(struct igb_adapter *adapter)
{
	if (!(adapter->flags & IGB_FLAG_TAKEN_OVER) ||
	    (adapter->vf_data && adapter->flags & IGB_FLAG_HAS_MSIX))
		return false;
	dev_err(&adapter->pdev->dev, "liveupdate: not taken over, for want of memory or MSI-X; its virtual functions go on without it\n");
	return true;
}

/**
 * igb_liveupdate_forget() - The driver lets go of a PF
 * @adapter: The PF.
 *
 * Return: true if it was taken over and could not be set up: its VFs stay as they are, for the
 * next try, and nothing is left that belongs to @adapter. False if they go.
 */
bool igb_liveupdate_forget(struct igb_adapter *adapter)
{
	if (adapter->netdev->reg_state == NETREG_REGISTERED ||
	    !igb_liveupdate_holds(adapter)) {
		adapter->flags &= ~IGB_FLAG_TAKEN_OVER;
		pci_liveupdate_pf_taken(adapter->pdev);
		return false;
	}
	kfree(adapter->vf_mac_list);
	adapter->vf_mac_list = NULL;
	kfree(adapter->vf_data);
	adapter->vf_data = NULL;
	adapter->vfs_allocated_count = 0;
	return true;
}
