#!/usr/bin/env python3
"""An ESME of its own: joins the PAN through the hub, asks for its next image and fetches it.

    Tools/han run SCENARIO --transport zmq --without ESME
    .build/venv/bin/python Tools/python/example_node.py ENDPOINT --output image.ota

It ends with the run, or with its connection. The image is checked (size, header, SHA-256) and
reported to the hub; this device then waits for an order to activate it, which it does not obey.
"""

from __future__ import annotations

import argparse
import hashlib
import struct
import sys
from collections.abc import Callable

from han_air import EVENTS, AirError, Node
from zigbee_device import SECOND, EndDevice, Message, link_key

EUI64 = 0x0247420000000101
INSTALL_CODE = "94C0 101F 1FCB D17F 97FB 93F2 23AD 3F99 1AA3"
FIRMWARE = 0x03010407
MANUFACTURER, IMAGE_TYPE, HARDWARE = 0xFFF1, 0x0001, 0x0201
MATCH_DESCRIPTOR, MATCH_DESCRIPTOR_RESPONSE = 0x0006, 0x8006
OTA = 0x0019
QUERY, QUERY_RESPONSE, BLOCK, BLOCK_RESPONSE, END, END_RESPONSE = 1, 2, 3, 5, 6, 7
OTA_SUCCESS, INVALID_IMAGE, WAIT_FOR_DATA = 0x00, 0x96, 0x97
BLOCK_SIZE = 48


class Meter(EndDevice):
    """What is left of an ESME without its meter: an OTA client."""

    output = ""  # where the image goes

    def __init__(self, eui64: int, key: bytes, *rest: range) -> None:
        super().__init__(eui64, key, *rest)
        self.server, self.version, self.size = 0, 0, 0
        self.image = bytearray()
        self.blocks, self.status = 0, OTA_SUCCESS

    def scan(self) -> None:
        if self.nwk_counter == 0 and self.mac_number == 0:
            self.note(EVENTS["poweredOn"], FIRMWARE)
            self.note(EVENTS["booted"])
        super().scan()

    # Finding the OTA server.

    def joined(self) -> None:
        print(f"joined PAN 0x{self.pan:04X} as 0x{self.short:04X}", flush=True)
        self.note(EVENTS["joined"], self.short, self.parent)
        self.find_server()

    def find_server(self) -> None:
        request = struct.pack("<BHHBHB", 2, 0x0000, 0x0109, 1, OTA, 0)
        self.send_zdo(0x0000, MATCH_DESCRIPTOR, request)
        self.after(5 * SECOND, self.find_server)

    def take(self, message: Message) -> None:
        data = message.payload
        if message.cluster == MATCH_DESCRIPTOR_RESPONSE and message.endpoint == 0:
            # Sequence, status, the hub's address, how many endpoints match, and the first of them.
            if len(data) > 5 and data[1] == 0 and data[4] > 0 and not self.server:
                self.server = data[5]
                self.note(EVENTS["otaServerFound"], self.trust_centre, 0x0000, self.server)
                self.after(SECOND, self.query)
                self.timers = [timer for timer in self.timers if timer[1] != self.find_server]
        elif message.cluster == OTA and message.is_secured and data[0] & 0x0B == 0x09:
            command, fields = data[2], data[3:]
            if command == QUERY_RESPONSE:
                self.offered(fields)
            elif command == BLOCK_RESPONSE and self.size:
                self.block(fields)
            elif command == END_RESPONSE and self.size:
                self.ended()

    # The download (ZCL 11.13).

    def ask(self, command: int, payload: bytes, again: Callable[[], None]) -> None:
        """Sends a request to the OTA server, and again when nothing comes of it."""
        self.send_command(0x0000, self.server, OTA, command, payload)
        self.after(5 * SECOND, again)

    def query(self) -> None:
        self.note(EVENTS["otaQueried"], MANUFACTURER, IMAGE_TYPE, FIRMWARE)
        fields = struct.pack("<BHHIH", 1, MANUFACTURER, IMAGE_TYPE, FIRMWARE, HARDWARE)
        self.ask(QUERY, fields, self.query)

    def offered(self, fields: bytes) -> None:
        if self.size:
            return
        if fields[0] != OTA_SUCCESS:
            print(f"no image yet: status 0x{fields[0]:02X}", flush=True)
            self.note(EVENTS["otaNotOffered"], fields[0])
            self.after(10 * SECOND, self.query)
            return
        _, _, self.version, self.size = struct.unpack_from("<HHII", fields, 1)
        print(f"offered 0x{self.version:08X}, {self.size} bytes", flush=True)
        self.note(EVENTS["otaDownloadStarted"], self.version, self.size, 0)
        self.timers = [timer for timer in self.timers if timer[1] != self.query]
        self.next_block()

    def next_block(self) -> None:
        fields = struct.pack(
            "<BHHIIB", 0, MANUFACTURER, IMAGE_TYPE, self.version, len(self.image), BLOCK_SIZE
        )
        self.ask(BLOCK, fields, self.next_block)

    def block(self, fields: bytes) -> None:
        if fields[0] == WAIT_FOR_DATA:
            current, later = struct.unpack_from("<II", fields, 1)
            self.after(max(1, later - current if later > current else later) * SECOND,
                       self.next_block)  # fmt: skip
            return
        if fields[0] != OTA_SUCCESS:
            return
        _, _, version, offset, count = struct.unpack_from("<HHIIB", fields, 1)
        if version != self.version or offset != len(self.image):
            return
        self.image += fields[14 : 14 + count]
        self.blocks += 1
        if len(self.image) < self.size:
            self.next_block()
        else:
            self.timers = [timer for timer in self.timers if timer[1] != self.next_block]
            self.check()

    def check(self) -> None:
        magic, _, length = struct.unpack_from("<IHH", self.image)
        total = struct.unpack_from("<I", self.image, 52)[0]
        self.status = OTA_SUCCESS if (magic, total) == (0x0BEEF11E, self.size) else INVALID_IMAGE
        digest = hashlib.sha256(self.image).digest()
        print(f"fetched {len(self.image)} bytes, header of {length}: {digest.hex()}", flush=True)
        if self.status == OTA_SUCCESS:
            self.note(
                EVENTS["otaVerified"], self.version, self.blocks, *struct.unpack(">4Q", digest)
            )
        self.report()

    def report(self) -> None:
        fields = struct.pack("<BHHI", self.status, MANUFACTURER, IMAGE_TYPE, self.version)
        self.ask(END, fields, self.report)

    def ended(self) -> None:
        self.timers = [timer for timer in self.timers if timer[1] != self.report]
        self.note(EVENTS["otaAwaitingActivation"], self.version)
        if self.output:
            with open(self.output, "wb") as file:
                file.write(self.image)
        print("the hub knows that the image is here", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("endpoint", help="the air's, as 'han run --without' says it")
    parser.add_argument("--name", default="ESME", help="the place to take")
    parser.add_argument("--output", help="where the image goes")
    arguments = parser.parse_args()
    try:
        with Node(arguments.endpoint, eui64=EUI64, name=arguments.name) as node:
            Meter.output = arguments.output or ""
            meter = Meter(EUI64, link_key(bytes.fromhex(INSTALL_CODE)))
            node.run(meter.handle)
    except AirError as error:
        sys.exit(f"example_node.py: {error}")
