// SPDX-License-Identifier: GPL-2.0-only
#include "core/end.h"
#include "devices/pf_owner.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "update/names.h"
#include "update/pf_preserve.h"

int pf_try_preserve(void)
{
	struct pf_owner *o = &pf_owner;

	must(iommufd_hwpt_mark(o->iommufd, o->hwpt, TOKEN_HWPT_NIC, 0),
	     "mark the PF's HWPT");
	o->session = luo_session_create(PF_SESSION);
	must(o->session, "create the session of the PF's owner");
	must(luo_preserve(o->session, o->memfd, TOKEN_MEMFD),
	     "preserve the memory of the PF's owner");
	must(luo_preserve(o->session, o->iommufd, TOKEN_IOMMUFD),
	     "preserve the iommufd of the PF's owner");
	return luo_preserve(o->session, o->v.fd, TOKEN_NIC);
}

void pf_preserve(void)
{
	must(pf_try_preserve(), "preserve the PF");
}
