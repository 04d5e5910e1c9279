/* SPDX-License-Identifier: GPL-2.0-only */
/* A PCI device driven through its VFIO cdev. */
#ifndef RIG_INTERFACES_VFIO_H
#define RIG_INTERFACES_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BDF_LEN 16
#define VF_TOKEN_SIZE 16

struct vdev {
	int fd;
	uint32_t devid;		/* in the iommufd it is bound to */
	char bdf[BDF_LEN];
	volatile uint8_t *bar0;
	size_t bar0_len;
	uint64_t config_off;	/* of config space in fd */
	const uint8_t *token;	/* to bind with, VF_TOKEN_SIZE bytes; NULL: without one */
};

/* The @nth device (from 0, by address) of that id; 0, or -ENODEV. */
int vfio_find(uint16_t vendor, uint16_t device, unsigned int nth,
	      char bdf[BDF_LEN]);
/* Gives the device to vfio-pci, whichever driver has it. */
void vfio_give(const char *bdf);
/* That, and opens its cdev: the fd, or -errno. */
int vfio_open_cdev(const char *bdf);
int vfio_bind(struct vdev *v, int iommufd);
/* Of a PF: what who opens its VFs has to know. */
int vfio_set_token(struct vdev *v, const uint8_t *token);
int vfio_attach(struct vdev *v, uint32_t pt_id);
int vfio_detach(struct vdev *v);
/* Attaches a PASID of the device, or moves it to another HWPT. */
int vfio_attach_pasid(struct vdev *v, uint32_t pasid, uint32_t pt_id);
int vfio_detach_pasid(struct vdev *v, uint32_t pasid);
int vfio_reset(struct vdev *v);
/* User space says that it does not use the device, or that it does again. */
int vfio_low_power(struct vdev *v, bool on);
/* One of its BARs, from its begin on, as dma-buf: the fd, or -errno. */
int vfio_export_bar(struct vdev *v, unsigned int n, size_t bytes);
/* Finds the config space of a device that is bound. */
int vfio_map_config(struct vdev *v);
/* One of its BARs, or NULL. */
volatile uint8_t *vfio_map_bar(struct vdev *v, unsigned int n);
/* Finds BAR 0 and config space of a device that is bound. */
int vfio_map(struct vdev *v);
/* BAR 0 of a device that VFIO does not have, by way of sysfs. */
int vfio_map_sysfs(struct vdev *v);
/* The BAR is not used any more. */
void vfio_unmap(struct vdev *v);
uint16_t vfio_config_read16(struct vdev *v, unsigned int off);
void vfio_config_write16(struct vdev *v, unsigned int off, uint16_t val);
void vfio_enable_dma(struct vdev *v);

static inline uint32_t rd32(struct vdev *v, unsigned int off)
{
	return *(volatile uint32_t *)(v->bar0 + off);
}

static inline void wr32(struct vdev *v, unsigned int off, uint32_t val)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*(volatile uint32_t *)(v->bar0 + off) = val;
}

#endif
