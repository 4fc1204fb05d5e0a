"""How many blocks a second zigpy's OTA server gives a device that lives in the same process.

usage: blocks.py BLOCKS [--acknowledged]

The device asks for 48 bytes at a time, at once when it has the block before, and costs as little
as it can: its requests are put together from bytes and of the answers only the offset is looked
at. With --acknowledged a transmission is over when the device's APS acknowledgement has come, as
with a radio; without, as soon as it is handed over. Prints the blocks, and the seconds of processor
time that they took.
"""

import argparse
import asyncio
import logging
import struct
import time

import zigpy.application
import zigpy.config
import zigpy.endpoint
import zigpy.ota
import zigpy.ota.image
import zigpy.ota.manager
import zigpy.ota.providers
import zigpy.types as t
from zigpy.zcl import foundation
from zigpy.zcl.clusters.general import Ota
from zigpy.zdo.types import NodeDescriptor

BLOCK = 48
MANUFACTURER = 0xFFF1
IMAGE_TYPE = 1
VERSION = 0x02000000
ADDRESS = t.NWK(0x1234)
# Home Automation: zigpy takes no notice of Smart Energy.
PROFILE = 0x0104

IMAGE_NOTIFY = 0x00
QUERY_REQUEST = 0x01
QUERY_RESPONSE = 0x02
BLOCK_REQUEST = 0x03
BLOCK_RESPONSE = 0x05
END_REQUEST = 0x06
IDENTITY = struct.pack("<HHI", MANUFACTURER, IMAGE_TYPE, VERSION)


class Application(zigpy.application.ControllerApplication):
    """A network without a radio: what is sent goes to the one device there is."""

    def __init__(self, config, blocks, acknowledged):
        super().__init__(config)
        self.blocks = blocks
        self.acknowledged = acknowledged
        self.taken = 0
        self.began = None
        self.seconds = None
        self.sequence = 0

    async def send_packet(self, packet):
        loop = asyncio.get_running_loop()
        if not self.acknowledged:
            loop.call_soon(self.answer, packet.data.serialize())
            return
        arrived = loop.create_future()
        loop.call_soon(self.acknowledge, arrived, packet.data.serialize())
        await arrived

    def acknowledge(self, arrived, data):
        arrived.set_result(None)
        self.answer(data)

    def answer(self, data):
        """The device has got `data`, a ZCL frame of three bytes of header and a payload."""
        command = data[2]
        if command == IMAGE_NOTIFY:
            self.ask(QUERY_REQUEST, b"\x00" + struct.pack("<HHI", MANUFACTURER, IMAGE_TYPE, 1))
        elif command == QUERY_RESPONSE:
            assert data[3] == 0, "zigpy offers nothing"
            self.began = time.process_time()
            self.ask_block()
        elif command == BLOCK_RESPONSE:
            status, offset, count = data[3], *struct.unpack_from("<IB", data, 12)
            assert status == 0 and offset == self.taken * BLOCK and count == BLOCK
            self.taken += 1
            if self.taken < self.blocks:
                self.ask_block()
            else:
                self.seconds = time.process_time() - self.began
                self.ask(END_REQUEST, b"\x00" + IDENTITY)

    def ask_block(self):
        offset = struct.pack("<IB", self.taken * BLOCK, BLOCK)
        self.ask(BLOCK_REQUEST, b"\x00" + IDENTITY + offset)

    def ask(self, command, payload):
        self.sequence = (self.sequence + 1) & 0xFF
        self.packet_received(
            t.ZigbeePacket(
                src=t.AddrModeAddress(addr_mode=t.AddrMode.NWK, address=ADDRESS),
                src_ep=t.uint8_t(1),
                dst=t.AddrModeAddress(addr_mode=t.AddrMode.NWK, address=t.NWK(0x0000)),
                dst_ep=t.uint8_t(1),
                tsn=t.uint8_t(self.sequence),
                profile_id=t.uint16_t(PROFILE),
                cluster_id=t.uint16_t(Ota.cluster_id),
                data=t.SerializableBytes(bytes((0x01, self.sequence, command)) + payload),
            )
        )

    # What a radio would do, and what nobody asks of this one.

    async def connect(self):
        pass

    async def disconnect(self):
        pass

    async def start_network(self):
        pass

    async def force_remove(self, dev):
        pass

    async def add_endpoint(self, descriptor):
        pass

    async def permit_ncp(self, time_s=60):
        pass

    async def permit_with_link_key(self, node, link_key, time_s=60):
        pass

    async def write_network_info(self, *, network_info, node_info):
        pass

    async def load_network_info(self, *, load_devices=False):
        pass

    async def reset_network_info(self):
        pass


def image(blocks):
    """An image of a few blocks more than are asked for."""
    data = bytes((blocks + 2) * BLOCK)
    element = zigpy.ota.image.SubElement(
        tag_id=zigpy.ota.image.ElementTagId.UPGRADE_IMAGE, data=data
    )
    header = zigpy.ota.image.OTAImageHeader(
        upgrade_file_id=zigpy.ota.image.OTAImageHeader.MAGIC_VALUE,
        header_version=0x0100,
        header_length=56,
        field_control=0,
        manufacturer_id=MANUFACTURER,
        image_type=IMAGE_TYPE,
        file_version=VERSION,
        stack_version=2,
        header_string="benchmark",
        image_size=56 + 6 + len(data),
    )
    return zigpy.ota.OtaImageWithMetadata(
        metadata=zigpy.ota.providers.BaseOtaImageMetadata(file_version=VERSION),
        firmware=zigpy.ota.image.OTAImage(header=header, subelements=[element]),
    )


async def main(blocks, acknowledged):
    application = Application(
        {
            zigpy.config.CONF_DEVICE: {zigpy.config.CONF_DEVICE_PATH: "none"},
            zigpy.config.CONF_OTA: {zigpy.config.CONF_OTA_ENABLED: False},
        },
        blocks,
        acknowledged,
    )
    device = application.add_device(t.EUI64.convert("00:bb:00:00:00:00:00:01"), ADDRESS)
    endpoint = device.add_endpoint(1)
    endpoint.profile_id = PROFILE
    # As it is after an interview: a router, mains powered, its endpoint known.
    device.node_desc = NodeDescriptor(1, 64, 142, MANUFACTURER, 82, 82, 0, 82, 0)
    endpoint.status = zigpy.endpoint.Status.ZDO_INIT
    endpoint.add_output_cluster(Ota.cluster_id)
    device.ota_in_progress = True
    status = await zigpy.ota.manager.update_firmware(device, image(blocks))
    assert status == foundation.Status.SUCCESS, status
    assert application.taken == blocks
    print(application.taken, f"{application.seconds:.6f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("blocks", type=int)
    parser.add_argument("--acknowledged", action="store_true")
    options = parser.parse_args()
    # zigpy puts a line together for every packet unless nobody could read it.
    logging.disable(logging.CRITICAL)
    asyncio.run(main(options.blocks, options.acknowledged))
