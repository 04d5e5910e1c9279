/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* What is demanded of a memfd of huge pages that is to be preserved */

LIVEUPDATE_RULE(hugetlb_seals, EOPNOTSUPP, "it has a seal that cannot be handed over");
LIVEUPDATE_RULE(hugetlb_vmemmap, EOPNOTSUPP,
		"struct pages of it were freed (hugetlb_free_vmemmap=on)");
LIVEUPDATE_RULE(hugetlb_cma, EOPNOTSUPP, "it is of a CMA area (hugetlb_cma=)");
LIVEUPDATE_RULE(hugetlb_bad, EHWPOISON, "memory of it is bad");
LIVEUPDATE_RULE(hugetlb_pools, ENOSPC, "pages of too many sizes and nodes are preserved");
