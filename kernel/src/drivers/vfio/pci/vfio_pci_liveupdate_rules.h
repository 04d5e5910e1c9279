/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* What vfio-pci demands of a device that is to be preserved */

LIVEUPDATE_RULE(vfio_unbound, EINVAL, "the file is not one of a cdev that is bound to an iommufd");
LIVEUPDATE_RULE(vfio_vf_token, EBUSY,
		"virtual functions were switched on or off while it was being preserved");
LIVEUPDATE_RULE(vfio_migration, EOPNOTSUPP, "the driver supports migration");
LIVEUPDATE_RULE(vfio_display, EOPNOTSUPP, "it is a display, or has regions other than its BARs");
LIVEUPDATE_RULE(vfio_low_power, EBUSY, "it is in a low power state");
LIVEUPDATE_RULE(vfio_iommufd, ENOENT, "preserve its iommufd first, in the same session");
