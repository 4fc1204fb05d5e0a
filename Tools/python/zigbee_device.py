"""A small ZigBee PRO end device for nodes in Python: enough to join a Smart Energy network and talk.

`EndDevice` scans, associates, takes the network key with the link key of its install code, and then
sends and receives ZDO and ZCL frames with NWK and APS security. It keeps nothing in flash, so a
device that is restarted must join anew as another one would: its frame counters begin at 0.

Clauses are those of the ZigBee specification (053474r20) and IEEE 802.15.4-2006.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from han_air import (
    NEVER, SUCCESS, Configure, Note, PowerOn, Received, Struct, Transmit, Transmitted, Turn,
)  # fmt: skip

BROADCAST = 0xFFFF
RX_ON_WHEN_IDLE = 0xFFFD
UNASSIGNED = 0xFFFF
DATA, COMMAND, ACK = 0, 1, 2
LINK_KEY, NETWORK_KEY, KEY_TRANSPORT_KEY = 0, 1, 2
SECURITY_LEVEL = 5  # ENC-MIC-32 (4.5.1.1.1); on the air these bits are 0
MIC = 4
SECOND = 1_000_000


def aes(key: bytes, block: bytes) -> bytes:
    # One block at a time: ECB is what the modes below are made of.
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def mix(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b))


def mmo(data: bytes) -> bytes:
    """The Matyas-Meyer-Oseas hash over AES-128 (B.6), of less than 8 KiB."""
    padded = data + b"\x80" + bytes(-(len(data) + 3) % 16) + struct.pack(">H", 8 * len(data))
    digest = bytes(16)
    for start in range(0, len(padded), 16):
        block = padded[start : start + 16]
        digest = mix(aes(digest, block), block)
    return digest


def keyed_hash(key: bytes, data: bytes) -> bytes:
    """HMAC over that hash (B.1.4): the key-transport key is that of the byte 0."""
    inner = mmo(mix(key, b"\x36" * 16) + data)
    return mmo(mix(key, b"\x5c" * 16) + inner)


def ccm(key: bytes, nonce: bytes, header: bytes, text: bytes, seal: bool) -> bytes | None:
    """AES-CCM* with a MIC of 4 bytes (A.1, A.2): sealed text, or opened text if it is genuine."""
    body, mic = (text, b"") if seal else (text[:-MIC], text[-MIC:])
    stream = b"".join(
        aes(key, b"\x01" + nonce + struct.pack(">H", number))
        for number in range((len(body) + 15) // 16 + 1)
    )
    plain = body if seal else mix(body, stream[16:])
    data = struct.pack(">H", len(header)) + header
    data += bytes(-len(data) % 16) + plain + bytes(-len(plain) % 16)
    tag = aes(key, b"\x49" + nonce + struct.pack(">H", len(plain)))
    for start in range(0, len(data), 16):
        tag = aes(key, mix(tag, data[start : start + 16]))
    tag = mix(tag[:MIC], stream)
    if seal:
        return mix(plain, stream[16:]) + tag
    return plain if tag == mic else None


def link_key(install_code: bytes) -> bytes:
    """The link key of an install code, its CRC included."""
    return mmo(install_code)


@dataclass
class Message:
    """What came for an endpoint: a ZDO command for endpoint 0, otherwise a ZCL frame."""

    source: int
    endpoint: int
    source_endpoint: int
    cluster: int
    payload: bytes
    is_secured: bool


class EndDevice:
    """A receiver-on end device. Give `handle` to `Node.run`, and override `joined` and `take`."""

    def __init__(self, eui64: int, key: bytes, channels: range = range(11, 27)) -> None:
        self.eui64, self.key, self.channels = eui64, key, channels
        self.now, self.handle_number, self.busy = 0, 0, False
        self.actions: list[Struct] = []
        self.queue: list[bytes] = []
        self.timers: list[tuple[int, Callable[[], None]]] = []
        self.pan, self.short, self.parent = UNASSIGNED, UNASSIGNED, 0
        self.trust_centre, self.network_key, self.key_number = 0, b"", 0
        self.mac_number = self.nwk_number = self.aps_number = self.zcl_number = 0
        self.nwk_counter = self.aps_counter = 0
        self.latest: dict[tuple[str, int], int] = {}
        self.seen: list[tuple[int, int, int]] = []
        self.channel_index, self.beacon_heard = 0, False

    # What a device of yours does.

    def joined(self) -> None:
        """It has the network key: from here on it can talk."""

    def take(self, message: Message) -> None:
        """Something came for it."""

    # Turns.

    def handle(self, turn: Turn) -> tuple[list[Struct], int]:
        """Answers a turn: actions and the next deadline."""
        self.now, self.actions = turn.time, []
        match turn.input:
            case PowerOn():
                self.__init__(self.eui64, self.key, self.channels)  # all but flash is forgotten
                self.now = turn.time
                self.scan()
            case Received(psdu=psdu):
                self.receive(psdu)
            case Transmitted(status=status):
                self.busy = False
                if status != SUCCESS and self.short == UNASSIGNED:
                    self.after(SECOND, self.scan)
        for timer in [timer for timer in self.timers if timer[0] <= self.now]:
            self.timers.remove(timer)
            timer[1]()
        if self.queue and not self.busy:
            self.busy = True
            self.handle_number = self.handle_number % 255 + 1
            self.actions.append(Transmit(self.handle_number, 0, self.queue.pop(0)))
        return self.actions, min((time for time, _ in self.timers), default=NEVER)

    def after(self, span: int, act: Callable[[], None]) -> None:
        """Has `act` done in so many microseconds, in place of when it was to be done before."""
        self.timers = [timer for timer in self.timers if timer[1] != act]
        self.timers.append((self.now + span, act))

    def note(self, kind: int, *values: int) -> None:
        self.actions.append(Note(kind, list(values)))

    # The MAC: scan and association (IEEE 802.15.4 7.5.2, 7.5.3).

    def configure(self, channel: int) -> None:
        self.actions.append(Configure(channel, self.pan, self.short, self.eui64, 2))

    def mac(self, control: int, *parts: bytes) -> None:
        self.mac_number = (self.mac_number + 1) % 256
        self.queue.append(struct.pack("<HB", control, self.mac_number) + b"".join(parts))

    def scan(self) -> None:
        if self.network_key:
            return
        self.pan = self.short = UNASSIGNED
        self.beacon_heard = False
        self.configure(self.channels[self.channel_index])
        self.mac(0x0803, struct.pack("<HHB", BROADCAST, BROADCAST, 7))
        self.channel_index = (self.channel_index + 1) % len(self.channels)
        self.after(150_000 if self.channel_index else 5 * SECOND, self.scan)

    def receive(self, frame: bytes) -> None:
        control = struct.unpack_from("<H", frame)[0]
        if control & 7 == 0 and not self.beacon_heard and self.short == UNASSIGNED:
            pan, source, superframe = struct.unpack_from("<HHH", frame, 3)
            # An open coordinator of ZigBee PRO.
            if superframe & 0x8000 and len(frame) > 13 and frame[11] == 0 and frame[12] & 15 == 2:
                self.associate(pan, source)
        elif control == 0xCC63 and frame[21] == 2 and frame[24] == 0:
            self.trust_centre = struct.unpack_from("<Q", frame, 13)[0]
            self.short = struct.unpack_from("<H", frame, 22)[0]
            self.configure(self.channels[self.channel_index - 1])
            self.after(10 * SECOND, self.scan)  # without a network key by then, from the beginning
        elif control & 7 == 1 and self.short != UNASSIGNED:
            self.network(frame[9:])

    def associate(self, pan: int, parent: int) -> None:
        self.pan, self.parent, self.beacon_heard = pan, parent, True
        self.configure(self.channels[self.channel_index - 1])
        # Mains power, receiver on, wants an address.
        own = struct.pack("<HHHQBB", pan, parent, BROADCAST, self.eui64, 1, 0x8C)
        self.mac(0xC823, own)
        self.after(500_000, self.ask_for_address)
        self.after(5 * SECOND, self.scan)

    def ask_for_address(self) -> None:
        self.mac(0xC863, struct.pack("<HHQB", self.pan, self.parent, self.eui64, 4))

    # The NWK layer (3.3.1, 4.3.1).

    def send_network(self, to: int, payload: bytes) -> None:
        """Sends over the parent, secured with the network key."""
        self.nwk_number = (self.nwk_number + 1) % 256
        control = 0x2208 if to >= 0xFFF8 else 0x2248
        header = struct.pack("<HHHBB", control, to, self.short, 30, self.nwk_number)
        self.nwk_counter += 1
        tail = struct.pack("<IQB", self.nwk_counter, self.eui64, self.key_number)
        sealed = self.seal(self.network_key, header, 0x28, tail, self.nwk_counter, payload)
        self.mac(0x8861, struct.pack("<HHH", self.pan, self.parent, self.short), sealed)

    def seal(
        self, key: bytes, header: bytes, control: int, tail: bytes, counter: int, payload: bytes
    ) -> bytes:
        nonce = struct.pack("<QIB", self.eui64, counter, control | SECURITY_LEVEL)
        secured = header + bytes([control | SECURITY_LEVEL]) + tail
        sealed = ccm(key, nonce, secured, payload, seal=True)
        return header + bytes([control]) + tail + (sealed or b"")

    def network(self, frame: bytes) -> None:
        control, _, source = struct.unpack_from("<HHH", frame)
        size = 8 + 8 * bool(control & 0x800) + 8 * bool(control & 0x1000)
        if control & 0x400:
            size += 2 + 2 * frame[size]
        payload: bytes | None = frame[size:]
        if control & 0x200:
            counter, sender = struct.unpack_from("<IQ", frame, size + 1)
            payload = self.open(
                "nwk", self.network_key, frame[:size], frame[size : size + 14], sender, counter,
                frame[size + 14 :],
            )  # fmt: skip
        if payload and control & 3 == DATA:
            self.application(source, payload, bool(control & 0x200))

    def open(
        self, layer: str, key: bytes, header: bytes, tail: bytes, sender: int, counter: int,
        sealed: bytes,
    ) -> bytes | None:  # fmt: skip
        """The text of a secured frame; None if it is forged or came before."""
        control = tail[0] & ~7 | SECURITY_LEVEL
        nonce = struct.pack("<QIB", sender, counter, control)
        if not key or counter <= self.latest.get((layer, sender), -1):
            return None
        text = ccm(key, nonce, header + bytes([control]) + tail[1:], sealed, seal=False)
        if text is not None:
            self.latest[layer, sender] = counter
        return text

    # The APS layer (2.2.5, 4.4).

    def send(
        self, to: int, endpoint: int, cluster: int, payload: bytes, *, profile: int = 0x0109,
        source: int = 1, secured: bool = True, acknowledged: bool = True,
    ) -> None:  # fmt: skip
        """Sends to an endpoint; `secured` with the link key of the trust centre."""
        self.aps_number = (self.aps_number + 1) % 256
        control = DATA | 8 * (to >= 0xFFF8) | 0x20 * secured | 0x40 * acknowledged
        header = struct.pack(
            "<BBHHBB", control, endpoint, cluster, profile, source, self.aps_number
        )
        self.send_aps(to, header, payload, secured)

    def send_aps(self, to: int, header: bytes, payload: bytes, secured: bool) -> None:
        if secured:
            self.aps_counter += 1
            tail = struct.pack("<I", self.aps_counter)
            payload = self.seal(self.key, header, 0, tail, self.aps_counter, payload)
            header = b""
        self.send_network(to, header + payload)

    def application(self, source: int, frame: bytes, in_network: bool) -> None:
        control = frame[0]
        size = 2 if control & 3 == COMMAND else 8
        header, payload = frame[:size], frame[size:]
        opened: bytes | None = payload
        if control & 0x20:
            tail = 13 if payload[0] & 0x20 else 5
            transports = payload[0] >> 3 & 3 == KEY_TRANSPORT_KEY
            key = keyed_hash(self.key, b"\0") if transports else self.key
            opened = self.open(
                "aps", key, header, payload[:tail], self.trust_centre,
                struct.unpack_from("<I", payload, 1)[0], payload[tail:],
            )  # fmt: skip
        if opened is None:
            return
        if control & 3 == COMMAND and control & 0x20:
            self.command(opened)
        elif control & 3 == DATA and in_network:
            _, endpoint, cluster, profile, sender, number = struct.unpack("<BBHHBB", header)
            if control & 0x40:
                ack = ACK | control & 0x20
                self.send_aps(
                    source, struct.pack("<BBHHBB", ack, sender, cluster, profile, endpoint, number),
                    b"", bool(control & 0x20),
                )  # fmt: skip
            if (source, sender, number) not in self.seen:
                self.seen = [*self.seen[-15:], (source, sender, number)]
                self.take(
                    Message(source, endpoint, sender, cluster, opened, bool(control & 0x20))
                )

    def command(self, payload: bytes) -> None:
        # Transport Key, of a standard network key (4.4.9.1).
        if payload[:2] == b"\x05\x01" and not self.network_key and len(payload) >= 19:
            self.network_key, self.key_number = payload[2:18], payload[18]
            self.timers = []
            announcement = struct.pack("<BHQB", 1, self.short, self.eui64, 0x8C)
            self.send_zdo(RX_ON_WHEN_IDLE, 0x0013, announcement)
            self.joined()

    # ZDO and ZCL (2.4; ZCL 2.3).

    def send_zdo(self, to: int, cluster: int, payload: bytes) -> None:
        self.send(
            to, 0, cluster, payload, profile=0, source=0, secured=False,
            acknowledged=to < 0xFFF8,
        )  # fmt: skip

    def send_command(
        self, to: int, endpoint: int, cluster: int, command: int, payload: bytes
    ) -> None:
        """Sends a cluster's command to its server."""
        self.zcl_number = (self.zcl_number + 1) % 256
        self.send(to, endpoint, cluster, bytes([1, self.zcl_number, command]) + payload)
