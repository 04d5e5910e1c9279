# SPDX-License-Identifier: GPL-2.0-only
"""
What the kernel shows of a live update, in its device and in debugfs: a strict reader
of the format that docs/discovery.md defines, and what has to be true in each such text.
"""

import re

FORMAT_LINE = "format=1"

WORD = re.compile(r"[A-Za-z0-9.:,-]+\Z")
NAME = re.compile(r"[a-z0-9-]+\Z")
TEXT = re.compile(r'"((?:[ !#-\[\]-~]|\\[0-7]{3})*)"\Z')
PAIR = re.compile(r' ([a-z0-9-]+)=("[^"]*"|[^ "]*)')
BDF = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\Z")

# In the order in which they come about.
WAITS = ("reset", "probe", "retrieve", "bind", "restore", "replace", "finish", "close")


class Malformed(Exception):
    """The text is not what docs/discovery.md says."""


def _number(value, pattern=re.compile(r"(0|[1-9][0-9]*)\Z")):
    if not pattern.match(value):
        raise Malformed(f"'{value}' is not a decimal number")
    return int(value)


def _hex(value, pattern=re.compile(r"0x(0|[1-9a-f][0-9a-f]*)\Z")):
    if not pattern.match(value):
        raise Malformed(f"'{value}' is not a hexadecimal number")
    return int(value, 16)


def _text(value):
    match = TEXT.match(value)
    if not match:
        raise Malformed(f"{value} is not a text in double quotes")
    octets = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), match[1])
    try:
        return octets.encode("latin-1").decode("utf-8", errors="surrogateescape")
    except UnicodeEncodeError:
        raise Malformed(f"{value} has an octal number above 377") from None


def _bdf(value):
    if not BDF.match(value):
        raise Malformed(f"'{value}' is not the address of a PCI device")
    return value


def _one_of(*words):
    def read(value):
        if value not in words:
            raise Malformed(f"'{value}' is none of {', '.join(words)}")
        return value
    return read


def _waits(value):
    words = value.split(",")
    places = [WAITS.index(word) if word in WAITS else -1 for word in words]
    if -1 in places or places != sorted(set(places)):
        raise Malformed(f"'{value}' is not a list of things to wait for, in order")
    return tuple(words)


YES_NO, ON_OFF = _one_of("yes", "no"), _one_of("on", "off")
REFUSED = {"by": _one_of("pci", "iommu", "intel", "iommufd", "memfd"), "why": _text}
HOLDER = {"pid": _number, "comm": _text, "alive": YES_NO}

# Of each type of record: which keys it always has, and which it may have.
# "name" of "list" and so on are what tells one object of a type from another.
RECORDS = {
    "view": ({"state": _one_of("whole", "changing")}, {}),
    "image": ({"state": _one_of("has-list", "without-list", "without-handover")}, {}),
    "format": ({"compatible": _text, "state": _one_of("read", "unknown")}, {}),
    "session": ({"name": _text, "state": _one_of("outgoing", "not-read", "not-retrieved", "retrieved", "finished",
                                                 "busy")},
                {"files": _number, **HOLDER}),
    "file": ({"session": _text, "token": _hex, "compatible": _text,
              "state": _one_of("preserved", "not-retrieved", "retrieved", "failed")},
             {"errno": _number, "open": _number, "hwpts": _number, "device": _bdf, "bound": YES_NO,
              "handler": _one_of("missing"), "by": _one_of("vfio"), "why": _text, **HOLDER}),
    "hwpt": ({"session": _text, "iommufd": _hex, "token": _hex, "domain": _number, "devices": _number,
              "state": _one_of("preserved", "not-retrieved", "restored", "reclaimed", "left")}, {}),
    "iommu": ({"state": _one_of("preserved", "pending", "adopted", "refused")},
              {"index": _number, "registers": _hex, "type": _one_of("vtd", "amd", "none", "unknown"), "mode": _one_of("legacy", "scalable"), "root": _hex, **REFUSED}),
    "domain": ({"index": _number, "state": _one_of("preserved", "pending", "unused", "restored", "freed", "refused")},
               {"format": _one_of("vtdss", "amdv1", "unknown"), "top": _hex, "levels": _number, "iova-bits": _number,
                "devices": _number, "refs": _number, "owned": YES_NO, **REFUSED}),
    "device": ({"bdf": _bdf, "state": _one_of("preserved", "frozen", "pending", "attached", "left", "running",
                                              "finished", "refused")},
               {"domain": _number, "iommu": _hex, "iommu-index": _number, "did": _number, "ats": ON_OFF, "bus-master": ON_OFF,
                "reset": _one_of("pending", "done", "failed"), "errno": _number, **REFUSED}),
    "bridge": ({"bdf": _bdf, "state": _one_of("preserved", "frozen", "pending", "running", "finished", "refused")},
               {"devices": _number, "secondary": _number, "subordinate": _number, "bus-master": ON_OFF, **REFUSED}),
    "refusal": ({"number": _number, "object": _text, "state": _one_of("refused"), "rule": _text, "errno": _number,
                 "why": _text}, {}),
    "bus": ({"bus": _hex, "state": _one_of("refused")}, REFUSED),
    "list": ({"name": _one_of("pci-v5", "iommu-v2", "iommufd-v1", "iommufd-v2", "memfd-v2"), "state": _one_of("refused")}, REFUSED),
}
# Of every record: incoming only; and of the device's text, which has both sides.
COMMON = {"waits-for": _waits, "kernel": _one_of("outgoing", "incoming")}
# What only debugfs shows, and what only those see who may know physical addresses.
COUNTS = {("file", "open"), ("domain", "refs")}
PHYSICAL = {("iommu", "registers"), ("iommu", "root"), ("domain", "top"), ("device", "iommu")}


class Record(dict):
    """The values of one object by key; its type is in .type, what it waits for in .waits."""

    def __init__(self, kind, values):
        super().__init__(values)
        self.type = kind

    @property
    def waits(self):
        return self.get("waits-for", ())


def _record(line):
    kind, blank, rest = line.partition(" ")
    if not NAME.match(kind):
        raise Malformed(f"'{kind}' is not the name of a type")
    if kind not in RECORDS:
        raise Malformed(f"there is no type {kind}")
    always, may = RECORDS[kind]
    known = {**always, **may, **COMMON}
    values, at, rest = {}, 0, blank + rest
    while at < len(rest):
        match = PAIR.match(rest, at)
        if not match:
            raise Malformed(f"'{rest[at:]}' does not begin with a key and a value")
        key, value = match[1], match[2]
        if key in values:
            raise Malformed(f"{key} is there twice")
        if key not in known:
            raise Malformed(f"{kind} has no key {key}")
        if not value.startswith('"') and not WORD.match(value):
            raise Malformed(f"the value of {key}, '{value}', is not a word")
        try:
            values[key] = known[key](value)
        except Malformed as error:
            raise Malformed(f"{key}: {error}") from None
        at = match.end()
    for key in always:
        if key not in values:
            raise Malformed(f"{kind} without {key}")
    if values["state"] == "refused" and "why" not in values:
        raise Malformed(f"{kind} is refused, but it does not say why")
    return Record(kind, values)


class View:
    """All records of one file."""

    def __init__(self, records):
        self.records = records

    def of(self, kind, **match):
        """The records of a type; keys with a "-" are written with a "_"."""
        return [r for r in self.records if r.type == kind and
                all(r.get(key.replace("_", "-")) == value for key, value in match.items())]


def parse(text):
    """The View of a text, or Malformed with the number of the line."""
    if not text.endswith("\n"):
        raise Malformed("the last line does not end")
    lines = text[:-1].split("\n")
    if lines[0] != FORMAT_LINE:
        raise Malformed(f"line 1: '{lines[0]}', expected '{FORMAT_LINE}'")
    records = []
    for number, line in enumerate(lines[1:], 2):
        try:
            records.append(_record(line))
        except Malformed as error:
            raise Malformed(f"line {number}: {error}") from None
    return View(records)


def sides(view):
    """The device's text taken apart: {"outgoing": View, "incoming": View, "state": "whole" or "changing"}."""
    found = {"outgoing": View([]), "incoming": View([])}
    for record in view.records:
        if record.type == "view" and "state" not in found:
            found["state"] = record["state"]
        elif "kernel" in record:
            values = {key: value for key, value in record.items() if key != "kernel"}
            found[record["kernel"]].records.append(Record(record.type, values))
        else:
            raise Malformed(f"a {record.type} does not say of which kernel it is")
    if "state" not in found:
        raise Malformed("there is no record view")
    return found


def without(view, keys):
    """Its records without such keys, as sorted texts: what two readers see has to be the same."""
    return sorted(str((r.type, sorted((k, v) for k, v in r.items() if (r.type, k) not in keys))) for r in view.records)


# What makes two records of a type the same object.
IDENTITY = {"view": (), "bus": ("bus",), "image": (), "format": ("compatible",), "session": ("name",), "file": ("session", "token"), "hwpt": ("session", "iommufd", "token"),
            "iommu": ("index", "registers"), "domain": ("index",), "device": ("bdf",), "bridge": ("bdf",), "list": ("name",), "refusal": ("number",)}
NOT_ON_DOMAIN = ("left", "finished", "refused", "running")


def contradictions(view, incoming):
    """In what the records of a view, taken while nothing changes, do not agree with each other."""
    found, seen = [], set()

    def refer(record, kind, **match):
        if not view.of(kind, **match):
            found.append(f"a {record.type} refers to the {kind} {match}, which is not there")

    for record in view.records:
        identity = record.type, *(record.get(key) for key in IDENTITY[record.type])
        if identity in seen:
            found.append(f"{identity} is there twice")
        seen.add(identity)
        if not incoming and (record.waits or record["state"] == "refused" and record.type != "refusal"):
            found.append(f"{identity} is outgoing, but waits for something or is refused")
        if record.type == "session" and record["state"] not in ("not-read", "busy"):
            n = len(view.of("file", session=record["name"]))
            if n != record["files"]:
                found.append(f"session {record['name']} has {record['files']} files, and {n} are listed")
        if record.type == "file":
            refer(record, "session", name=record["session"])
            if "device" in record:
                refer(record, "device", bdf=record["device"])
            if record.get("hwpts") is not None:
                n = len(view.of("hwpt", session=record["session"], iommufd=record["token"]))
                if n != record["hwpts"]:
                    found.append(f"an iommufd has {record['hwpts']} HWPTs, and {n} are listed")
        if record.type == "hwpt":
            refer(record, "file", session=record["session"], token=record["iommufd"])
            refer(record, "domain", index=record["domain"])
            for domain in view.of("domain", index=record["domain"]):
                if domain.get("devices", 0) != record["devices"]:
                    found.append(f"a HWPT has {record['devices']} devices, its domain {domain.get('devices')}")
        if record.type == "domain" and "devices" in record:
            n = sum(d["state"] not in NOT_ON_DOMAIN for d in view.of("device", domain=record["index"]))
            if n != record["devices"]:
                found.append(f"domain {record['index']} has {record['devices']} devices, and {n} are listed")
        if record.type == "device" and record["state"] not in ("refused", "running"):
            refer(record, "domain", index=record.get("domain"))
            if "iommu" in record:
                refer(record, "iommu", registers=record["iommu"])
            if "iommu-index" in record or "iommu" not in record:
                refer(record, "iommu", index=record.get("iommu-index"))
            if record.get("bus-master", "on") != "on":
                found.append(f"bus mastering of {record['bdf']} is off")
    return found


# What the next kernel cannot have changed, and where it is told.
CARRIED = {"iommu": ("index", "registers", "type", "mode", "root"), "domain": ("index", "format", "top", "levels", "iova-bits"),
           "device": ("bdf", "domain", "iommu-index", "iommu", "did"), "bridge": ("bdf", "secondary", "subordinate"),
           "hwpt": ("session", "iommufd", "token", "domain"), "file": ("session", "token", "compatible", "device"),
           "session": ("name",)}


def carried(view):
    """What has to be the same in the outgoing view of one kernel and the incoming one of the next."""
    return {kind: sorted(str([(key, r.get(key)) for key in keys]) for r in view.of(kind))
            for kind, keys in CARRIED.items()}


def texts(events):
    """What the guest has passed on: {step: {"view": text}}; of debugfs "outgoing" and "incoming", too."""
    found = {}
    for event in events:
        if event["ev"] == "view":
            step = found.setdefault(event["at"], {})
            step[event["file"]] = step.get(event["file"], "") + event["text"]
    return found
