"""Decodes and makes OTA cluster commands with zigpy.

usage: zigpy_commands.py < LINES

Each line of standard input is a JSON object: "command" (number), "toClient" (true for server to
client), "payload" (hex, what stands behind the ZCL header) and "fields" (zigpy's field names to
values: decimal text, or hex for addresses, most significant byte first, and for data). For each
one JSON object is printed: zigpy's "name" of the command, the "fields" it sees in the payload,
the number of bytes left over in "rest", and in "made" the payload it makes of the given fields.
With "general" set, the command is a profile-wide one: "fields" are not looked at, and "made" is
what zigpy makes of what it has seen. The same goes for a ZDO message, which has its "cluster"; its
"payload" is what stands behind the transaction number, and the fields of a descriptor are named
"NodeDescriptor.server_mask".
What zigpy does not accept gets an object with "error". Exits 0 unless a line is not readable.
"""

import json
import sys

import zigpy.types as t
import zigpy.zdo.types as zdo
from zigpy.zcl import foundation
from zigpy.zcl.clusters.general import Ota


def commands(definitions):
    found = [getattr(definitions, name) for name in dir(definitions)]
    return {int(c.id): c for c in found if hasattr(c, "schema")}


TO_SERVER = commands(Ota.ServerCommandDefs)
TO_CLIENT = commands(Ota.ClientCommandDefs)


def text(value):
    if isinstance(value, t.EUI64):
        return value.serialize()[::-1].hex()
    if isinstance(value, bytes):
        return value.hex()
    return str(int(value))


def value(kind, given):
    if issubclass(kind, t.EUI64):
        return kind.deserialize(bytes.fromhex(given)[::-1])[0]
    if issubclass(kind, bytes):
        return kind(bytes.fromhex(given))
    return kind(int(given))


def describe_general(request):
    command = foundation.GENERAL_COMMANDS[foundation.GeneralCommand(request["command"])]
    try:
        seen, rest = command.schema.deserialize(bytes.fromhex(request["payload"]))
        return {"name": command.name, "rest": len(rest), "made": seen.serialize().hex()}
    except Exception as error:  # whatever zigpy raises is its verdict
        return {"error": f"{type(error).__name__}: {error}"}


def flat(name, seen):
    if isinstance(seen, t.Struct):
        members = seen.as_dict().items()
        return {k: v for n, m in members for k, v in flat(f"{name}.{n}", m).items()}
    if isinstance(seen, list) and not isinstance(seen, t.EUI64):
        return {name: ",".join(text(each) for each in seen)}
    return {} if seen is None else {name: text(seen)}


def describe_zdo(request):
    command = zdo.ZDOCmd(request["cluster"])
    rest, fields, made = bytes.fromhex(request["payload"]), {}, b""
    try:
        for name, kind in zip(*zdo.CLUSTERS[command]):
            seen, rest = kind.deserialize(rest)
            fields.update(flat(name, seen))
            made += b"" if seen is None else seen.serialize()
        return {"name": command.name, "fields": fields, "rest": len(rest), "made": made.hex()}
    except Exception as error:  # whatever zigpy raises is its verdict
        return {"error": f"{type(error).__name__}: {error}"}


def describe(line):
    request = json.loads(line)
    if request.get("cluster") is not None:
        return describe_zdo(request)
    if request.get("general"):
        return describe_general(request)
    command = (TO_CLIENT if request["toClient"] else TO_SERVER)[request["command"]]
    schema = command.schema
    try:
        seen, rest = schema.deserialize(bytes.fromhex(request["payload"]))
        kinds = {field.name: field.type for field in schema.fields}
        made = schema(**{n: value(kinds[n], v) for n, v in request["fields"].items()})
        return {
            "name": command.name,
            "fields": {n: text(v) for n, v in seen.as_dict().items() if v is not None},
            "rest": len(rest),
            "made": made.serialize().hex(),
        }
    except Exception as error:  # whatever zigpy raises is its verdict
        return {"error": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    print(json.dumps(describe(line)))
