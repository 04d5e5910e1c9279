/* SPDX-License-Identifier: GPL-2.0-only */
/* iommufd calls. All return an object id, an fd or 0, or -errno. */
#ifndef RIG_INTERFACES_IOMMUFD_H
#define RIG_INTERFACES_IOMMUFD_H

#include <stdint.h>

struct uio_hwpt_verify;

int iommufd_open(void);
int iommufd_ioas_alloc(int iommufd);
int iommufd_map_file(int iommufd, uint32_t ioas, int fd, uint64_t start,
		     uint64_t length, uint64_t iova);
/* For reading only. */
int iommufd_map_file_ro(int iommufd, uint32_t ioas, int fd, uint64_t start,
			uint64_t length, uint64_t iova);
/* What is pinned is this process's from now on, and no longer of whose it was. */
int iommufd_change_process(int iommufd);
/* Without an IOMMU: where an IOVA is in the machine, and for how many bytes of @bytes on. */
int iommufd_get_pa(int iommufd, uint32_t ioas, uint64_t iova, uint64_t *bytes,
		   uint64_t *pa);
int iommufd_unmap(int iommufd, uint32_t ioas, uint64_t iova, uint64_t length);
int iommufd_hwpt_alloc(int iommufd, uint32_t dev, uint32_t ioas);
/* One that a PASID can be attached to as well. */
int iommufd_hwpt_alloc_pasid(int iommufd, uint32_t dev, uint32_t ioas);
int iommufd_destroy(int iommufd, uint32_t id);
/* @flags: UIO_MARK_…; without one the call is as short as it was at first. */
int iommufd_hwpt_mark(int iommufd, uint32_t hwpt, uint64_t token,
		      uint32_t flags);
int iommufd_hwpt_restore(int iommufd, uint64_t token);
/* Compare a restored HWPT with another one: 0 with the answer in @arg. */
int iommufd_hwpt_verify(int iommufd, uint32_t restored, uint32_t hwpt,
			struct uio_hwpt_verify *arg);

#endif
