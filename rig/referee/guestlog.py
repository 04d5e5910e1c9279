# SPDX-License-Identifier: GPL-2.0-only
"""What a VM's kernel and its process 1 wrote on the VM's console: of what did they complain?"""

import re

# What a kernel says when it was stopped for too long, when an interrupt was lost, when its
# clocks do not agree, or when something broke; and the words of process 1 for that.
COMPLAINT = re.compile(
    r"WARNING: |BUG: |kernel BUG at|Oops|Kernel panic|general protection fault|unable to handle"
    r"|soft lockup|hard LOCKUP|Watchdog detected|rcu: INFO|rcu_\w+ (?:kthread starved|self-detected)|detected stalls"
    r"|INFO: task .* blocked|blocked for more than"
    r"|NETDEV WATCHDOG|transmit queue \d+ timed out|Tx Unit Hang|Reset adapter|PCIe link lost|Link is Down"
    r"|nobody cared|[Ll]ost interrupt|spurious|[Uu]nexpected IRQ|No irq handler|hrtimer: interrupt took"
    r"|Clocksource .* (?:unstable|skewed)|clocksource: .*(?:unstable|skew|[Mm]arking)|TSC.* unstable|timekeeping watchdog|time went backwards"
    r"|I/O error|Buffer I/O|blk_update_request|virtio.*(?:error|not a head|broken)", re.I)
OWN = "vm: "
OWN_COMPLAINT = re.compile(r"vm: (?:failed: |clock )")


def complaints(text, harmless=()):
    """The lines that complain, without those that match a pattern of harmless."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines
            if (OWN_COMPLAINT if line.startswith(OWN) else COMPLAINT).search(line)
            and not any(re.search(p, line) for p in harmless)]


def judge(text, harmless=()):
    """Figures and findings, as the other judges give them."""
    said = complaints(text, harmless)
    findings = [f"the VM complains: {line}" for line in said[:5]]
    if not text.strip():
        findings.append("the VM's console is empty")
    return {"guest_complaints": len(said)}, findings
