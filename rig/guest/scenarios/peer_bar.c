// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/peer_bar.h"
#include "update/names.h"
#include "update/preserve.h"

#define PEER_IOVA	0x3000000000ull		/* where nothing else is mapped */

/* As a QEMU that hands its devices on: another process takes what is pinned, and here it comes back. 0 or the errno. */
static int change_process(int iommufd)
{
	pid_t pid = fork();
	int status;

	must(pid < 0 ? -errno : pid, "fork");
	if (!pid)
		_exit(-iommufd_change_process(iommufd));
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status))
		die("the other process was ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status) ?: -iommufd_change_process(iommufd);
}

void peer_bar(struct rig *r)
{
	int dmabuf = vfio_export_bar(&r->audio.v, 0, r->audio.v.bar0_len), changed, ret;

	must(dmabuf, "export the audio device's BAR");
	must(iommufd_map_file(r->iommufd, r->ioas, dmabuf, 0, r->audio.v.bar0_len, PEER_IOVA), "map the audio device's BAR");
	changed = change_process(r->iommufd);
	mark_hwpts(r);
	r->session = luo_session_create(SESSION);
	must(r->session, "create a live update session");
	must(luo_preserve(r->session, r->memfd, TOKEN_MEMFD), "preserve the memfd");
	ret = luo_preserve(r->session, r->iommufd, TOKEN_IOMMUFD);
	close(r->session);
	r->session = -1;
	must(iommufd_unmap(r->iommufd, r->ioas, PEER_IOVA, r->audio.v.bar0_len), "unmap the audio device's BAR");
	emit("peer", ",\"errno\":%d,\"iova\":\"%#llx\",\"changed\":%d", ret < 0 ? -ret : 0, PEER_IOVA, changed);
}
