"""What nobody should send: each gets the code that docs/dcc.md has for it, and the server goes on.

usage: bad_input_stories.py [-v] [STORY...]
"""

import socket
import sys
import time
import unittest

sys.dont_write_bytecode = True
import served  # noqa: E402
from gateway_stories import image_request  # noqa: E402
from served import ESME, SUPPLIER, Signer, wait  # noqa: E402

OTHER = "90-B3-D5-1F-30-02-00-00"
MIB = 1 << 20
# What the server may take on top of what it had, at any time: docs/dcc.md lets it hold 256 MiB of
# bodies, and each of four that are read at a time makes a tree of it.
MEMORY = 700 * MIB
# What one such request may take; it is about hanging, not about speed.
LONG = 60

READ = f"<sr:ReadInventory><sr:DeviceID>{ESME}</sr:DeviceID></sr:ReadInventory>"

USERS = f"""kind: dcc
title: A DCC with two suppliers
users:
  - id: {SUPPLIER}
    name: Supplier One
    roles: [IS, GS]
  - id: {OTHER}
    name: Supplier Two
    roles: [IS, GS]
"""


class BadInput(served.Story):
    def setUp(self):
        super().setUp()
        (self.folder / "dcc.yaml").write_text(USERS)
        self.server = self.serve("--pace", "real", "--dcc", self.folder / "dcc.yaml")
        self.user = Signer(self.server.keys)
        self.dsp = Signer(self.server.keys, served.DCC, "dsp-xml-sign")
        self.counter = 1000
        self.serves()
        self.before = self.server.memory()

    def tearDown(self):
        taken = self.server.memory("VmHWM") - self.before
        print(self.id(), taken >> 20, "MiB")
        self.assertLess(taken, MEMORY)
        self.assertEqual(self.server.end(), 0)

    def request(self):
        self.counter += 1
        return served.request("8.2", self.counter, READ)

    def serves(self):
        """The next good request is answered."""
        begin = time.monotonic()
        answer = self.server.post(self.user.sign(self.request()))
        self.assertEqual((answer.status, answer.code), (200, "I0"))
        self.assertLess(time.monotonic() - begin, LONG)

    def expect(self, code, body, status=200, service="serviceD"):
        """A signed refusal in time, and a server that is as before."""
        if isinstance(body, str):
            body = body.encode()
        begin = time.monotonic()
        answer = self.server.post(body, service)
        self.assertLess(time.monotonic() - begin, LONG)
        self.assertEqual((answer.status, answer.code), (status, code), answer.text[:2000])
        self.assertTrue(answer.headers["Content-Type"].startswith("application/xml"))
        self.dsp.verify(answer.body)
        served.validate(answer.body)
        self.serves()
        return answer

    def test_entities(self):
        """Entities are neither expanded nor fetched, and nothing they would show is shown."""
        plain = self.request()
        head, rest = plain.split("\n", 1)
        laughs = "".join(
            f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "ha">'
            for n in range(12)
        )
        bomb = rest.replace(ESME, "&l11;")
        self.expect("E40", f"{head}\n<!DOCTYPE r [{laughs}]>\n{bomb}")
        long = f'<!DOCTYPE r [<!ENTITY a "{"x" * 100_000}">]>'
        self.expect("E40", f"{head}\n{long}\n{rest.replace(ESME, '&a;' * 10_000)}")

        secret = self.folder / "secret"
        secret.write_text("what-nobody-may-see")
        listener = self.listen()
        for place in secret.as_uri(), listener.url:
            for doctype in (
                f'<!DOCTYPE r [<!ENTITY x SYSTEM "{place}">]>',
                f'<!DOCTYPE r [<!ENTITY % x SYSTEM "{place}"> %x;]>',
                f'<!DOCTYPE r SYSTEM "{place}">',
            ):
                text = f"{head}\n{doctype}\n{rest.replace(ESME, '&x;')}"
                answer = self.expect("E40", text)
                self.assertNotIn("what-nobody-may-see", answer.text)
        include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{secret}"/>'
        self.expect("E40", plain.replace(READ, include))
        self.assertEqual(listener.posts, [])

    def test_forms(self):
        """What is no XML, or not of the schema, is told so."""
        good = self.user.sign(self.request())
        for text in (
            b"",
            b"hello",
            b"\x00" * 1000,
            b"\x1f\x8b\x08\x00" + b"x" * 100,
            good[: len(good) // 2],
            good + b"<more/>",
            b"<a>" * 200_000,
            b"<a " + b"".join(b'b%d="" ' % n for n in range(20_000)) + b"/>",
            good.replace(b"ServiceUserGateway", b"SomethingElse"),
        ):
            with self.subTest(text=text[:60]):
                self.expect("E40", text)
        for old, new in (
            ("ReadInventory>", "WriteInventory>"),
            ("CommandVariant>8", "CommandVariant>eight"),
            (ESME, ESME + "-00"),
            ("", ":99999999999999999999999<"),
            ("<sr:Body>", "<sr:Body/><sr:Body>"),
        ):
            with self.subTest(new=new):
                text = self.request()
                changed = text.replace(old or f":{self.counter}<", new)
                self.assertNotEqual(changed, text)
                self.expect("E40", self.user.sign(changed))

    def test_signatures(self):
        """Whoever has not signed what came, is told what is wrong with the signature."""
        good = self.user.sign(self.request()).decode()
        unsigned = self.request()
        self.expect("E41", unsigned)
        begin, end = good.index("<ds:Signature>"), good.index("</ds:Signature>") + 15
        self.expect("E41", good[:begin] + good[end:])
        # Two of them: the second is not in what the first has signed.
        self.expect("E42", good[:end] + good[begin:])
        self.expect("E42", good.replace(ESME, served.PPMID))
        value = good.index("<ds:SignatureValue>") + 19
        other = "A" if good[value] != "A" else "B"
        self.expect("E42", good[:value] + other + good[value + 1 :])
        serial = good.index("<ds:X509SerialNumber>") + 21
        self.expect("E43", good[:serial] + "1" + good[serial:])
        stranger = Signer(self.server.keys, OTHER)
        self.expect("E44", stranger.sign(self.request()))
        # As the user whom nobody knows, signed by one who is known.
        self.expect("E44", self.user.sign(self.request().replace(SUPPLIER, "0" + SUPPLIER[1:])))

    def test_replay(self):
        """A request counts once, however often it comes and whoever signs it anew."""
        text = self.request()
        signed = self.user.sign(text)
        self.assertEqual(self.server.post(signed).code, "I0")
        self.expect("E49", signed)
        self.expect("E49", self.user.sign(text))
        self.server.kill()
        self.server.start()
        self.expect("E49", signed)
        # Of many at the same time one counts.
        self.counter += 1
        devices = [*served.members(1), served.CHF]
        connections = [self.server.connect() for _ in devices]
        for connection, device in zip(connections, devices):
            text = served.request("8.2", self.counter, READ.replace(ESME, device))
            body = self.user.sign(text)
            connection.request("POST", "/api/v1/serviceD", body, {"Content-Type": served.XML})
        codes = []
        for connection in connections:
            codes.append(served.response_code(connection.getresponse().read()))
            connection.close()
        self.assertEqual(sorted(codes), sorted(["I0"] + ["E49"] * 5))

    def test_sizes(self):
        """Bodies over the limit, more devices than there may be, and as many as there may be."""
        too_large = b"<a>" + b"x" * (20 * MIB) + b"</a>"
        self.expect("E50", too_large, status=413)
        self.expect("E40", too_large[: 20 * MIB])

        def devices(count):
            text = image_request("11.1", self.counter + 1, "esme-2", [ESME])
            self.counter += 1
            many = ",".join(
                f"00-DB-00-00-00-{n >> 16:02X}-{n >> 8 & 255:02X}-{n & 255:02X}"
                for n in range(count)
            )
            self.assertIn(f">{ESME}<", text)
            return self.user.sign(text.replace(f">{ESME}<", f">{many}<"))

        # The schema has no room for more either.
        self.assertIn(self.server.post(devices(50_001)).code, ("E40", "E110105"))
        answer = self.server.post(devices(50_000))
        self.assertEqual(answer.code, "W110101")
        self.assertEqual(answer.text.count("00-DB-00-00-00-"), 50_000)
        self.serves()

    def test_ways(self):
        """Other methods, paths and types, broken HTTP, and clients that dribble."""
        # They are cut off after 30 s; the rest of the story goes on meanwhile.
        slow = [socket.create_connection(("127.0.0.1", self.server.port)) for _ in range(40)]
        begin = time.monotonic()
        head = (
            b"POST /api/v1/serviceD HTTP/1.1\r\nHost: a\r\nContent-Type: application/xml\r\n"
            b"Content-Length: 1000000\r\n\r\n<"
        )
        for index, client in enumerate(slow):
            client.sendall(head if index % 2 else head[:30])

        def dribble():
            for client in slow:
                try:
                    client.send(b"x")
                except OSError:
                    pass

        for method in "GET", "PUT", "DELETE", "PATCH":
            answer = self.server.ask(method, "/api/v1/serviceD", b"x", {"Content-Type": served.XML})
            self.assertEqual((answer.status, answer.headers.get("Allow")), (405, "POST"), method)
            dribble()
        for path in "/api/v1/serviceX", "/api/v1/serviceD/more", "/api/v1", "/api/v2/serviceD":
            answer = self.server.ask("POST", path, b"x", {"Content-Type": served.XML})
            self.assertEqual(answer.status, 404, path)
        for kind in "application/json", "text/plain", "application/soap+xml", "multipart/form-data":
            answer = self.server.post(self.user.sign(self.request()), content_type=kind)
            self.assertEqual(answer.status, 415, kind)
            self.assertIn("application/xml", answer.text)
            dribble()
        answer = self.server.ask("POST", "/api/v1/serviceD", b"x")
        self.assertEqual(answer.status, 415)
        self.serves()
        for text in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
            b"GET / HTTP/9.9\r\n\r\n",
            b"NONSENSE\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * MIB + b"\r\n\r\n",
            head.replace(b"1000000", b"-1"),
            head.replace(b"1000000", b"99999999999999999999"),
        ):
            with socket.create_connection(("127.0.0.1", self.server.port)) as client:
                client.settimeout(LONG)
                try:
                    client.sendall(text)
                    answer = client.recv(65_536)
                except ConnectionError:
                    answer = b""
                self.assertTrue(
                    not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505")),
                    (text[:40], answer[:100]),
                )
            self.serves()
            dribble()

        def is_cut(client):
            client.settimeout(0.01)
            try:
                client.send(b"x")
                got = client.recv(65_536)
                return not got or b" 408 " in got.split(b"\r\n")[0]
            except TimeoutError:
                return False
            except OSError:
                return True

        left = set(slow)
        while left and time.monotonic() - begin < served.PATIENCE:
            left -= {client for client in left if is_cut(client)}
            time.sleep(0.3)
        self.assertEqual(len(left), 0, "clients that dribble are not cut off")
        for client in slow:
            client.close()
        self.serves()

    def test_crowd(self):
        """Many large bodies at the same time take bounded memory; each is answered or told to come
        again."""
        body = b"<a>" + b"<b/>" * (MIB * 15 // 4) + b"</a>"
        connections = [self.server.connect(served.PATIENCE) for _ in range(24)]
        for connection in connections:
            try:
                connection.request("POST", "/api/v1/serviceD", body, {"Content-Type": served.XML})
            except OSError:
                pass
        statuses = []
        for connection in connections:
            try:
                answer = connection.getresponse()
                text = answer.read()
                statuses.append(answer.status)
                if answer.status == 200:
                    self.assertEqual(served.response_code(text), "E40")
            except (OSError, served.http.client.HTTPException):
                statuses.append(0)
            connection.close()
        self.assertIn(200, statuses)
        self.assertLessEqual(set(statuses), {200, 503, 0}, statuses)
        wait("it serves on", lambda: self.serves() is None)


if __name__ == "__main__":
    unittest.main()
