# SPDX-License-Identifier: GPL-2.0-only
"""What rig/lib/fleet.py makes of commands, with a machine that is made up."""
import subprocess
import tempfile
import unittest

from rig.lib import fleet
from rig.lib.machine import Failed


class Guest:
    """Answers as process 1 of a guest does; jumps when it is asked to update."""

    def __init__(self, refuses=False):
        self.events, self.sent, self.refuses, self.fails = [], [], refuses, False
        self.files = {"/proc/sys/kernel/osrelease": "old", "/proc/sys/kernel/random/boot_id": "id-1"}

    def say(self, ev, **members):
        self.events.append({"ev": ev, **members})

    def send(self, line):
        self.sent.append(line)
        verb, _, rest = line.partition(" ")
        if verb == "read":
            text = self.files.get(rest)
            self.say("read", errno=0 if text else 2, hex=(text or "").encode().hex())
        elif self.fails:
            return
        elif " update" in rest and not self.refuses:
            self.say("boot", stage=2)
        else:
            self.say("printed", hex=b"it has ".hex())
            self.say("printed", hex=b"no disk\n".hex())
            self.say("ran", status=3 if self.refuses else 0)

    def wait(self, name, since=0, timeout_s=0):
        for event in self.events[since:]:
            if event["ev"] in ((name,) if isinstance(name, str) else name):
                return event
        raise Failed("the machine ended")


class Commands(unittest.TestCase):
    def test_shells_are_taken_off(self):
        for command in ("uname -r", "/bin/sh -c 'uname -r'", "/bin/sh -c '/bin/sh -c '\"'\"'uname -r'\"'\"''",
                        "/bin/sh -c 'uname -r && sleep 0'"):
            self.assertEqual(fleet.words_of(command), ["uname", "-r"], command)

    def test_quotes_are_taken_off(self):
        self.assertEqual(fleet.words_of("continuo update --append '@/next/cmdline'"), ["continuo", "update", "--append", "@/next/cmdline"])


class Hosts(unittest.TestCase):
    def setUp(self):
        self.guest = Guest()
        self.host = fleet.Host(self.guest)

    def test_files(self):
        self.assertEqual(self.host.ask("uname -r"), (0, "old\n"))
        self.assertEqual(self.host.ask("cat /proc/sys/kernel/random/boot_id"), (0, "id-1\n"))
        self.assertEqual(self.host.ask("cat /nothing"), (1, "/nothing: No such file or directory\n"))

    def test_a_command_and_all_that_it_said(self):
        self.assertEqual(self.host.ask("continuo check"), (0, "it has no disk\n"))
        self.assertEqual(self.guest.sent, ["remote /usr/bin/continuo check"])
        self.guest.refuses = True
        self.assertEqual(self.host.ask("continuo update --reuse-cmdline"), (3, "it has no disk\n"))
        self.assertFalse(self.host.is_away())

    def test_a_host_that_jumps_is_away_until_it_says_that_it_is_there(self):
        self.assertEqual(self.host.ask("continuo update --reuse-cmdline"), (255, ""))
        sent = len(self.guest.sent)
        self.assertEqual(self.host.ask("uname -r"), (255, ""))
        self.assertEqual(len(self.guest.sent), sent, "it was told something while it booted")
        self.assertEqual(self.host.asked, ["continuo update --reuse-cmdline"])
        self.guest.say("idle")
        self.assertEqual(self.host.ask("uname -r")[0], 0)

    def test_what_the_guest_cannot_do(self):
        self.assertEqual(self.host.ask("systemctl reboot")[0], 127)
        self.assertEqual(self.host.ask("continuo update --append 'a b'")[0], 127)
        self.assertEqual(self.guest.sent, [])

    def test_a_machine_that_has_ended_does_not_answer_any_more(self):
        self.guest.fails = True
        self.assertEqual(self.host.ask("continuo check"), (255, ""))
        self.assertEqual(str(self.host.trouble), "the machine ended")
        self.assertEqual(self.host.ask("uname -r"), (255, ""))


class Ssh(unittest.TestCase):
    """The program that Ansible takes for ssh."""

    def test_options_host_and_command(self):
        hosts = {"a": fleet.Host(Guest()), "b": fleet.Host(Guest(refuses=True))}
        with tempfile.TemporaryDirectory() as folder, fleet.Fleet(folder, hosts):
            def ssh(*args):
                ran = subprocess.run([f"{folder}/ssh", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
                return ran.returncode, ran.stdout

            options = ("-C", "-o", "ControlMaster=auto", "-o", 'User="root"', "-tt")
            self.assertEqual(ssh(*options, "a", "/bin/sh -c 'uname -r'"), (0, "old\n"))
            self.assertEqual(ssh(*options, "b", "continuo update --reuse-cmdline"), (3, "it has no disk\n"))
            self.assertEqual(ssh(*options, "a", "continuo update --reuse-cmdline"), (255, ""))
            self.assertEqual(ssh(*options, "c", "uname -r"), (255, ""))
            self.assertEqual(ssh("-o", "ControlPersist")[0], 255)


if __name__ == "__main__":
    unittest.main()
