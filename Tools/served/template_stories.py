"""The published request templates, before a home and a manifest that hold their devices and image.

usage: template_stories.py [-v] [STORY...]
"""

import base64
import hashlib
import pathlib
import shutil
import sys
import unittest

sys.dont_write_bytecode = True
import served  # noqa: E402
from served import Signer, tree, wait  # noqa: E402

# As the templates name them; the hub's own address and its install codes are made up.
ESME, GSME, CHF, PPMID = (f"00-DB-12-34-56-78-90-A{n}" for n in (0, 1, 2, 4))
VERSION = "ACDCACDC"

DEVICE = """kind: device
title: {type} of the templates
type: {type}
manufacturer: 0x121D
model: Template
imageType: {image}
hardwareVersion: 0x1111
ota:
  blockSize: 48
  queryInterval: 24 h
"""

HOME = f"""kind: home
title: The devices of the templates, behind a hub that delivers to all of them
hub:
  profile: homehub-2
  eui64: 00-DB-12-34-56-78-90-A3
  chf: {CHF}
  firmware: 0x02000100
  signer: supplier-test.pem
devices:
  - name: ESME
    profile: template-esme
    eui64: {ESME}
    installCode: "A01F 4DEC FE8C 8A31 707F 96F7 758F A016 D27D"
    firmware: 0xACDC0000
    supplier: supplier-test.pem
  - name: GSME
    profile: gsme
    eui64: {GSME}
    installCode: "83A1 339C 0929 AF75 9991 7DCD F500 49F9 AB72"
    firmware: 0x02040103
    supplier: supplier-test.pem
  - name: PPMID
    profile: template-ppmid
    eui64: {PPMID}
    installCode: "59D9 A8E1 5F69 8EAA 8A84 F3EB 18B7 BFD1 C982"
    firmware: 0xACDC0000
"""

ENTRY = """
  - id: template-{type}
    deviceType: {type}
    manufacturer: 0x121D
    model: Template
    imageType: {image}
    hardware: {{min: 0x1111, max: 0x1211}}
    version: 0xACDCACDC
    headerString: {title}
    installableFrom: any
    payload: {{file: template.bin}}
    manufacturerImageHash: {hash}
"""


@served.needs_reference
class Templates(served.Story):
    def setUp(self):
        super().setUp()
        reference = pathlib.Path(served.REFERENCE)
        self.templates = reference / "duis/templates"
        # The 60 bytes of the header, and what follows the manufacturer's image.
        image = (reference / "ota/ppmid-gfi-11111112.ota").read_bytes()[60:]
        self.installation(image)
        self.listener = self.listen()
        keys = reference / "duis/keys"
        self.server = self.serve(
            *("--home", "template", "--pace", "x20000", "--keystore", keys),
            *("--schema", served.SCHEMA),
            *("--dcc", served.settings(self.folder, self.listener.url)),
            home=self.folder / "installation",
        )
        self.user = Signer(keys)
        self.dsp = Signer(keys, served.DCC, "dsp-xml-sign")
        self.counter = 1000

    def installation(self, image):
        """The project's profiles and images, and the templates' besides."""
        place = self.folder / "installation"
        for name in "Profiles", "Firmware":
            shutil.copytree(pathlib.Path(served.HOME) / name, place / name)
        (place / "Profiles/homes/template.yaml").write_text(HOME)
        (place / "Firmware/template.bin").write_bytes(image)
        with open(place / "Firmware/manifest.yaml", "a") as manifest:
            for kind, number, title in [
                ("ESME", "0x0000", '"I am a GFI ESME[] firmware image"'),
                ("PPMID", "0x0084", '"I am a GFI PPMID firmware image "'),
            ]:
                (place / f"Profiles/devices/template-{kind.lower()}.yaml").write_text(
                    DEVICE.format(type=kind, image=number)
                )
                signed = "    key: keys/supplier-test.key.pem\n" if kind == "ESME" else ""
                digest = hashlib.sha256(image).hexdigest()
                entry = ENTRY.format(type=kind, image=number, title=title, hash=digest)
                manifest.write(entry + signed)

    def send(self, name, service="serviceD", version=None):
        """Fills a template, signs it and sends it."""
        text = next(self.templates.glob(name)).read_text()
        self.counter += 1
        head, rest = text.split("</sr:RequestID>", 1)
        text = f"{head.rsplit(':', 1)[0]}:{self.counter}</sr:RequestID>{rest}"
        if version:
            empty = "<sr:FirmwareVersion>00000000<"
            self.assertIn(empty, text)
            text = text.replace(empty, f"<sr:FirmwareVersion>{version}<")
        answer = self.server.post(self.user.sign(text), service)
        self.assertEqual(answer.status, 200, answer.text)
        self.dsp.verify(answer.body)
        served.validate(answer.body)
        return answer.code

    def test_firmware(self):
        """11.1 and 11.4 are refused as they are, and let in with the version of the header."""
        for name, refusal in ("11.1_*", "E110103"), ("11.4_*", "E110403"):
            self.assertEqual(self.send(name), refusal)
            self.assertEqual(self.send(name, version="ACDCACDD"), refusal)
            self.assertEqual(self.send(name, version=VERSION), "I99")

        # Nobody here has the key that signed the meter's image.
        def statuses():
            return {row["device"]: row["status"] for row in self.server.targets()}

        wait("the display runs it", lambda: statuses()[PPMID] == "activated")
        wait("the meter does not", lambda: statuses()[ESME] in ("rejected", "transferFailed"))
        firmware = self.server.firmware()
        self.assertEqual(firmware["PPMID"].lower(), "0xacdcacdc")
        self.assertEqual(firmware["ESME"].lower(), "0xacdc0000")
        self.find("PPMIDFirmwareUpgradeAlert")
        alert = tree.fromstring(self.find("DeviceAlertMessage"))
        payload = base64.b64decode(alert.findtext(f".//{served.SR}GBCSPayload"))
        self.assertIn("8f1c", served.han("gbcs", "decode", payload.hex()).decode())
        for body in self.listener.received:
            self.dsp.verify(body)
            served.validate(body)

    def find(self, text):
        return wait(
            f"a result with {text}",
            lambda: next((b for b in self.listener.received if text.encode() in b), None),
        )

    def test_others(self):
        """Those for reading work too, once they are signed."""
        self.assertEqual(self.send("8.2_*"), "I0")
        self.assertEqual(self.send("12.2_*"), "E120201")
        for name in "ECS52_*", "GCS38_*":
            self.assertEqual(self.send(name, "serviceS"), "I99")
        told = wait("both answers", lambda: len(self.listener.received) == 2)
        self.assertTrue(told)
        for body in self.listener.received:
            self.assertEqual(served.response_code(body), "I0")
            self.assertIsNotNone(tree.fromstring(body).find(f".//{served.SR}GBCSPayload"))
            self.dsp.verify(body)
            served.validate(body)


if __name__ == "__main__":
    unittest.main()
