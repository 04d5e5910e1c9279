# SPDX-License-Identifier: GPL-2.0-only
"""What a VM complains of is found, and what it merely says is not."""

import unittest

from rig.referee import guestlog

QUIET = """\
vm: kvm-clock
vm: 2 CPUs
vm: LOC:      12345      12000   Local timer interrupts
vm: SPU:          0          0   Spurious interrupts
vm: ERR:          0
vm: 512 records, 0 steps back
"""
LOUD = (
    "[   40.1] watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [init:1]",
    "[   40.1] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
    "[   40.1] rcu: rcu_sched kthread starved for 2101 jiffies!",
    "[   40.1] INFO: task jbd2/vda blocked for more than 122 seconds.",
    "[   40.1] NETDEV WATCHDOG: eth0 (igb): transmit queue 0 timed out 5000 ms",
    "[   40.1] igb 0000:00:02.0 eth0: Reset adapter",
    "[   40.1] igb 0000:00:02.0: Detected Tx Unit Hang",
    "[   40.1] irq 24: nobody cared (try booting with the \"irqpoll\" option)",
    "[   40.1] clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable because the skew is too large:",
    "[   40.1] hrtimer: interrupt took 12345678 ns",
    "[   40.1] I/O error, dev vda, sector 8 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2",
    "[   40.1] WARNING: CPU: 0 PID: 1 at kernel/time/timekeeping.c:10",
    "[   40.1] Kernel panic - not syncing: Attempted to kill init!",
    "vm: clock monotonic went back by 12 on CPU 1, from 100",
    "vm: failed: record 3 of the journal: Input/output error",
)


class Complaints(unittest.TestCase):
    def test_quiet(self):
        self.assertEqual(guestlog.judge(QUIET), ({"guest_complaints": 0}, []))

    def test_each(self):
        for line in LOUD:
            with self.subTest(line=line):
                figures, findings = guestlog.judge(QUIET + line + "\n")
                self.assertEqual(figures, {"guest_complaints": 1})
                self.assertEqual(findings, [f"the VM complains: {line}"])

    def test_harmless(self):
        self.assertEqual(guestlog.judge(QUIET + LOUD[9], harmless=["hrtimer: interrupt took"])[1], [])

    def test_nothing_said(self):
        self.assertEqual(guestlog.judge("\n")[1], ["the VM's console is empty"])


if __name__ == "__main__":
    unittest.main()
