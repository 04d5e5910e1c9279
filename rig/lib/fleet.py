# SPDX-License-Identifier: GPL-2.0-only
"""
Ansible, with machines of the rig as its hosts.

The guests have neither ssh nor a shell, and none is needed: all tasks of fleet/ are raw
commands. What Ansible takes for ssh (ansible_ssh_executable) is a program of some lines that
asks this process, over a socket, to have the command run on that host; process 1 of the guest
runs it, and passes on what it printed and its exit status. A host that jumps does not answer:
then the program ends with 255, as ssh does when a connection is lost, and so it does until user
space of the next kernel says that it is there.

    hosts = {"a": Host(machine), "b": Host(machine.another("b"))}     # started by the case
    with Fleet(machine.path("fleet"), hosts) as fleet:
        status, said = fleet.play("update.yml", hosts, continuo_kernel="/next/bzImage")
"""

import json
import os
import shlex
import shutil
import socketserver
import subprocess
import tempfile
import threading

from .case import TOP
from .machine import Failed, Skipped, Splat

GONE = 255                      # ssh's, of a connection that is lost or cannot be made
NOT_FOUND = 127
PATIENCE_S = 600                # with one command
PLAY_S = 1800                   # with a whole roll

SSH = r'''#!/usr/bin/python3
# What Ansible takes for ssh: options, host, command.
import json, os, socket, sys
args = sys.argv[1:]
while args and args[0].startswith("-"):
    args = args[2 if args[0] in ("-o", "-l", "-p", "-i") else 1:]
if len(args) < 2:
    sys.exit(255)
with socket.socket(socket.AF_UNIX) as s:
    s.connect(@SOCKET@)
    s.sendall(json.dumps({"host": args[0], "command": " ".join(args[1:])}).encode() + b"\n")
    answer = json.loads(s.makefile().readline())
sys.stdout.write(answer["said"])
sys.stdout.flush()
if answer["status"] == 255:
    sys.stderr.write("ssh: the connection to %s is lost\n" % args[0])
sys.exit(answer["status"])
'''


def words_of(command):
    """The program and its arguments: shells that Ansible puts around them are taken off."""
    words = shlex.split(command)
    while len(words) == 3 and words[:2] in (["/bin/sh", "-c"], ["sh", "-c"]):
        words = shlex.split(words[2])
    if words[-3:] == ["&&", "sleep", "0"]:
        words = words[:-3]
    return words


def ansible():
    """The program that runs playbooks; a case that has none is skipped."""
    program = shutil.which("ansible-playbook")
    if not program:
        raise Skipped("no ansible-core (scripts/setup fleet)")
    return program


class Host:
    """A machine that commands are run on."""

    def __init__(self, machine):
        self.machine = machine
        self.asked = []                 # each command
        self.trouble = None             # what ended the machine, or did not come
        self._jumped = None             # number of events when it was noticed
        self._lock = threading.Lock()

    def is_away(self):
        """Has it jumped, and not come so far that it can be told something?"""
        return self._jumped is not None and not any(e["ev"] == "idle" for e in self.machine.events[self._jumped:])

    def ask(self, command):
        """Exit status and output."""
        with self._lock:
            if self.trouble or self.is_away():
                return GONE, ""
            words = words_of(command)
            self.asked.append(" ".join(words))
            try:
                return self._run(words)
            except (Failed, Splat) as error:
                self.trouble = error
                return GONE, ""

    def _run(self, words):
        if words == ["uname", "-r"]:
            return self._read("/proc/sys/kernel/osrelease")
        if len(words) == 2 and words[0] == "cat":
            return self._read(words[1])
        if words[:1] != ["continuo"]:
            return NOT_FOUND, f"{' '.join(words[:1])}: the host has no such program\n"
        if any(not word or set(word) & set(" \t\n") for word in words):
            return NOT_FOUND, "the rig's process 1 takes no blanks in an argument\n"
        since = len(self.machine.events)
        self.machine.send(f"remote /usr/bin/{' '.join(words)}")
        end = self.machine.wait(("ran", "boot"), since=since, timeout_s=PATIENCE_S)
        said = b"".join(bytes.fromhex(e["hex"]) for e in self.machine.events[since:] if e["ev"] == "printed")
        if end["ev"] == "boot":
            self._jumped = since
            return GONE, said.decode(errors="replace")
        return end["status"], said.decode(errors="replace")

    def _read(self, path):
        since = len(self.machine.events)
        self.machine.send(f"read {path}")
        answer = self.machine.wait("read", since=since)
        if answer["errno"]:
            return 1, f"{path}: {os.strerror(answer['errno'])}\n"
        return 0, bytes.fromhex(answer["hex"]).decode(errors="replace") + "\n"


class Fleet:
    """Hosts by name, and playbooks of fleet/ that are run on them. To be entered."""

    def __init__(self, folder, hosts):
        self.folder, self.hosts = folder, hosts

    def __enter__(self):
        hosts = self.hosts

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                asked = json.loads(self.rfile.readline())
                host = hosts.get(asked["host"])
                status, said = host.ask(asked["command"]) if host else (GONE, "")
                self.wfile.write(json.dumps({"status": status, "said": said}).encode() + b"\n")

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        os.makedirs(self.folder, exist_ok=True)
        # The folder's own path may be longer than a socket address can be.
        self._short = tempfile.mkdtemp(prefix="rig-fleet-")
        path = f"{self._short}/ssh.sock"
        self._server = Server(path, Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._write("ssh", SSH.replace("@SOCKET@", repr(path)))
        os.chmod(f"{self.folder}/ssh", 0o755)
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._short, ignore_errors=True)

    def _write(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="utf-8") as f:
            f.write(text)

    def play(self, book, hosts, canaries=(), *options, **variables):
        """Run a playbook for hosts, canaries first, with these options of ansible-playbook's: its exit
        status, and what it said, which is in the log, too."""
        self._write("inventory", "\n".join([
            "[continuo_canary]", *canaries, "[continuo_hosts]", *hosts, "[all:vars]",
            f"ansible_ssh_executable={os.path.abspath(self.folder)}/ssh", "ansible_connection=ssh", ""]))
        env = {**os.environ, "ANSIBLE_CONFIG": f"{TOP}/fleet/ansible.cfg", "ANSIBLE_NOCOLOR": "1",
               "ANSIBLE_LOCAL_TEMP": f"{self._short}/tmp", "ANSIBLE_HOME": f"{self._short}/home", "LC_ALL": "C.UTF-8"}
        # Of NAME=VALUE Ansible takes a value with blanks for several.
        command = [ansible(), "-i", f"{self.folder}/inventory", f"{TOP}/fleet/{book}", *options, "-e", json.dumps(variables)]
        try:
            ran = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, timeout=PLAY_S, check=False)
        except subprocess.TimeoutExpired:
            raise Failed(f"{book} has not ended within {PLAY_S} s") from None
        with open(f"{self.folder}/log", "ab") as f:
            f.write(f"$ {shlex.join(command)}\n".encode() + ran.stdout)
        for name, host in self.hosts.items():
            if host.trouble:
                raise type(host.trouble)(f"host {name}: {host.trouble}")
        return ran.returncode, ran.stdout.decode(errors="replace")
