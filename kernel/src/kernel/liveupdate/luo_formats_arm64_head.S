/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * The list of handover formats in an Image of arm64. The section has the headers of the
 * Image at its beginning, from arch/arm64/kernel/head.S, whose object is linked before this
 * one; luo_formats_arm64.c looks for the list just behind them.
 */
	.section ".head.text", "ax"
	.balign	8
	.incbin	"kernel/liveupdate/luo_formats.bin"
