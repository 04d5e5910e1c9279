# SPDX-License-Identifier: GPL-2.0-only
# The front door. "make" or "make help" lists the targets.

# Make's own job server is of no use here: each script uses all processors.
.NOTPARALLEL:

help:
	@echo "make demo          replace the kernel under two busy devices, and show the figures"
	@echo "make demo-vm       the same under a KVM guest in an unmodified QEMU"
	@echo "make quick         what runs no kernel and takes no long time; before each commit"
	@echo "make test          that, and each kind of proof once with its negative twin"
	@echo "make test-all      everything; SHARD=I/N: part I of N of what make test leaves out"
	@echo "make soak          300 updates, idle and loaded, and 10,000,000 of each fuzzer: hours"
	@echo
	@echo "make setup         packages, QEMU and kernel source; the others do it themselves"
	@echo "make kernel        the rig's kernel, into build/kernel-rig"
	@echo "make debug-kernel  the one with KASAN, lockdep, kmemleak, into build/kernel-debug"
	@echo "make guest         the programs that run in the machine, into build/guest"
	@echo "make faults        every fault there is a case for, and the table of docs/faults.md"
	@echo "make fuzz          handovers, images, manifests, views, requests: 10,000,000 each (FUZZ_RUNS=N)"
	@echo "make install       library, command, agent and broker into prefix (/usr/local); DESTDIR is heeded"
	@echo "make deb           Debian packages of them, into build/deb; KERNEL=1: those of a kernel, too (hours)"
	@echo "make bench         what an update costs; figures and plots into build/bench"
	@echo "make kernel-stat   lines that we add to existing kernel files, and the budget"
	@echo "make checkpatch    checkpatch --strict on the series of patches"
	@echo "make sparse        sparse on our kernel files"
	@echo "make warnings      gcc with W=1 on our kernel files, and sparse"
	@echo "make clang         clang with W=1 on them (scripts/setup clang installs one)"
	@echo "make kernel-doc    kernel-doc on our kernel files"
	@echo "make clean         remove what was built; distclean: the sources and the cache too"
	@echo
	@echo "rig/run --list names the cases; rig/run CASE runs one."
	@echo "KERNEL_TREE=dir takes a Linux 7.3 tree of yours (a copy of it is built)."

# Each case that makes something go wrong, and then the table of docs/faults.md.
faults: setup
	@scripts/test $$(rig/faults --names | sed 's|.*|rig/&|')
	@rig/faults

bench: setup
	@scripts/setup bench
	@scripts/build-kernel bench
	@bench/run
	@bench/rig
	@bench/bind
	@bench/memory
	@bench/pause
	@bench/agent

# The programs, for a host: DESTDIR, prefix, libdir and mandir as usual.
all:
	@$(MAKE) -s -C lib O=$(CURDIR)/build/lib
	@$(MAKE) -s -C cmd O=$(CURDIR)/build/cmd
	@$(MAKE) -s -C agent O=$(CURDIR)/build/agent
	@$(MAKE) -s -C qemu O=$(CURDIR)/build/qemu

install: all
	@$(MAKE) -s -C lib O=$(CURDIR)/build/lib install
	@$(MAKE) -s -C cmd O=$(CURDIR)/build/cmd install
	@$(MAKE) -s -C agent O=$(CURDIR)/build/agent install
	@$(MAKE) -s -C qemu O=$(CURDIR)/build/qemu install

deb: setup
	@scripts/setup deb
	@scripts/build-deb
	@$(if $(KERNEL),scripts/build-deb --kernel)

fuzz: setup
	@scripts/setup fuzzer
	@tests/handover/check --fuzz $(or $(FUZZ_RUNS),10000000)
	@tests/guestmemfs/check --fuzz $(or $(FUZZ_RUNS),10000000)
	@tests/lib/check --fuzz $(or $(FUZZ_RUNS),10000000)
	@tests/cmd/check --fuzz $(or $(FUZZ_RUNS),10000000)
	@tests/agent/check --fuzz $(or $(FUZZ_RUNS),10000000)
	@tests/qemu/check --fuzz $(or $(FUZZ_RUNS),10000000)

setup:
	@scripts/setup

kernel: setup
	@scripts/build-kernel rig

# With the laboratory in them: lab for the cases that break a law or damage a handover; with
# the handover formats of one version before and one after, for the cases "skew-".
other-kernels: setup
	@scripts/build-kernel lab
	@scripts/build-kernel prev
	@scripts/build-kernel next

debug-kernel: setup
	@scripts/build-kernel debug

guest: setup
	@$(MAKE) -s -C rig/guest O=$(CURDIR)/build/guest

# What the case shows is in the project's first two commands, so it is kept
# where a later run of the same case does not overwrite it.
demo: kernel guest
	@status=0; rig/run demo || status=$$?; \
	mkdir -p build/demo && cp -r build/rig/demo/. build/demo/; \
	echo "All of it as one page: build/demo/report.html; table, timeline and logs are beside it."; exit $$status

# A host, a VM in it, and the kernel that both boot.
demo-vm: setup guest
	@scripts/build-kernel vm
	@status=0; rig/run demo-vm || status=$$?; \
	mkdir -p build/demo-vm && cp -r build/rig/demo-vm/. build/demo-vm/; \
	echo "All of it as one page: build/demo-vm/report.html; table, timeline and logs are beside it."; exit $$status

quick: setup
	@scripts/test --quick

test: setup
	@scripts/test --test

test-all: setup
	@scripts/test $(if $(SHARD),--shard $(SHARD),--all)

soak: setup
	@scripts/test --soak

kernel-stat:
	@kernel/overlay stat

checkpatch sparse warnings clang kernel-doc: setup
	@scripts/check-style $@

clean:
	rm -rf build/kernel-* build/lab build/stock build/guest build/selftests build/rig build/demo build/demo-vm build/test build/series \
		build/deb build/lib build/cmd build/agent build/qemu build/qemu-lab build/rig-vm build/*-test build/*-static

distclean:
	rm -rf build "$${CONTINUO_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/continuo}"

.PHONY: help all install deb setup kernel debug-kernel other-kernels guest demo demo-vm quick test test-all soak faults fuzz bench kernel-stat checkpatch \
	sparse warnings clang kernel-doc clean distclean
