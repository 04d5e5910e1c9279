/* SPDX-License-Identifier: GPL-2.0-only */
/* What can be asked of a device, and of the kernel about it. All return 0 or -errno. */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_REQUESTS_H
#define RIG_SCENARIOS_UNCOOPERATIVE_REQUESTS_H

#include "interfaces/vfio.h"

#define PCI_DIR		"/sys/bus/pci/devices"
#define NO_SUCH_TOKEN	0x6e6f7468696e67

/* Says "cell": the answer to @event in @state: an fd or id, 0, or -errno. */
void cell(const char *state, const char *event, int ret);
/* The same, and an fd is closed. */
void cell_fd(const char *state, const char *event, int fd);

int try_write(const char *path, const char *text);
int sysfs_write(const char *bdf, const char *attr, const char *text);
/* Forces a driver on the device, then vfio-pci is the one again. */
int other_driver(const char *bdf, const char *driver);
/* 0 if the driver does not have the device then. */
int new_id(const char *bdf, const char *driver);

int vfio_hot_reset(struct vdev *v);
/* As a driver would; over what another process may have set up before. An eventfd. */
int vfio_set_irq(struct vdev *v);
/* 0: written, and the device goes on as if it had not been. */
int config_flr(struct vdev *v);
int config_d3(struct vdev *v);
/* A bind whose very last step fails: the answer cannot be written. */
int bind_halfway(struct vdev *v, int iommufd);
/* To an iommufd that the session does not have. */
int bind_other(struct vdev *v);
/* In another session. */
int preserve_again(struct vdev *v);
/* Free what nobody uses: what a dead process left in the iommufd. How many. */
unsigned int free_unused(int iommufd);

#endif
