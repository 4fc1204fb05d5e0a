"""Holds `han_air` against the examples of docs/air-protocol.md. Needs no pyzmq.

usage: test_han_air.py [-v]
"""

import pathlib
import random
import re
import sys
import unittest

sys.dont_write_bytecode = True
import han_air as air  # noqa: E402

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "air-protocol.md"
UNIONS = {
    "input": air.INPUT, "action": air.ACTION, "wan": air.WAN_MESSAGE, "order": air.ORDER,
}  # fmt: skip

HUB, ESME = 0x0247_4200_0000_0100, 0x0247_4200_0000_0101
KEY, HASH = bytes(range(0xA0, 0xB0)), bytes(range(32))
PSDU = bytes.fromhex("61882a621a0000341201 0203")
OTA = [480, 12_345, 10, 0x0302_0001]
SECOND = 1_000_000

HELLO = air.Hello(process_id=1234, eui64=ESME, name="ESME")
WELCOME = air.Welcome(
    1, 1, 1, 6, air.VIRTUAL, 0, 1, 825_757_200, 1 << 20, 4096, 3, 45_000
)  # fmt: skip

EXPECTED = {
    "hello": HELLO,
    "answer": air.Answer(7, 1_250_000, [air.Receiver(True), air.Note(air.EVENTS["booted"])]),
    "wake": air.Wake(),
    "leave": air.Leave(),
    "welcome": WELCOME,
    "turn": air.Turn(7, SECOND, 42, air.Tick()),
    "error": air.Error(True, 0, 3, "this air speaks version 1"),
    "ended": air.Ended(0, SECOND, 42, "passed"),
    "ping": air.Ping(),
    "frame": air.Frame(
        42, 999_360, SECOND, 1, 11, True, -60, 145, PSDU + bytes.fromhex("0ce5")
    ),
    "event": air.Event(SECOND, 1, air.EVENTS["otaProgress"], OTA),
    "key": air.Key(SECOND, KEY),
    "feed-ended": air.FeedEnded(1, SECOND, 42, ""),
    "member": air.Member(1, ESME, "ESME", "ESME"),
    "status-request": air.StatusRequest(9),
    "wan-request": air.WANRequest(9, air.ReadVersion(ESME)),
    "home-wan-request": air.HomeWANRequest(9, 7, air.ReadVersion(ESME)),
    "order-request": air.OrderRequest(9, 1, air.QueryNextImage()),
    "power-request": air.PowerRequest(9, 1, False),
    "link-request": air.LinkRequest(9, 0, 1, -90, 50_000),
    "inject-request": air.InjectRequest(9, 11, PSDU),
    "end-request": air.EndRequest(9),
    "status": air.Status(
        9, 1, air.VIRTUAL, 0, SECOND, 42,
        [
            air.MemberStatus(0, 1, 1234, HUB, 0x0105_0200, 0, 0, "CH", "CH"),
            air.MemberStatus(1, 0, 0, ESME, 0, 0, 0, "ESME", "ESME"),
        ],
        7,
    ),  # fmt: skip
    "done": air.Done(9, SECOND),
    "input-power-on": air.PowerOn(900_000),
    "input-tick": air.Tick(),
    "input-received": air.Received(42, -60, 145, PSDU),
    "input-transmitted": air.Transmitted(5, air.SUCCESS, True),
    "input-energy": air.Energy(11, -97),
    "input-wan": air.WANInput(air.EndImage(3)),
    "input-order": air.OrderInput(air.QueryNextImage()),
    "input-observed": air.Observed(999_000, 2, air.EVENTS["otaProgress"], OTA + [0, 0]),
    "action-configure": air.Configure(11, 0x1A62, 0x1234, ESME, 2),
    "action-receiver": air.Receiver(True),
    "action-pending-short": air.Pending(True, ("short", 0x1234)),
    "action-pending-extended": air.Pending(False, ("eui64", ESME)),
    "action-transmit": air.Transmit(5, 0, PSDU),
    "action-measure-energy": air.MeasureEnergy(11, 138_240),
    "action-program": air.Program(4096, 16),
    "action-erase": air.Erase(1),
    "action-wan": air.SendWAN(air.ImageStored(3)),
    "action-order": air.GiveOrder(1, air.CancelDownload()),
    "action-power": air.Power(1, False),
    "action-link": air.Link(0, 1, -90, 50_000),
    "action-event": air.Note(air.EVENTS["joined"], [0x1234, 0]),
    "action-restart": air.Restart(3 * SECOND),
    "action-end-run": air.EndRun(),
    "action-network-key": air.NetworkKey(KEY),
    "action-link-key": air.LinkKey(KEY, ESME),
    "wan-begin-image": air.BeginImage(3, 12_345, [ESME], [0x0301_0407]),
    "wan-image-chunk": air.ImageChunk(3, 1024, b"\xde\xad\xbe\xef"),
    "wan-end-image": air.EndImage(3),
    "wan-activate-hub": air.ActivateHub(HASH),
    "wan-read-version": air.ReadVersion(ESME),
    "wan-image-stored": air.ImageStored(3),
    "wan-image-refused": air.ImageRefused(3, 46),
    "wan-message": air.Message(ESME, b"\xdf\x09\x01\x02"),
    "order-activate": air.Activate(HASH),
    "order-query-next-image": air.QueryNextImage(),
    "order-query-device-file": air.QueryDeviceFile(0xFFC1),
    "order-cancel-download": air.CancelDownload(),
    "order-permit-joining": air.PermitJoining(180 * SECOND),
    "order-update-network-key": air.UpdateNetworkKey(),
    "order-add-device": air.AddDevice(ESME, KEY),
    "order-remove-device": air.RemoveDevice(ESME),
    "order-change-supplier": air.ChangeSupplier(bytes.fromhex("0200")),
    "dialogue-1": HELLO,
    "dialogue-2": WELCOME,
    "dialogue-3": air.Turn(1, 0, 0, air.PowerOn()),
    "dialogue-4": air.Answer(
        1, 500_000,
        [
            air.Note(air.EVENTS["poweredOn"], [0x0301_0407]),
            air.Configure(11, 0xFFFF, 0xFFFF, ESME, 2),
            air.Note(air.EVENTS["booted"]),
        ],
    ),  # fmt: skip
    "dialogue-5": air.Turn(2, 500_000, 0, air.Tick()),
    "dialogue-6": air.Answer(
        2, 638_240, [air.Transmit(1, 0, bytes.fromhex("030801ffffffff07"))]
    ),
    "dialogue-7": air.Turn(3, 501_792, 1, air.Transmitted(1, air.SUCCESS, False)),
    "dialogue-8": air.Answer(3, 638_240),
}


def examples() -> dict[str, bytes]:
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = re.findall(r"^```hex (\S+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return {
        name: bytes.fromhex("".join(line.split(";")[0] for line in body.splitlines()))
        for name, body in blocks
    }


EXAMPLES = examples()


def union(name: str) -> air.Union:
    is_part = name.split("-")[0] in UNIONS and not name.endswith("-request")
    return UNIONS[name.split("-")[0]] if is_part else air.MESSAGE


class Examples(unittest.TestCase):
    def test_all_are_known(self) -> None:
        self.assertEqual(set(EXAMPLES), set(EXPECTED))

    def test_every_example_is_read_as_what_the_document_says(self) -> None:
        for name, data in EXAMPLES.items():
            with self.subTest(name):
                reader = air.Reader(data)
                found = union(name).read(reader)
                self.assertEqual(reader.offset, len(data))
                wanted = EXPECTED[name]
                if name == "action-event":
                    wanted = air.Note(wanted.kind, wanted.values[:1])
                self.assertEqual(found, wanted)

    def test_every_example_is_written_as_in_the_document(self) -> None:
        for name, data in EXAMPLES.items():
            with self.subTest(name):
                self.assertEqual(union(name).write(EXPECTED[name]).hex(), data.hex())
                if union(name) is air.MESSAGE:
                    self.assertEqual(air.encode(EXPECTED[name]), data)
                    self.assertEqual(air.decode(data), EXPECTED[name])

    def test_what_is_cut_short_or_too_long_is_an_error(self) -> None:
        for name, data in EXAMPLES.items():
            if union(name) is not air.MESSAGE:
                continue
            for end in range(len(data)):
                with self.subTest(name, end=end), self.assertRaises(air.AirError):
                    air.decode(data[:end])
            with self.subTest(name), self.assertRaises(air.AirError):
                air.decode(data + b"\0")

    def test_any_bytes_are_a_message_or_an_error(self) -> None:
        dice = random.Random(1)
        for name, data in EXAMPLES.items():
            for _ in range(200):
                changed = bytearray(data)
                changed[dice.randrange(len(changed))] = dice.randrange(256)
                try:
                    message = air.decode(changed)
                except air.AirError:
                    continue
                self.assertEqual(air.encode(message), changed, name)

    def test_values_that_a_message_cannot_have_are_errors(self) -> None:
        for message in [
            air.Hello(), air.Answer(1, -1), air.Answer(1, 0, [air.Tick()]),
            air.Answer(1, 0, [air.Erase(0)] * 257), air.Turn(1, 0, 0, air.PowerOn(1)),
            air.Answer(1, 0, [air.Transmit(1, 0, bytes(128))]), air.InjectRequest(1, 11, bytes(126)),
            air.Answer(1, 0, [air.Note(1, [1] * 7)]), air.Error(False, 0, 0, ""),
            air.OrderRequest(1, 1, air.PermitJoining(-1)),
        ]:  # fmt: skip
            with self.subTest(str(message)), self.assertRaises(air.AirError):
                air.encode(message)

    def test_the_sockets_follow_from_the_endpoint(self) -> None:
        self.assertEqual(
            air.endpoints("ipc:///run/air"),
            ("ipc:///run/air", "ipc:///run/air.sniff", "ipc:///run/air.control"),
        )
        self.assertEqual(
            air.endpoints("tcp://[::1]:5800"),
            ("tcp://[::1]:5800", "tcp://[::1]:5801", "tcp://[::1]:5802"),
        )
        for text in ["", "udp://a:1", "tcp://a", "tcp://a:65534", "tcp://a:x"]:
            with self.subTest(text), self.assertRaises(air.AirError):
                air.endpoints(text)


if __name__ == "__main__":
    unittest.main()
