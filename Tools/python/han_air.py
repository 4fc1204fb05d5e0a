"""Speaks the air protocol of `han`, version 1: docs/air-protocol.md says what every message means.

Every message, input, action, WAN message and order is a dataclass whose fields stand in wire order.
`encode` makes bytes of a message and `decode` a message of bytes; both raise `AirError` for what
the protocol does not allow. `Node`, `Sniffer` and `Control` are the three kinds of peers; they
need pyzmq, the codec does not.

    node = Node("ipc:///run/user/1000/han/air", name="PPMID")
    turn = node.turn()                          # the first one is a PowerOn
    node.answer([Receiver(on=True)], next_deadline=turn.time + 500_000)

Times and spans are whole microseconds; `NEVER` is the time that never comes. EUI-64s are numbers,
0x0247420000000101 for 02-47-42-00-00-00-01-01. PSDUs are bytes, without the FCS but in `Frame`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

VERSION = 1
MESSAGE_LIMIT = 131_072
ACTION_LIMIT = 256
TARGET_LIMIT = 64
PSDU_LIMIT = 125
FLASH_LIMIT = 268_435_456
MEASUREMENT_LIMIT = 251_673_600
DELAY_LIMIT = 3_153_600_000_000_000
NEVER = 0x7FFF_FFFF_FFFF_FFFF
UNKNOWN_MEMBER = 0xFFFF


class AirError(Exception):
    """What was wrong with bytes or values; `offset` counts from the message's start."""

    def __init__(self, text: str, offset: int | None = None) -> None:
        super().__init__(text if offset is None else f"offset {offset}: {text}")
        self.offset = offset


class AirGone(AirError):
    """The air was silent for too long, or has ended."""


# What fields are made of: one object each, which reads and writes it.


class Reader:
    """Takes one field after another from a message."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.offset:
            raise AirError("the bytes end too early", len(self.data))
        self.offset += count
        return self.data[self.offset - count : self.offset]


@dataclass(frozen=True)
class Number:
    """A little-endian number, signed or not, of `low` to `high`."""

    size: int
    low: int
    high: int

    def read(self, reader: Reader) -> int:
        start = reader.offset
        value = int.from_bytes(reader.take(self.size), "little", signed=self.low < 0)
        self.check(value, start)
        return value

    def write(self, value: int) -> bytes:
        self.check(int(value), None)
        return int(value).to_bytes(self.size, "little", signed=self.low < 0)

    def check(self, value: int, offset: int | None) -> None:
        if not self.low <= value <= self.high:
            raise AirError(f"{value} is not from {self.low} to {self.high}", offset)


class Flag(Number):
    """A byte that is 0 or 1."""

    def __init__(self) -> None:
        super().__init__(1, 0, 1)

    def read(self, reader: Reader) -> bool:
        return super().read(reader) == 1


@dataclass(frozen=True)
class Data:
    """So many bytes, with their count before them if `prefix` is not 0."""

    prefix: int
    limit: int

    def read(self, reader: Reader) -> bytes:
        start = reader.offset
        count = int.from_bytes(reader.take(self.prefix), "little") if self.prefix else self.limit
        if count > self.limit:
            raise AirError(f"{count} bytes are more than {self.limit}", start)
        return reader.take(count)

    def write(self, value: bytes) -> bytes:
        if len(value) > self.limit or (not self.prefix and len(value) != self.limit):
            raise AirError(f"{len(value)} bytes where {self.limit} are allowed")
        length = len(value).to_bytes(self.prefix, "little") if self.prefix else b""
        return length + bytes(value)


@dataclass(frozen=True)
class Text:
    """UTF-8 without control characters, its length before it."""

    prefix: int

    def read(self, reader: Reader) -> str:
        start = reader.offset
        count = int.from_bytes(reader.take(self.prefix), "little")
        try:
            text = reader.take(count).decode()
        except UnicodeDecodeError as error:
            raise AirError("text that is not UTF-8", start) from error
        if any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text):
            raise AirError("text with control characters", start)
        return text

    def write(self, value: str) -> bytes:
        return Data(self.prefix, 256**self.prefix - 1).write(value.encode())


@dataclass(frozen=True)
class Many:
    """A count as u16, then so many things."""

    element: Any
    size: int
    limit: int

    def read(self, reader: Reader) -> list[Any]:
        start = reader.offset
        count = int.from_bytes(reader.take(2), "little")
        if count > self.limit or count * self.size > len(reader.data) - reader.offset:
            raise AirError(f"{count} is more than are allowed, or there", start)
        return [self.element.read(reader) for _ in range(count)]

    def write(self, value: Sequence[Any]) -> bytes:
        if len(value) > self.limit:
            raise AirError(f"{len(value)} are more than {self.limit}")
        parts = [self.element.write(one) for one in value]
        return len(value).to_bytes(2, "little") + b"".join(parts)


class Values:
    """An event's values: their count, then those before the zeros at the end."""

    def read(self, reader: Reader) -> list[int]:
        start = reader.offset
        count = U8.read(reader)
        if count > 6:
            raise AirError(f"{count} values of an event are more than 6", start)
        values = [U64.read(reader) for _ in range(count)]
        if values and values[-1] == 0:
            raise AirError("an event's last value is 0 and was not left out", start)
        return values

    def write(self, value: Sequence[int]) -> bytes:
        values = list(value)
        while values and values[-1] == 0:
            values.pop()
        if len(values) > 6:
            raise AirError(f"{len(values)} values of an event are more than 6")
        return bytes([len(values)]) + b"".join(U64.write(one) for one in values)


class SixValues:
    """The values of an observed event: always six."""

    def read(self, reader: Reader) -> list[int]:
        return [U64.read(reader) for _ in range(6)]

    def write(self, value: Sequence[int]) -> bytes:
        return b"".join(U64.write(one) for one in (list(value) + [0] * 6)[:6])


class Union:
    """A tag, then the fields of the dataclass with this `TAG`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kinds: dict[int, type[Struct]] = {}

    def add(self, kind: type[Struct]) -> type[Struct]:
        self.kinds[kind.TAG] = kind
        return kind

    def read(self, reader: Reader) -> Any:
        start = reader.offset
        kind = self.kinds.get(U8.read(reader))
        if kind is None:
            raise AirError(f"no {self.name} with this tag", start)
        return kind.read(reader)

    def write(self, value: Struct) -> bytes:
        if self.kinds.get(value.TAG) is not type(value):
            raise AirError(f"{type(value).__name__} is no {self.name}")
        return bytes([value.TAG]) + value.write()


class PendingAddress:
    """A mode, then a short address or an EUI-64: `("short", 0x1234)` or `("eui64", 0x02...)`."""

    def read(self, reader: Reader) -> tuple[str, int]:
        start = reader.offset
        mode = U8.read(reader)
        if mode == 2:
            return "short", U16.read(reader)
        if mode == 3:
            return "eui64", U64.read(reader)
        raise AirError("no address mode", start)

    def write(self, value: tuple[str, int]) -> bytes:
        mode, address = value
        return b"\x02" + U16.write(address) if mode == "short" else b"\x03" + U64.write(address)


class Struct:
    """A dataclass whose fields are written one after another, as `LAYOUT` says of each."""

    TAG: ClassVar[int]
    LAYOUT: ClassVar[dict[str, Any]]

    @classmethod
    def read(cls, reader: Reader) -> Any:
        value = cls(**{name: kind.read(reader) for name, kind in cls.LAYOUT.items()})
        value.check(reader.offset)
        return value

    def write(self) -> bytes:
        self.check(None)
        try:
            return b"".join(
                kind.write(getattr(self, name)) for name, kind in self.LAYOUT.items()
            )
        except AirError as error:
            raise AirError(f"{type(self).__name__}: {error}") from error

    def check(self, offset: int | None) -> None:
        """Raises for fields that contradict each other."""


U8 = Number(1, 0, 0xFF)
U16 = Number(2, 0, 0xFFFF)
U32 = Number(4, 0, 0xFFFF_FFFF)
U64 = Number(8, 0, 0xFFFF_FFFF_FFFF_FFFF)
I8 = Number(1, -128, 127)
ZERO = Number(1, 0, 0)
FLAG = Flag()
CHANNEL = Number(1, 11, 26)
LOSS = Number(4, 0, 1_000_000)
EUI64 = U64
KEY = Data(0, 16)
HASH = Data(0, 32)
PSDU = Data(1, PSDU_LIMIT)
LONG_PSDU = Data(1, 127)
TEXT8 = Text(1)
TEXT = Text(2)


class Time(Number):
    """Microseconds since the run began: an i64 that is not negative, `NEVER` where it may be."""

    def __init__(self, high: int = NEVER) -> None:
        super().__init__(8, 0, high)


TIME = Time()
KNOWN_TIME = Time(NEVER - 1)
DELAY = Number(8, 0, DELAY_LIMIT)

INPUT = Union("input")
ACTION = Union("action")
WAN_MESSAGE = Union("WAN message")
ORDER = Union("order")
MESSAGE = Union("message")


class Flags(Number):
    """A byte of which only so many bits, from bit 0, may be set."""

    def __init__(self, bits: int) -> None:
        super().__init__(1, 0, (1 << bits) - 1)


# WAN messages


@WAN_MESSAGE.add
@dataclass
class BeginImage(Struct):
    TAG = 0
    LAYOUT = {
        "delivery": U32,
        "size": U32,
        "targets": Many(EUI64, 8, TARGET_LIMIT),
        "installable_from": Many(U32, 4, TARGET_LIMIT),
    }
    delivery: int
    size: int
    targets: list[int]
    installable_from: list[int] = field(default_factory=list)


@WAN_MESSAGE.add
@dataclass
class ImageChunk(Struct):
    TAG = 1
    LAYOUT = {"delivery": U32, "offset": U32, "data": Data(2, 65_535)}
    delivery: int
    offset: int
    data: bytes


@WAN_MESSAGE.add
@dataclass
class EndImage(Struct):
    TAG = 2
    LAYOUT = {"delivery": U32}
    delivery: int


@WAN_MESSAGE.add
@dataclass
class ActivateHub(Struct):
    TAG = 3
    LAYOUT = {"hash": HASH}
    hash: bytes


@WAN_MESSAGE.add
@dataclass
class ReadVersion(Struct):
    TAG = 4
    LAYOUT = {"device": EUI64}
    device: int


@WAN_MESSAGE.add
@dataclass
class ImageStored(Struct):
    TAG = 5
    LAYOUT = {"delivery": U32}
    delivery: int


@WAN_MESSAGE.add
@dataclass
class ImageRefused(Struct):
    TAG = 6
    LAYOUT = {"delivery": U32, "reason": U8}
    delivery: int
    reason: int


@WAN_MESSAGE.add
@dataclass
class Message(Struct):
    """One GBCS message: to the hub, for a device of its log or itself; from it, a device's."""

    TAG = 7
    LAYOUT = {"device": EUI64, "data": Data(2, 65_535)}
    device: int
    data: bytes


# Orders


@ORDER.add
@dataclass
class Activate(Struct):
    TAG = 0
    LAYOUT = {"hash": HASH}
    hash: bytes


@ORDER.add
@dataclass
class QueryNextImage(Struct):
    TAG = 1
    LAYOUT = {}


@ORDER.add
@dataclass
class QueryDeviceFile(Struct):
    TAG = 2
    LAYOUT = {"image_type": U16}
    image_type: int


@ORDER.add
@dataclass
class CancelDownload(Struct):
    TAG = 3
    LAYOUT = {}


@ORDER.add
@dataclass
class PermitJoining(Struct):
    TAG = 4
    LAYOUT = {"duration": DELAY}
    duration: int


@ORDER.add
@dataclass
class UpdateNetworkKey(Struct):
    TAG = 5
    LAYOUT = {}


@ORDER.add
@dataclass
class AddDevice(Struct):
    TAG = 6
    LAYOUT = {"device": EUI64, "link_key": KEY}
    device: int
    link_key: bytes


@ORDER.add
@dataclass
class RemoveDevice(Struct):
    TAG = 7
    LAYOUT = {"device": EUI64}
    device: int


@ORDER.add
@dataclass
class ChangeSupplier(Struct):
    TAG = 8
    LAYOUT = {"anchor": Data(2, 65_535)}
    anchor: bytes


# Inputs


@INPUT.add
@dataclass
class PowerOn(Struct):
    TAG = 0
    LAYOUT = {"cut": TIME}
    cut: int = NEVER


@INPUT.add
@dataclass
class Tick(Struct):
    TAG = 1
    LAYOUT = {}


@INPUT.add
@dataclass
class Received(Struct):
    TAG = 2
    LAYOUT = {"frame": U64, "rssi": I8, "lqi": U8, "psdu": PSDU}
    frame: int
    rssi: int
    lqi: int
    psdu: bytes


@INPUT.add
@dataclass
class Transmitted(Struct):
    """`status` is one of `SUCCESS`, `NO_ACK`, `CHANNEL_ACCESS_FAILURE` and `REFUSED`."""

    TAG = 3
    LAYOUT = {"handle": U8, "status": Number(1, 0, 3), "frame_pending": FLAG}
    handle: int
    status: int
    frame_pending: bool


SUCCESS, NO_ACK, CHANNEL_ACCESS_FAILURE, REFUSED = range(4)


@INPUT.add
@dataclass
class Energy(Struct):
    TAG = 4
    LAYOUT = {"channel": CHANNEL, "level": I8}
    channel: int
    level: int


@INPUT.add
@dataclass
class WANInput(Struct):
    TAG = 5
    LAYOUT = {"message": WAN_MESSAGE}
    message: Struct


@INPUT.add
@dataclass
class OrderInput(Struct):
    TAG = 6
    LAYOUT = {"order": ORDER}
    order: Struct


@INPUT.add
@dataclass
class Observed(Struct):
    TAG = 7
    LAYOUT = {"time": KNOWN_TIME, "member": U16, "kind": U16, "values": SixValues()}
    time: int
    member: int
    kind: int
    values: list[int]


# Actions


@ACTION.add
@dataclass
class Configure(Struct):
    """`flags`: 1 the PAN's coordinator, 2 the receiver is on when idle."""

    TAG = 0
    LAYOUT = {"channel": CHANNEL, "pan": U16, "short": U16, "eui64": EUI64, "flags": Flags(2)}
    channel: int
    pan: int
    short: int
    eui64: int
    flags: int


@ACTION.add
@dataclass
class Receiver(Struct):
    TAG = 1
    LAYOUT = {"on": FLAG}
    on: bool


@ACTION.add
@dataclass
class Pending(Struct):
    TAG = 2
    LAYOUT = {"pending": FLAG, "address": PendingAddress()}
    pending: bool
    address: tuple[str, int]


@ACTION.add
@dataclass
class Transmit(Struct):
    """`flags`: 1 indirect."""

    TAG = 3
    LAYOUT = {"handle": U8, "flags": Flags(1), "psdu": LONG_PSDU}
    handle: int
    flags: int
    psdu: bytes


@ACTION.add
@dataclass
class MeasureEnergy(Struct):
    TAG = 4
    LAYOUT = {"channel": CHANNEL, "duration": Number(8, 0, MEASUREMENT_LIMIT)}
    channel: int
    duration: int


@ACTION.add
@dataclass
class Program(Struct):
    TAG = 5
    LAYOUT = {"address": U32, "count": U32}
    address: int
    count: int


@ACTION.add
@dataclass
class Erase(Struct):
    TAG = 6
    LAYOUT = {"page": U32}
    page: int


@ACTION.add
@dataclass
class SendWAN(Struct):
    TAG = 7
    LAYOUT = {"message": WAN_MESSAGE}
    message: Struct


@ACTION.add
@dataclass
class GiveOrder(Struct):
    TAG = 8
    LAYOUT = {"to": U16, "order": ORDER}
    to: int
    order: Struct


@ACTION.add
@dataclass
class Power(Struct):
    TAG = 9
    LAYOUT = {"of": U16, "on": FLAG}
    of: int
    on: bool


@ACTION.add
@dataclass
class Link(Struct):
    TAG = 10
    LAYOUT = {"a": U16, "b": U16, "rssi": I8, "loss": LOSS}
    a: int
    b: int
    rssi: int
    loss: int


@ACTION.add
@dataclass
class Note(Struct):
    """An event; `EVENTS` has the kinds that most nodes need."""

    TAG = 11
    LAYOUT = {"kind": U16, "values": Values()}
    kind: int
    values: list[int] = field(default_factory=list)


EVENTS = {
    "poweredOn": 1, "booted": 6, "networkKeyReceived": 23, "joined": 24, "rejoined": 25,
    "otaServerFound": 60, "otaQueried": 61, "otaNotOffered": 62, "otaDownloadStarted": 63,
    "otaDownloadResumed": 64, "otaProgress": 65, "otaVerified": 67, "otaRejected": 68,
    "otaAwaitingActivation": 69, "otaGaveUp": 71, "activationOrdered": 73,
    "activationRefused": 74, "activated": 75,
}  # fmt: skip


@ACTION.add
@dataclass
class Restart(Struct):
    TAG = 12
    LAYOUT = {"after": DELAY}
    after: int


@ACTION.add
@dataclass
class EndRun(Struct):
    TAG = 13
    LAYOUT = {}


@ACTION.add
@dataclass
class NetworkKey(Struct):
    TAG = 14
    LAYOUT = {"key": KEY}
    key: bytes


@ACTION.add
@dataclass
class LinkKey(Struct):
    TAG = 15
    LAYOUT = {"key": KEY, "partner": EUI64}
    key: bytes
    partner: int


# Messages between a node and the air


@MESSAGE.add
@dataclass
class Hello(Struct):
    TAG = 0x01
    LAYOUT = {
        "signature": Data(0, 3), "version": U16, "flags": ZERO, "process_id": U32,
        "eui64": EUI64, "name": TEXT8,
    }  # fmt: skip
    signature: bytes = b"HAN"
    version: int = VERSION
    flags: int = 0
    process_id: int = 0
    eui64: int = 0
    name: str = ""

    def check(self, offset: int | None) -> None:
        if self.signature != b"HAN" or self.version != VERSION:
            raise AirError("no hello of version 1", offset)
        if not self.eui64 and not self.name:
            raise AirError("neither an EUI-64 nor a name", offset)


@MESSAGE.add
@dataclass
class Answer(Struct):
    TAG = 0x02
    LAYOUT = {
        "flags": ZERO, "turn": U32, "next_deadline": TIME, "lost": U16,
        "actions": Many(ACTION, 1, ACTION_LIMIT),
    }  # fmt: skip
    turn: int
    next_deadline: int = NEVER
    actions: list[Struct] = field(default_factory=list)
    lost: int = 0
    flags: int = 0


@MESSAGE.add
@dataclass
class Wake(Struct):
    TAG = 0x03
    LAYOUT = {}


@MESSAGE.add
@dataclass
class Leave(Struct):
    TAG = 0x04
    LAYOUT = {}


VIRTUAL, REAL, SCALED = range(3)


def check_pace(pace: int, scale: int, offset: int | None) -> None:
    if not (scale > 0 if pace == SCALED else scale == (0, 1_000_000)[pace]):
        raise AirError(f"scale {scale} in pace {pace}", offset)


@MESSAGE.add
@dataclass
class Welcome(Struct):
    """`flags`: 1 wants detail, 2 observes, 4 rejoins a run in which it was before."""

    TAG = 0x81
    LAYOUT = {
        "version": Number(2, VERSION, VERSION), "flags": Flags(3), "index": U16, "members": U16,
        "pace": Number(1, 0, 2), "scale": U64, "seed": U64, "start": U32,
        "flash_size": Number(4, 1, FLASH_LIMIT), "page_size": Number(4, 1, FLASH_LIMIT),
        "program_time": U32, "erase_time": U32,
    }  # fmt: skip
    version: int
    flags: int
    index: int
    members: int
    pace: int
    scale: int
    seed: int
    start: int
    flash_size: int
    page_size: int
    program_time: int
    erase_time: int

    def check(self, offset: int | None) -> None:
        check_pace(self.pace, self.scale, offset)
        if self.index >= self.members or self.flash_size % self.page_size:
            raise AirError("a welcome that contradicts itself", offset)


@MESSAGE.add
@dataclass
class Turn(Struct):
    TAG = 0x82
    LAYOUT = {"flags": ZERO, "number": U32, "time": KNOWN_TIME, "frames": U64, "input": INPUT}
    number: int
    time: int
    frames: int
    input: Struct
    flags: int = 0

    def check(self, offset: int | None) -> None:
        if isinstance(self.input, PowerOn) and NEVER > self.input.cut > self.time:
            raise AirError("a power cut in the future", offset)


@MESSAGE.add
@dataclass
class Error(Struct):
    """`fatal`: the air takes nothing more from this peer."""

    TAG = 0x83
    LAYOUT = {"fatal": FLAG, "request": U32, "code": Number(1, 1, 12), "text": TEXT}
    fatal: bool
    request: int
    code: int
    text: str


@MESSAGE.add
@dataclass
class Ended(Struct):
    """`reason`: 0 the run came to its end, 1 the air was stopped, 2 this peer was put off."""

    TAG = 0x84
    LAYOUT = {"reason": Number(1, 0, 2), "time": KNOWN_TIME, "frames": U64, "text": TEXT}
    reason: int
    time: int
    frames: int
    text: str


@MESSAGE.add
@dataclass
class Ping(Struct):
    TAG = 0x85
    LAYOUT = {}


# The feed


@MESSAGE.add
@dataclass
class Frame(Struct):
    """`rssi` and `lqi` are only known if `known` is."""

    TAG = 0xC0
    LAYOUT = {
        "number": U64, "start": KNOWN_TIME, "end": KNOWN_TIME, "sender": U16, "channel": CHANNEL,
        "known": FLAG, "rssi": I8, "lqi": U8, "psdu": LONG_PSDU,
    }  # fmt: skip
    number: int
    start: int
    end: int
    sender: int
    channel: int
    known: bool
    rssi: int
    lqi: int
    psdu: bytes

    def check(self, offset: int | None) -> None:
        if self.end < self.start or (not self.known and (self.rssi or self.lqi)):
            raise AirError("a frame that contradicts itself", offset)


@MESSAGE.add
@dataclass
class Event(Struct):
    TAG = 0xC1
    LAYOUT = {"time": KNOWN_TIME, "member": U16, "kind": U16, "values": Values()}
    time: int
    member: int
    kind: int
    values: list[int]


@MESSAGE.add
@dataclass
class Key(Struct):
    TAG = 0xC2
    LAYOUT = {"time": KNOWN_TIME, "key": KEY}
    time: int
    key: bytes


@MESSAGE.add
@dataclass
class FeedEnded(Ended):
    TAG = 0xC3


@MESSAGE.add
@dataclass
class Member(Struct):
    TAG = 0xC4
    LAYOUT = {"index": U16, "eui64": EUI64, "role": TEXT8, "name": TEXT8}
    index: int
    eui64: int
    role: str
    name: str


# Control


@MESSAGE.add
@dataclass
class StatusRequest(Struct):
    TAG = 0x20
    LAYOUT = {"request": U32}
    request: int


@MESSAGE.add
@dataclass
class WANRequest(Struct):
    TAG = 0x21
    LAYOUT = {"request": U32, "message": WAN_MESSAGE}
    request: int
    message: Struct


@MESSAGE.add
@dataclass
class OrderRequest(Struct):
    TAG = 0x22
    LAYOUT = {"request": U32, "to": U16, "order": ORDER}
    request: int
    to: int
    order: Struct


@MESSAGE.add
@dataclass
class PowerRequest(Struct):
    TAG = 0x23
    LAYOUT = {"request": U32, "of": U16, "on": FLAG}
    request: int
    of: int
    on: bool


@MESSAGE.add
@dataclass
class LinkRequest(Struct):
    TAG = 0x24
    LAYOUT = {"request": U32, "a": U16, "b": U16, "rssi": I8, "loss": LOSS}
    request: int
    a: int
    b: int
    rssi: int
    loss: int


@MESSAGE.add
@dataclass
class InjectRequest(Struct):
    TAG = 0x25
    LAYOUT = {"request": U32, "channel": CHANNEL, "psdu": PSDU}
    request: int
    channel: int
    psdu: bytes


@MESSAGE.add
@dataclass
class EndRequest(Struct):
    TAG = 0x26
    LAYOUT = {"request": U32}
    request: int


@MESSAGE.add
@dataclass
class HomeWANRequest(Struct):
    """`member` is anybody of the home whose hub the message is for."""

    TAG = 0x27
    LAYOUT = {"request": U32, "member": U16, "message": WAN_MESSAGE}
    request: int
    member: int
    message: Struct


@dataclass
class MemberStatus(Struct):
    """`state`: 0 absent, 1 on the air, 2 power off, 3 gone, 4 put off."""

    LAYOUT = {
        "index": U16, "state": Number(1, 0, 4), "process_id": U32, "eui64": EUI64,
        "firmware": U32, "offset": U32, "size": U32, "role": TEXT8, "name": TEXT8,
    }  # fmt: skip
    index: int
    state: int
    process_id: int
    eui64: int
    firmware: int
    offset: int
    size: int
    role: str
    name: str


class MemberStatuses(Many):
    """The members of a status."""

    def __init__(self) -> None:
        super().__init__(MemberStatus, 29, 0xFFFF)

    def write(self, value: Sequence[MemberStatus]) -> bytes:
        return U16.write(len(value)) + b"".join(one.write() for one in value)


@MESSAGE.add
@dataclass
class Status(Struct):
    """`state`: 0 waiting for the roster, 1 running, 2 ended."""

    TAG = 0xA0
    LAYOUT = {
        "request": U32, "state": Number(1, 0, 2), "pace": Number(1, 0, 2), "scale": U64,
        "time": KNOWN_TIME, "frames": U64, "members": MemberStatuses(), "turns": U64,
    }  # fmt: skip
    request: int
    state: int
    pace: int
    scale: int
    time: int
    frames: int
    members: list[MemberStatus]
    turns: int

    def check(self, offset: int | None) -> None:
        check_pace(self.pace, self.scale, offset)


@MESSAGE.add
@dataclass
class Done(Struct):
    TAG = 0xA1
    LAYOUT = {"request": U32, "time": KNOWN_TIME}
    request: int
    time: int


def encode(message: Struct) -> bytes:
    """The bytes of a message; `AirError` for values that it cannot have."""
    data = MESSAGE.write(message)
    if len(data) > MESSAGE_LIMIT:
        raise AirError(f"{len(data)} bytes are more than a message may have, {MESSAGE_LIMIT}")
    return data


def decode(data: bytes) -> Any:
    """The message of these bytes; `AirError` for what is none."""
    reader = Reader(bytes(data))
    message = MESSAGE.read(reader)
    if reader.offset != len(data):
        raise AirError("bytes are left over", reader.offset)
    return message


# Peers


@dataclass
class Curve:
    """CURVE keys as ZeroMQ writes them, 40 characters each: the air's public key and our pair."""

    server: str
    public: str
    secret: str


def endpoints(endpoint: str) -> tuple[str, str, str]:
    """The node, sniffer and control sockets of the air at `endpoint`."""
    if endpoint.startswith("ipc://"):
        return endpoint, endpoint + ".sniff", endpoint + ".control"
    host, _, port = endpoint.rpartition(":")
    if not host.startswith("tcp://") or not port.isdecimal() or not 1 <= int(port) <= 65_533:
        raise AirError(f"{endpoint} is neither ipc://PATH nor tcp://HOST:PORT")
    return endpoint, f"{host}:{int(port) + 1}", f"{host}:{int(port) + 2}"


class Peer:
    """One socket to an air; a context manager that closes it."""

    def __init__(self, kind: str, endpoint: str, curve: Curve | None) -> None:
        import zmq

        self.socket = zmq.Context.instance().socket(getattr(zmq, kind))
        self.socket.setsockopt(zmq.LINGER, 1_000)
        self.socket.setsockopt(zmq.IPV6, int("[" in endpoint))
        if curve is not None:
            self.socket.curve_serverkey = curve.server.encode()
            self.socket.curve_publickey = curve.public.encode()
            self.socket.curve_secretkey = curve.secret.encode()
        if kind == "SUB":
            self.socket.setsockopt(zmq.SUBSCRIBE, b"")
        self.socket.connect(endpoint)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, message: Struct) -> None:
        self.socket.send(encode(message))

    def receive(self, timeout: float | None) -> Any:
        """The next message; `AirGone` if none comes within `timeout` seconds."""
        milliseconds = None if timeout is None else max(0, int(timeout * 1_000))
        if not self.socket.poll(milliseconds):
            raise AirGone(f"nothing came from the air for {timeout} s")
        return decode(self.socket.recv())


class Node(Peer):
    """A node: takes its place by its EUI-64, its name or both, then takes turns and answers them.

    `silence` is how many seconds without any sign of the air mean that it is gone, `patience` how
    many the welcome may take. Raises `AirError` with the air's words if it is refused.
    """

    def __init__(
        self, endpoint: str, *, eui64: int = 0, name: str = "", silence: float = 5.0,
        patience: float = 60.0, curve: Curve | None = None,
    ) -> None:  # fmt: skip
        super().__init__("DEALER", endpoints(endpoint)[0], curve)
        self.silence = silence
        self.current: Turn | None = None
        self.send(Hello(process_id=os.getpid(), eui64=eui64, name=name))
        message = self.receive(patience)
        while isinstance(message, Ping):
            message = self.receive(silence)
        if not isinstance(message, Welcome):
            self.close()
            raise AirError(getattr(message, "text", f"{type(message).__name__} for a welcome"))
        self.welcome: Welcome = message

    def turn(self) -> Turn:
        """The next turn, which is to be answered before the next; `AirGone` at the run's end."""
        while True:
            message = self.receive(self.silence)
            if isinstance(message, Turn):
                self.current = message
                return message
            if isinstance(message, Ended):
                raise AirGone(f"the run has ended: {message.text}")
            if isinstance(message, Error):
                raise AirError(message.text)

    def answer(self, actions: Iterable[Struct] = (), next_deadline: int = NEVER) -> None:
        """Answers the turn: the actions, in this order, and when the next tick is wanted."""
        if self.current is None:
            raise AirError("there is no turn to answer")
        self.send(Answer(self.current.number, next_deadline, list(actions)))
        self.current = None

    def run(self, handle: Callable[[Turn], tuple[Iterable[Struct], int]]) -> None:
        """Answers each turn with the actions and deadline that `handle` gives, to the run's end."""
        try:
            while True:
                actions, deadline = handle(self.turn())
                self.answer(actions, deadline)
        except AirGone:
            return

    def leave(self) -> None:
        """Goes in good order."""
        self.send(Leave())
        self.close()


class Sniffer(Peer):
    """Iterates over what the air publishes: `Frame`, `Event`, `Key`, `Member` and `FeedEnded`."""

    def __init__(self, endpoint: str, *, curve: Curve | None = None) -> None:
        super().__init__("SUB", endpoints(endpoint)[1], curve)

    def __iter__(self) -> Iterator[Any]:
        while True:
            data = self.socket.recv()
            if data[:1] and data[0] not in MESSAGE.kinds:
                continue  # a kind of a later version
            message = decode(data)
            yield message
            if isinstance(message, FeedEnded):
                return


class Control(Peer):
    """Gives orders to an air. Each waits for the answer and raises `AirError` for a refusal."""

    def __init__(
        self, endpoint: str, *, patience: float = 10.0, curve: Curve | None = None
    ) -> None:
        super().__init__("DEALER", endpoints(endpoint)[2], curve)
        self.patience = patience
        self.request = 0

    def ask(self, kind: type[Struct], *values: Any) -> Any:
        """Sends a request and gives its answer, a `Status` or a `Done`."""
        self.request = self.request % 0xFFFF_FFFF + 1
        self.send(kind(self.request, *values))
        deadline = time.monotonic() + self.patience
        while True:
            answer = self.receive(max(0.0, deadline - time.monotonic()))
            if isinstance(answer, Error) and answer.request in (0, self.request):
                raise AirError(answer.text)
            if isinstance(answer, (Status, Done)) and answer.request == self.request:
                return answer

    def status(self) -> Status:
        return self.ask(StatusRequest)

    def wan(self, message: Struct, member: int | None = None) -> Done:
        """Sends a WAN message to the hub, as from the CSP; with `member`, in that one's home."""
        if member is not None:
            return self.ask(HomeWANRequest, member, message)
        return self.ask(WANRequest, message)

    def order(self, to: int, order: Struct) -> Done:
        return self.ask(OrderRequest, to, order)

    def power(self, of: int, on: bool) -> Done:
        return self.ask(PowerRequest, of, on)

    def link(self, a: int, b: int, rssi: int, loss: int = 0) -> Done:
        """What two members hear of each other: dBm, and frames lost of a million."""
        return self.ask(LinkRequest, a, b, rssi, loss)

    def inject(self, channel: int, psdu: bytes) -> Done:
        """Has a radio outside the roster send a frame, its FCS left out."""
        return self.ask(InjectRequest, channel, psdu)

    def end(self) -> Done:
        """Ends the run."""
        return self.ask(EndRequest)


__all__ = [
    name for name, value in list(globals().items())
    if isinstance(value, type) and value.__module__ == __name__ and not name.startswith("_")
] + ["encode", "decode", "endpoints", "NEVER", "EVENTS"]  # fmt: skip
