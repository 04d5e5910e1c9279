# SPDX-License-Identifier: GPL-2.0-only
"""The command continuo on the rig's host: what it says is true."""

import json

from rig.lib import programs
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.platform import Q35
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded


def program(platform=Q35):
    return {"/usr/bin/continuo": programs.program("cmd", "continuo", platform)}


def output(machine, line, timeout_s=120):
    """Exit status and output of a program in the guest."""
    since = len(machine.events)
    machine.send(f"run {line}")
    status = machine.wait("ran", since=since, timeout_s=timeout_s)["status"]
    return status, b"".join(bytes.fromhex(e["hex"]) for e in machine.events[since:] if e["ev"] == "printed")


def printed(machine, arguments, timeout_s=120):
    """The same of continuo."""
    return output(machine, f"/usr/bin/continuo {arguments}", timeout_s)


def facts(value):
    """Every value of a JSON object, as the text has to have it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("format_version", "command", "ms"):
                yield from facts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from facts(inner)
    else:
        yield ("yes" if value else "no") if isinstance(value, bool) else str(value)


def both_ways(machine, arguments):
    """As continuo(), of a command that can be run twice; as text it has to have the same facts."""
    status, data = continuo(machine, arguments)
    again, text = printed(machine, arguments)
    text = text.decode()
    missing = [fact for fact in set(facts(data)) if text.count(fact) < list(facts(data)).count(fact)]
    if missing or status != again:
        raise Failed(f"continuo {arguments}: status {status} and {again}; its text lacks {missing}: {text[:500]}")
    return status, data


def continuo(machine, arguments, timeout_s=120):
    """Exit status and JSON of a command in the guest."""
    status, text = printed(machine, f"--json {arguments}", timeout_s)
    try:
        return status, json.loads(text)
    except ValueError:
        raise Failed(f"continuo {arguments}: status {status}, and no JSON: {text[:200]}") from None


def says_ready(machine, agent):
    """Right before an update that has to work: continuo check must not say no. agent: the option that names the agent's socket."""
    status, check = continuo(machine, f"{agent} check")
    if status or not check["ready"]:
        against = [f"{row['check']}: {row['found']}" for row in check["host"] if row["ok"] == "no"]
        raise Failed(f"before an update that is to work, continuo check ends with {status}: {'; '.join(against)}")


def states(view):
    return {d["bdf"]: d["state"] for d in view["device"] if d["kernel"] == "incoming"}


@guarded
def command(machine, begin, iommu):
    """
    check before an update; list and show before anybody has come back, and after. There
    is no debugfs: the view has a device of its own.
    Seen to fail: with the check of /dev/liveupdate looking at another name.
    """
    run = begin(iommu=iommu, files=program(), append="rig.debugfs=0")
    run.rest(STEADY_S)
    bdfs = {run.ready["nic"][-12:], run.ready["audio"][-12:]}
    found = []
    status, check = continuo(machine, "check")
    against = [row for row in check["host"] if row["ok"] == "no"]
    # This host has no agent, which an update needs, and is ready but for that.
    if status != 1 or check["ready"] or [row["check"] for row in against] != ["agent"]:
        found.append(f"check says {against} of the rig's host")
    # Its configuration is nowhere to be read, and its console is a serial one; all the rest is known.
    unknown = {row["check"] for row in check["host"] if row["ok"] == "unknown"}
    if unknown - {"kernel options", "pause"}:
        found.append(f"check does not know: {unknown}")
    candidates = {d["bdf"] for d in check["device"] if d["candidate"] == "yes"}
    if not bdfs <= candidates:
        found.append(f"the candidates are {candidates}, and {bdfs} are in use")
    status, before = continuo(machine, "list")
    if status or before["session"] or before["device"]:
        found.append(f"list of a host with no session: {status}, {before}")

    run.update(2, "idle=1", until="idle")
    status, waiting = continuo(machine, "list")
    if status or [s["state"] for s in waiting["session"]] != ["not-read"] \
            or states(waiting) != dict.fromkeys(bdfs, "attached"):
        found.append(f"list while nobody has come back: {status}, {waiting}")
    since = len(machine.events)
    machine.send("resume")
    machine.wait("resumed", since=since)
    run.rest(AFTER_S)
    status, after = continuo(machine, "show")
    if status or after.get("session") or after.get("device"):
        found.append(f"show when all is finished: {status}, {after}")
    run.stop()
    for data in (before, waiting, after):
        if data.get("read_from") != "/dev/liveupdate-view":
            found.append(f"the view was read from {data.get('read_from')}")
    machine.figures["check"] = {row["check"]: row["ok"] for row in check["host"]}
    if found:
        raise Failed("; ".join(found))
    clean(run)


CASES = [Case("command", "continuo check, list and show in an update", bind(command, iommu="vtd-scalable"))]
