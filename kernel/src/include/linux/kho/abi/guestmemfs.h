/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_GUESTMEMFS_H
#define _LINUX_KHO_ABI_GUESTMEMFS_H

#include <linux/types.h>

/**
 * DOC: Image of guestmemfs
 *
 * The file system's own data, in memory that belongs to no allocator, as the
 * files' memory does. Both are found by KHO's subtree GUESTMEMFS_SUBTREE, whose
 * data is struct guestmemfs_layout. The parts follow each other, each at the
 * beginning of a page of 4 KiB:
 *
 *	struct guestmemfs_layout	what memory there is; never changes
 *	struct guestmemfs_layout	the same once more
 *	struct guestmemfs_state		what is used, and the log
 *	struct guestmemfs_inode[]	files and directories
 *	struct guestmemfs_extent[]	their memory
 *
 * Each change is written to the log first. It takes effect with one store of eight
 * bytes, which is guestmemfs_state.log: how long the log is, and its checksum. Then it
 * is made, and the log is empty again.
 *
 * All of it has checksums: the layout, the state, the log while it is not empty, and
 * each inode and extent, also one that is free, for the place that it is in. So what
 * was damaged is not taken for something else, and what is free not for something that
 * was damaged. An extent that counts for no file is none of both: a change of many
 * extents is made in parts, and a kernel that dies between them leaves some over. Such
 * an extent has an id that its inode has not, or it is behind the end of its file.
 * What there is behind guestmemfs_state.used_inodes and used_extents is not even read.
 *
 * A unit is 2 MiB of a file, or of memory. A change of the layout changes the
 * version string.
 */

#define GUESTMEMFS_SUBTREE	"guestmemfs"
#define GUESTMEMFS_COMPATIBLE	"guestmemfs-v1"

/*
 * A file in a session of LUO. Its data is the file's id, shifted by two; bit 0: it was
 * open for reading; bit 1: for writing.
 */
#define GUESTMEMFS_FH_COMPATIBLE	"guestmemfs-file-v1"

#define GUESTMEMFS_UNIT_SHIFT	21
#define GUESTMEMFS_RANGES	64
#define GUESTMEMFS_NAME		256
#define GUESTMEMFS_LOG		253
#define GUESTMEMFS_PAGE		4096
/* Of a file that was preserved: for the next kernel, or by the previous one */
#define GUESTMEMFS_PIN_OUT	1
#define GUESTMEMFS_PIN_IN	2

/**
 * struct guestmemfs_range - Memory without a gap
 * @start:    Physical address, in units.
 * @units:    Its length.
 * @nid:      Its node.
 * @reserved: Zero.
 */
struct guestmemfs_range {
	u64 start;
	u64 units;
	u32 nid;
	u32 reserved;
} __packed;

/**
 * struct guestmemfs_layout - What was set apart when the machine was switched on
 * @compatible:  GUESTMEMFS_COMPATIBLE, and zeros.
 * @crc:         CRC-32 (crc32_le() from ~0) of what follows.
 * @nr_ranges:   Number of entries of @range.
 * @phys:        Physical address of the image, in bytes.
 * @bytes:       Its length.
 * @max_inodes:  Number of inodes there is room for.
 * @max_extents: Number of extents there is room for.
 * @range:       The memory, by its address. None touches the next one on the
 *               same node. Zeros from @nr_ranges on.
 */
struct guestmemfs_layout {
	char compatible[32];
	u32 crc;
	u32 nr_ranges;
	u64 phys;
	u64 bytes;
	u32 max_inodes;
	u32 max_extents;
	struct guestmemfs_range range[GUESTMEMFS_RANGES];
} __packed;

/**
 * struct guestmemfs_redo - One word of a change
 * @at:    Where it is, in bytes from the beginning of the image; it is part of an
 *         inode, of an extent, or of what is before guestmemfs_state.log.
 * @value: What is there after the change.
 */
struct guestmemfs_redo {
	u64 at;
	u64 value;
} __packed;

/**
 * struct guestmemfs_state - What is used
 * @next_id:      The id of the next inode; never 0, and never given twice.
 * @used_inodes:  Inodes from here on were never used.
 * @used_extents: Extents from here on were never used.
 * @crc:          CRC-32 (crc32_le() from ~0) of what is before it.
 * @log:          0, or of the change that is under way the number of its words, and
 *                from bit 32 on the CRC-32 (crc32_le() from ~0) of them.
 * @redo:         The words.
 */
struct guestmemfs_state {
	u64 next_id;
	u64 used_inodes;
	u64 used_extents;
	u64 crc;
	u64 log;
	struct guestmemfs_redo redo[GUESTMEMFS_LOG];
} __packed;

/**
 * struct guestmemfs_inode - A file or a directory
 * @id:       Its number for good; 0 if the inode is free. The root's is 1.
 * @mode:     S_IFREG or S_IFDIR, and the permissions.
 * @name_len: Length of @name. 0 for the root, which is the first inode, and for an
 *            orphan: it was removed while it was open, and goes with the next jump if
 *            it is not pinned.
 * @uid:      The owner.
 * @gid:      Its group.
 * @parent:   Index of the directory that it is in, or, of an orphan, was in, whose
 *            limit it counts for; the root's is 0.
 * @pins:     Of a file: 0; GUESTMEMFS_PIN_OUT: it was preserved for the next kernel;
 *            GUESTMEMFS_PIN_IN: by the previous one, and its session is not finished.
 *            If not 0 it may neither shrink nor go.
 * @size:     Of a file, in bytes; of a directory 0.
 * @limit:    Of a directory: bytes that all files below it may have together; 0
 *            for as many as there are. Of a file 0.
 * @mtime:    Last change of its data, in ns since 1970.
 * @ctime:    Last change of the inode, in ns since 1970.
 * @name:     Its name, without a NUL, and zeros.
 * @crc:      CRC-32 (crc32_le() from the inverse of its index) of what is before it.
 */
struct guestmemfs_inode {
	u64 id;
	u32 mode;
	u32 name_len;
	u32 uid;
	u32 gid;
	u32 parent;
	u32 pins;
	u64 size;
	u64 limit;
	s64 mtime;
	s64 ctime;
	u8 name[GUESTMEMFS_NAME];
	u64 crc;
} __packed;

/**
 * struct guestmemfs_extent - Memory of a file, without a gap
 * @id:    Of the file; 0 if the extent is free.
 * @inode: Index of the file.
 * @at:    Where in the file, in units.
 * @start: Physical address, in units.
 * @units: Its length.
 * @crc:   CRC-32 (crc32_le() from the inverse of its index) of what is before it.
 */
struct guestmemfs_extent {
	u64 id;
	u32 inode;
	u32 at;
	u32 start;
	u32 units;
	u64 crc;
} __packed;

#endif /* _LINUX_KHO_ABI_GUESTMEMFS_H */
