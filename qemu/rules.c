// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"

/* The first that fits is the one that is named. */
const struct rule rules[] = {
	{ "version", "QEMU other than 10.2 and 11.1, Debian 13's 10.0 among them",
	  .instead = "start the VM with a QEMU whose CPR channel is known" },
	{ "memory-file", "guest memory in a file that is not on guestmemfs, has no name or another memory in it, is not shared, or is touched by QEMU (prealloc)",
	  .instead = "a file of its own: -object memory-backend-file,id=ID,size=SIZE,share=on,mem-path=/DIR/FILE with guestmemfs mounted at /DIR" },
	{ "memory", "guest memory that is neither a sealed memfd nor a file of guestmemfs",
	  .objects = "memory-backend-ram memory-backend-shm",
	  .options = "mem-path mem-prealloc object:seal=off object:share=off numa:mem=*",
	  .instead = "-object memory-backend-memfd,id=ID,size=SIZE,share=on and -machine memory-backend=ID" },
	{ "aux-ram-share", "memory of emulated devices that no descriptor stands for",
	  .options = "machine:aux-ram-share=off",
	  .instead = "-machine aux-ram-share=on" },
	{ "iommufd", "a VFIO device in a container, without iommufd",
	  .instead = "-object iommufd,id=ID and -device vfio-pci,…,iommufd=ID" },
	{ "one-iommufd", "VFIO devices in more than one iommufd",
	  .instead = "the same -object iommufd for all devices" },
	{ "vfio-other", "VFIO devices that are not vfio-pci (mdev, ap, ccw, platform, vfio-user), displays of theirs",
	  .devices = "vfio-ap vfio-ccw vfio-platform* vfio-amd-xgbe vfio-calxeda-xgmac vfio-user-pci vfio-pci-igd-lpc-bridge",
	  .options = "device:display=on device:x-vga=on device:ramfb=on",
	  .instead = "-device vfio-pci,host=…" },
	{ "vfio-migration", "a VFIO device whose own driver saves and restores its state",
	  .options = "device:enable-migration=on",
	  .instead = "enable-migration=off, if the device can do without it" },
	{ "vfio-reset", "a device that QEMU can reset only through its bus (no FLR): a QEMU that takes a VM stops its DMA first",
	  .instead = "a device with FLR, or one that is alone behind its port" },
	{ "vfio-token", "a virtual function whose physical one vfio-pci has, or a physical one with virtual ones: QEMU binds them without a token (vf-token)",
	  .options = "device:vf-token=*",
	  .instead = "a virtual function whose physical one has no driver, igb or pci-pf-stub, and no vf-token" },
	{ "vfio-p2p", "two VFIO devices or more, on a kernel that lets one do DMA to the BARs of another (CONFIG_PCI_P2PDMA): that cannot go on",
	  .instead = "--no-p2p, if the guest's drivers do not have one device do DMA to another (those of GPUs, RDMA and NVMe may)" },
	{ "vfio-fault", "a device with page faults or PASIDs (PRI, SVA)",
	  .options = "device:x-vpasid-cap-offset=*",
	  .instead = "leave that off" },
	{ "viommu", "an IOMMU that the guest has",
	  .devices = "intel-iommu amd-iommu AMDVI-PCI virtio-iommu* arm-smmuv3",
	  .options = "machine:iommu=*",
	  .instead = "no IOMMU in the guest" },
	{ "vdpa", "vDPA devices",
	  .devices = "vhost-vdpa*",
	  .options = "netdev:vhost-vdpa blockdev:virtio-blk-vhost-vdpa",
	  .files = "/dev/vhost-vdpa*",
	  .instead = "an emulated device, or vfio-pci" },
	{ "vhost", "virtio devices that the kernel or another process serves (vhost, vhost-user)",
	  .devices = "vhost-*",
	  .options = "netdev:vhost=on netdev:vhostforce=on netdev:vhost-user device:vhostforce=on",
	  .files = "/dev/vhost-*",
	  .instead = "vhost=off, and devices that QEMU serves itself" },
	{ "tpm", "a TPM",
	  .devices = "tpm-*",
	  .options = "tpmdev",
	  .files = "/dev/tpm*",
	  .instead = "no TPM" },
	{ "pluggable-memory", "memory that grows or is on a persistent store (virtio-mem, NVDIMM, virtio-pmem, CXL)",
	  .devices = "virtio-mem* nvdimm virtio-pmem* cxl-type3 cxl-rp pxb-cxl",
	  .options = "machine:nvdimm=on machine:cxl=on",
	  .instead = "-m, or pc-dimm with memory-backend-memfd" },
	{ "shared-memory", "memory that the guest shares with other processes",
	  .devices = "ivshmem-*",
	  .instead = "no ivshmem" },
	{ "confidential", "confidential guests and enclaves (SEV, TDX, SGX)",
	  .objects = "sev-guest sev-snp-guest tdx-guest memory-backend-epc",
	  .options = "machine:confidential-guest-support=* machine:memory-encryption=*",
	  .instead = "an ordinary guest" },
	{ "9p", "a folder of the host that the guest has mounted (9p, virtiofs)",
	  .devices = "virtio-9p*",
	  .options = "virtfs fsdev",
	  .instead = "a disk, or a network file system" },
	{ "fd", "descriptors that QEMU was given by whoever started it",
	  .options = "add-fd netdev:fd=* netdev:fds=* netdev:vhostfd=* device:fd=* object:fd=* chardev:fd=*",
	  .instead = "let QEMU open it itself" },
	{ "snapshot", "changes of disks in files that have no name",
	  .options = "snapshot",
	  .instead = "a qcow2 overlay with a name" },
	{ "arguments", "arguments that a VM cannot be started with a second time, or that are not to be seen",
	  .options = "incoming loadvm daemonize preconfig readconfig runas chroot run-with:user=* run-with:chroot=* help h version",
	  .instead = "leave them out: continuo-qemu itself is what runs as the VM's user" },
	{ "plugged", "devices, memory and other objects that were plugged in or out since QEMU was started",
	  .instead = "plug out what was plugged in, or start the VM with it" },
	{ "disk", "disks that are in another file than when QEMU was started (a snapshot, a mirror, another medium), and jobs that work on them",
	  .instead = "wait for the job, and go back to the file, or start the VM with the new one" },
	{ "state", "a VM that is not running or paused (asleep, stopped by an error, in a migration)",
	  .instead = "wait until it runs" },
	{ "blocker", "what QEMU itself says cannot be migrated (query-migrate)",
	  .instead = "what QEMU names" },
	{ "unknown-descriptor", "a descriptor in the CPR channel that is none of: memory, iommufd, VFIO device, its interrupts",
	  .instead = "report it" },
};

const unsigned int nr_rules = sizeof(rules) / sizeof(rules[0]);

const struct rule *rule_named(const char *name)
{
	for (unsigned int i = 0; i < nr_rules; i++)
		if (!strcmp(rules[i].name, name))
			return &rules[i];
	abort();
}

bool rule_lists_by(const char *list, bool (*fits)(const char *pattern, const void *what), const void *what)
{
	char pattern[80];
	size_t n;

	for (; list && *list; list += n + strspn(list + n, " ")) {
		n = strcspn(list, " ");
		if (n >= sizeof(pattern))
			abort();
		memcpy(pattern, list, n);
		pattern[n] = 0;
		if (fits(pattern, what))
			return true;
	}
	return false;
}

static bool text_fits(const char *pattern, const void *text)
{
	return !fnmatch(pattern, text, 0);
}

bool rule_lists(const char *list, const char *text)
{
	return rule_lists_by(list, text_fits, text);
}

void rule_sentence(const struct rule *rule, const char *what, char *text, size_t size)
{
	snprintf(text, size, "%s: %s; in its place: %s", what, rule->what, rule->instead);
}

const struct rule *rule_of_device(const char *type)
{
	for (unsigned int i = 0; i < nr_rules; i++)
		if (rule_lists(rules[i].devices, type))
			return &rules[i];
	return NULL;
}

const struct rule *rule_of_object(const char *type)
{
	for (unsigned int i = 0; i < nr_rules; i++)
		if (rule_lists(rules[i].objects, type))
			return &rules[i];
	return NULL;
}

const struct rule *rule_of_file(const char *path)
{
	for (unsigned int i = 0; i < nr_rules; i++)
		if (rule_lists(rules[i].files, path))
			return &rules[i];
	return NULL;
}

void rules_print(FILE *to)
{
	fputs("| rule | what is not carried over | in its place |\n| --- | --- | --- |\n", to);
	for (unsigned int i = 0; i < nr_rules; i++)
		fprintf(to, "| `%s` | %s | %s |\n", rules[i].name, rules[i].what, rules[i].instead);
}
