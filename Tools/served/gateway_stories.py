"""The whole gateway contract, as a service user's own software keeps it: requests that xmlsec1
signs, pre-commands that are signed and sent back, and results that are POSTed later.

usage: gateway_stories.py [-v] [STORY...]
"""

import base64
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
import served  # noqa: E402
from served import SR, Signer, tree, wait  # noqa: E402

# The home is one whose hub can update all four.
_, ESME, GSME, PPMID, HCALCS = served.members(2)
NOBODY = "02-47-42-00-00-00-99-99"


def image_request(reference, counter, image, devices, version=None):
    """11.1 or 11.4 with an image of the manifest, without a signature."""
    # The command takes one device for 11.4, where the schema takes a list too.
    listed = [word for device in devices for word in ("--device", device)]
    text = served.han(
        *("duis", "request", reference, "--unsigned", "--user", served.SUPPLIER),
        *("--image", image, "--counter", counter),
        *(listed if reference == "11.1" else listed[:2]),
        *(("--version", version) if version else ()),
    ).decode()
    if reference == "11.4":
        text = text.replace(f">{devices[0]}<", f">{','.join(devices)}<")
    return text


class Gateway(served.Story):
    """With keys that the server makes for itself."""

    published = None

    def setUp(self):
        super().setUp()
        self.listener = self.listen()
        # Of XML, and of GBCS.
        folders = [self.published, served.GBCS_KEYS] if self.published else []
        keys = [word for folder in folders for word in ("--keystore", folder)]
        self.server = self.serve(
            *("--home", "new-hub", "--pace", "x20000"),
            *("--dcc", served.settings(self.folder, self.listener.url)),
            *(("--schema", served.SCHEMA) if served.SCHEMA else ()),
            *keys,
        )
        self.store = self.published or self.server.keys
        # A supplier signs commands with a key that the devices know.
        messages = served.GBCS_KEYS if self.published else self.server.keys
        self.key = messages / f"{served.SUPPLIER.replace('-', '').lower()}-ds.key"
        self.user = Signer(self.store)
        self.dsp = Signer(self.store, served.DCC, "dsp-xml-sign")
        self.counter = 1000

    def send(self, reference, body, service="serviceD", **options):
        self.counter += 1
        counter = options.pop("counter", self.counter)
        return self.post(served.request(reference, counter, body, **options), service)

    def post(self, text, service="serviceD"):
        """Signs and sends a request; checks what is true of every answer."""
        signed = self.user.sign(text)
        served.validate(signed)
        answer = self.server.post(signed, service, "application/xml; charset=UTF-8")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertTrue(answer.headers["Content-Type"].startswith("application/xml"))
        self.check(answer.body)
        self.assertEqual(served.request_id(answer.body), served.request_id(signed))
        return answer

    def check(self, document):
        self.dsp.verify(document)
        served.validate(document)

    def find(self, text):
        """The first result that says this, once it is there."""
        return wait(
            f"a result with {text}",
            lambda: next((b for b in self.listener.received if text.encode() in b), None),
        )

    def firmware(self, name):
        return self.server.firmware()[name]

    def test_requests_for_no_device(self):
        """12.2 notifies a device, 8.2 finds it, and a second 12.2 for it is refused."""
        notified = (
            f"<sr:DevicePrenotification><sr:DeviceID>{NOBODY}</sr:DeviceID>"
            "<sr:DeviceManufacturer>FFF1</sr:DeviceManufacturer>"
            "<sr:DeviceModel>Volta 100</sr:DeviceModel><sr:DeviceType>ESME</sr:DeviceType>"
            "<sr:SMETSCHTSVersion>SMETS V4.2</sr:SMETSCHTSVersion>"
            "<sr:FirmwareVersion>03010407</sr:FirmwareVersion><sr:ESMEVariant>A</sr:ESMEVariant>"
            "</sr:DevicePrenotification>"
        )
        read = f"<sr:ReadInventory><sr:DeviceID>{NOBODY}</sr:DeviceID></sr:ReadInventory>"
        self.assertEqual(self.send("8.2", read).code, "E080201")
        self.assertEqual(self.send("12.2", notified).code, "I99")
        self.assertEqual(self.send("12.2", notified).code, "E120201")
        for version in "5.1", "5.2", "5.4":
            found = self.send("8.2", read, version=version)
            self.assertEqual(found.code, "I0")
            device = tree.fromstring(found.body).find(f".//{SR}Device")
            self.assertEqual(device.findtext(f"{SR}DeviceID"), NOBODY)
            self.assertEqual(device.findtext(f"{SR}DeviceStatus"), "Pending")
        self.assertEqual(self.send("8.2", read, service="serviceS").code, "E13")

    def test_updates(self):
        """11.1, 11.2, 11.3 and 11.4, until a meter and a display run what they were sent."""
        # Devices that are left out are listed; whoever is left gets the image.
        warned = self.post(image_request("11.4", 1, "ppmid-2", [ESME]))
        self.assertEqual(warned.code, "W110401")
        invalid = tree.fromstring(warned.body).find(f".//{SR}InvalidDeviceIDList")
        self.assertIsNotNone(invalid, warned.text)
        self.assertIn(ESME, warned.text)
        plain = self.post(image_request("11.4", 2, "ppmid-2", [PPMID]))
        self.assertEqual(plain.code, "I99")
        both = self.post(image_request("11.1", 3, "esme-2", [ESME, NOBODY]))
        self.assertEqual(both.code, "W110101")
        self.assertIn(NOBODY, both.text)
        self.assertNotIn(ESME, both.text)
        self.assertEqual(self.post(image_request("11.1", 4, "gsme-2", [GSME])).code, "I99")
        mismatch = image_request("11.1", 5, "esme-2", [ESME], version="03020002")
        self.assertEqual(self.post(mismatch).code, "E110103")

        # The display needs nobody's leave; the meter has checked its image.
        alert = self.find("PPMIDFirmwareUpgradeAlert")
        self.assertIn(b"N63", alert)
        verified = self.find("DeviceAlertMessage")
        payload = tree.fromstring(verified).findtext(f".//{SR}GBCSPayload")
        self.assertIn("8f72", self.decode(payload))
        codes = [self.alert_code(body) for body in self.listener.received]
        self.assertGreaterEqual(codes.count("N60"), 2, codes)

        self.assertEqual(self.firmware("PPMID"), "0x01010204")
        self.assertEqual(self.firmware("ESME"), "0x03010407")
        self.activate()
        # A meter takes no counter that is below its last one.
        options = {"target": ESME, "variant": 1, "counter": 6000}
        asked = self.send("11.2", "<sr:ReadFirmwareVersion/>", "serviceS", **options)
        self.assertEqual(asked.code, "I99")
        told = self.find(f"<sr:RequestID>{served.request_id(asked.body)}<")
        self.assertEqual(served.response_code(told), "I0")
        payload = tree.fromstring(told).findtext(f".//{SR}GBCSPayload")
        self.assertIn("03020001", self.decode(payload))

        for body in self.listener.received:
            self.check(body)
            originator, target, counter = served.response_id(body).split(":")
            if request := served.request_id(body):
                self.assertEqual(request, f"{target}:{originator}:{counter}")
        kinds = {kind for *_, kind in self.listener.posts}
        self.assertTrue(all(kind.startswith("application/xml") for kind in kinds), kinds)
        self.assertEqual(self.server.end(), 0)

    def activate(self):
        """11.3: transformed, signed, sent, and carried out by the meter."""
        digest = "9e039ba7623d9bc5f32273b37e473005fae30b0656faf87a50342a43b7fe2a45".upper()
        order = (
            "<sr:ActivateFirmware>"
            f"<sr:FirmwareHash>{digest}</sr:FirmwareHash></sr:ActivateFirmware>"
        )
        # An id counts once, also with a signature that is wrong.
        for counter, is_forged, code in (5000, True, "E53"), (5001, False, "I99"):
            sent = self.activate_once(order, counter, is_forged)
            self.assertEqual(sent.code, code, sent.text)
        self.assertEqual(
            tree.fromstring(sent.body).findtext(f".//{SR}ServiceReferenceVariant"), "11.3"
        )
        told = self.find(f"<sr:RequestID>{served.request_id(sent.body)}<")
        self.assertEqual(served.response_code(told), "I0")
        wait("the meter runs its image", lambda: self.firmware("ESME") == "0x03020001")

    def activate_once(self, order, counter, is_forged):
        options = {"target": ESME, "counter": counter}
        transformed = self.send("11.3", order, "serviceT", variant=4, **options)
        self.assertEqual(transformed.code, "I0")
        found = tree.fromstring(transformed.body).find(f".//{SR}PreCommand")
        self.assertEqual(found.findtext(f"{SR}GBCSVersion"), "4.0")
        command = base64.b64decode(found.findtext(f"{SR}GBCSPayload"))
        self.assertEqual(command[0], 0xDF)
        signed = bytes.fromhex(
            served.han("gbcs", "sign", command.hex(), "--key", self.key).decode().strip()
        )
        # What a client does by itself: the length of the signature, and r and s.
        self.assertEqual(signed[:-65], command)
        # And what this project's own commands make of the same.
        answer = self.folder / "transformed.xml"
        answer.write_bytes(transformed.body)
        self.assertEqual(
            bytes.fromhex(served.han("duis", "show", answer, "--payload").decode()), command
        )
        made = served.han(
            *("duis", "request", "11.3", "--pre-command", signed.hex()),
            *("--keystore", self.store, "--user", served.SUPPLIER),
        )
        served.validate(made)
        found = tree.fromstring(made)
        self.assertEqual(found.findtext(f".//{SR}CommandVariant"), "5")
        self.assertTrue(found.findtext(f".//{SR}RequestID").endswith(f":{counter}"))
        self.assertEqual(base64.b64decode(found.findtext(f".//{SR}GBCSPayload")), signed)
        self.assertEqual(signed[-65], 0x40)
        if is_forged:
            signed = signed[:-1] + bytes([signed[-1] ^ 1])
        body = (
            "<sr:SignedPreCommand><sr:GBCSPayload>"
            f"{base64.b64encode(signed).decode()}</sr:GBCSPayload></sr:SignedPreCommand>"
        )
        return self.send("11.3", body, "serviceS", variant=5, **options)

    @staticmethod
    def alert_code(body):
        return tree.fromstring(body).findtext(f".//{SR}DCCAlertCode")

    @staticmethod
    def decode(payload):
        return served.han("gbcs", "decode", base64.b64decode(payload).hex()).decode()

    def test_listener_in_trouble(self):
        """Results that are refused, or that nobody is there to take, come again with the same
        bytes and in order, also from a server that was started anew."""
        read = "<sr:ReadFirmwareVersion/>"
        self.listener.status = 500
        first = self.send("11.2", read, "serviceS", target=ESME, variant=1)
        wait("two attempts", lambda: len(self.listener.refused) >= 2)
        self.listener.close()
        second = self.send("11.2", read, "serviceS", target=PPMID, variant=1)
        wait("a second result", lambda: len(self.notices()) == 2)
        self.assertEqual(self.server.end(), 0)
        self.server.start()
        self.assertEqual({n["state"] for n in self.notices()} - {"pending", "kept"}, set())
        third = self.send("11.2", read, "serviceS", target=HCALCS, variant=1)
        wait("a third result", lambda: len(self.notices()) == 3)
        self.listener.status = 200
        self.listener.open()
        received = wait(
            "all three", lambda: len(self.listener.received) == 3 and self.listener.received
        )
        self.assertEqual(
            [served.request_id(body) for body in received],
            [served.request_id(answer.body) for answer in (first, second, third)],
        )
        self.assertEqual(set(self.listener.refused), {received[0]})
        for body in received:
            self.check(body)
        wait(
            "all are known as received",
            lambda: {n["state"] for n in self.notices()} == {"received"},
        )
        self.assertEqual(self.server.end(), 0)
        self.server.start()
        self.assertEqual(len(self.notices()), 3)
        self.assertEqual(self.server.end(), 0)
        self.assertEqual(len(self.listener.received), 3)

    def notices(self):
        return self.server.control("/notices")["items"]


@served.needs_reference
class PublishedKeys(Gateway):
    """The same with the public test keys."""

    published = pathlib.Path(served.REFERENCE or "") / "duis/keys"


class Readme(served.Story):
    """The README's three commands to a first 11.4, as they stand there but for the port."""

    def test_first_request(self):
        text = (pathlib.Path(served.HOME) / "README.md").read_text()
        block = text.split("## A DCC in front")[1].split("```sh\n")[1].split("```")[0]
        serve, make, send = (line.split("#")[0].strip() for line in block.strip().splitlines())
        self.assertEqual(serve, "Tools/han serve")
        self.assertIn(":8079/api/v1/serviceD", send)
        state = self.folder / ".local/state/han/serve"
        server = self.serve(state=state)
        environment = {"HOME": str(self.folder), "XDG_STATE_HOME": ""}
        commands = f"cd '{self.folder}' && {make} && {send}"
        answer = served.run(
            *("bash", "-c"),
            commands.replace("Tools/han", f"'{served.HAN}'").replace("8079", str(server.port)),
            environment=environment,
        )
        self.assertEqual(served.response_code(answer), "W110401")
        Signer(server.keys, served.DCC, "dsp-xml-sign").verify(answer)


if __name__ == "__main__":
    unittest.main()
