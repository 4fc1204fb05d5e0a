"""A server that is killed in the midst of a campaign, and one whose disk is full: nothing is lost,
nothing is done twice, and whoever asks is told.

usage: trouble_stories.py [-v] [STORY...]
"""

import collections
import http.client
import os
import random
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
import served  # noqa: E402
from gateway_stories import image_request  # noqa: E402
from served import SR, Signer, tree, wait  # noqa: E402

_, ESME, GSME, PPMID, HCALCS = served.members(2)
# What each of the three is sent, and where it ends: those with a supplier wait for its order.
CAMPAIGN = [
    ("11.4", "ppmid-2", PPMID, "activated"),
    ("11.1", "esme-2", ESME, "verified"),
    ("11.1", "hcalcs-2", HCALCS, "verified"),
]
NOTICES = {"N60": 3, "N62": 3, "N63": 1, "8F72": 2}


def cause(body):
    """What a result is about, which must not be told twice."""
    found = tree.fromstring(body)
    code = found.findtext(f".//{SR}DCCAlertCode")
    if code:
        names = "DeviceID", "DeviceIDList", "CHFID", "FirmwareVersion"
        about = [each.text for name in names for each in found.iter(SR + name)]
        return (code, *about)
    payload = found.findtext(f".//{SR}GBCSPayload")
    return (served.request_id(body), served.response_code(body), payload)


class Campaign(served.Story):
    def begin(self, pace, state="state"):
        self.listener = self.listen()
        self.server = self.serve(
            *("--home", "new-hub", "--pace", pace),
            *("--dcc", served.settings(self.folder, self.listener.url)),
            state=self.folder / state,
        )
        self.user = Signer(self.server.keys)

    def restart(self, pace=None):
        self.server.kill()
        if pace:
            self.server.arguments[self.server.arguments.index("--pace") + 1] = pace
        self.server.start()

    def now(self):
        return self.server.control("/status")["time"]

    def read(self, device, counter):
        body = "<sr:ReadFirmwareVersion/>"
        text = served.request("11.2", counter, body, target=device, variant=1)
        return self.server.post(self.user.sign(text), "serviceS").code


class FirstMinute(Campaign):
    def test_joining(self):
        """Killed while the devices join a new home, they are all there after the restart."""
        for moment in range(20, 50, 5):
            with self.subTest(second=moment):
                self.begin("x20", f"state{moment}")
                self.addCleanup(self.server.kill)
                begin = f"2026-03-02T09:00:{moment}"
                wait("the moment", lambda: self.now() >= begin, interval=0)
                # What is stored of the world is stored with a request.
                body = f"<sr:ReadInventory><sr:DeviceID>{ESME}</sr:DeviceID></sr:ReadInventory>"
                self.server.post(self.user.sign(served.request("8.2", 1, body)))
                self.restart("x20000")
                for device in ESME, GSME, PPMID, HCALCS:
                    self.assertEqual(self.read(device, 100), "I99")
                wait("four answers", lambda: len(self.listener.received) == 4)
                codes = {served.response_code(body) for body in self.listener.received}
                self.assertEqual(codes, {"I0"})
                self.server.kill()


class LostAlert(Campaign):
    def test_alert(self):
        """A meter's word that its image is good outlives a kill while it is on its way."""
        self.begin("x3600")
        wait("all have joined", lambda: self.now() > "2026-03-02T10")
        killed = []

        def hook(body):
            if b"FirmwareTransferAlert" in body and not killed:
                killed.append(body)
                self.server.process.kill()
                return True
            return None

        self.listener.hook = hook
        self.restart("x10")
        text = image_request("11.1", 100, "esme-2", [ESME])
        self.assertEqual(self.server.post(self.user.sign(text)).code, "I99")
        wait("the hub's word", lambda: killed)
        self.server.process.wait()
        self.restart("x20000")
        wait(
            "the meter's word",
            lambda: any(b"DeviceAlertMessage" in body for body in self.listener.received),
        )


class Kills(Campaign):
    # Another seed kills at other moments.
    seed = int(os.environ.get("HAN_SEED") or 1)

    def test_campaign(self):
        """Killed again and again, also while a receipt is on its way, it ends as one that lived."""
        dice = random.Random(self.seed)
        self.begin("x3600")
        wait("all have joined", lambda: self.now() > "2026-03-02T10")

        # Every other result is killed for when it comes first, and its receipt is lost.
        known = set()

        def hook(body):
            if body in known:
                return None
            known.add(body)
            if len(known) % 2 == 0:
                return None
            self.server.process.kill()
            return True

        self.listener.hook = hook
        self.restart("x60")
        answers = {}
        for number, (reference, image, device, _) in enumerate(CAMPAIGN):
            signed = self.user.sign(image_request(reference, 100 + number, image, [device]))
            if number == 0:
                # Nobody waits for this answer.
                connection = self.server.connect()
                connection.request(
                    "POST", "/api/v1/serviceD", signed, {"Content-Type": served.XML}
                )
                time.sleep(dice.random() * 0.1)
                self.restart()
                connection.close()
            answers[device] = self.ask(lambda: self.server.post(signed).code)
            self.restart()
            # It counts once. Whose answer nobody can have heard, is answered the same again.
            self.assertIn(self.ask(lambda: self.server.post(signed).code), ("I99", "E49"))
        self.assertLessEqual(set(answers.values()), {"I99", "E49"})

        # At any moment of deliveries and downloads.
        for _ in range(8):
            time.sleep(dice.random() * 1.2)
            self.restart()
        self.restart("x20000")
        wanted = {device: end for _, _, device, end in CAMPAIGN}

        rows = notices = []

        def is_over():
            nonlocal rows, notices
            rows = self.ask(lambda: self.server.targets())
            notices = self.ask(lambda: self.server.control("/notices")["items"])
            return (
                {row["device"]: row["status"] for row in rows} == wanted
                and len(notices) >= sum(NOTICES.values())
                and {each["state"] for each in notices} == {"received"}
            ) or None

        try:
            wait("the campaign ends", is_over)
        except served.Failure as failure:
            stands = [(each["device"], each["status"], each["detail"]) for each in rows]
            told = [(each["number"], each["summary"], each["state"]) for each in notices]
            raise served.Failure(f"{failure}: {stands}, {told}") from None
        # For what would come twice.
        time.sleep(2)
        self.listener.hook = lambda body: None
        self.check(self.server, self.listener, wanted)

    def ask(self, question):
        """Asks a server that may be killed meanwhile, and then another time."""
        while True:
            try:
                return question()
            except (OSError, http.client.HTTPException):
                self.server.process.wait(served.PATIENCE)
                self.server.start()

    def check(self, server, listener, wanted):
        self.assertEqual(server.end(), 0)
        server.start()
        notices = server.control("/notices?limit=500")["items"]
        bodies = collections.OrderedDict()
        for body in listener.seen:
            bodies.setdefault(served.response_id(body), set()).add(body)
        self.assertEqual({len(each) for each in bodies.values()}, {1}, "bytes have changed")
        self.assertEqual(len(bodies), len(notices))
        self.assertEqual({each["state"] for each in notices}, {"received"})
        self.assertGreater(len(listener.seen), len(bodies), "no receipt was lost")
        causes = collections.Counter(cause(next(iter(each))) for each in bodies.values())
        self.assertEqual([each for each, times in causes.items() if times > 1], [])
        rows = server.targets()
        kinds = collections.Counter(each["summary"].split(":")[0] for each in notices)
        self.assertEqual(kinds, NOTICES)

        # Tracking tells what is in the nodes.
        firmware = {
            served.dashed(node["device"]): node["firmware"]
            for node in server.control("/status")["homes"][0]["nodes"]
        }
        listed = {row["request"]: row for row in server.tracking("list")}
        self.assertEqual(len(listed), len(CAMPAIGN))
        self.assertEqual(len(rows), len(CAMPAIGN))
        for row in rows:
            self.assertEqual(row["status"], wanted[row["device"]])
            runs = row["toVersion" if row["status"] == "activated" else "fromVersion"]
            self.assertEqual(firmware[row["device"]], runs)
            devices = listed[row["request"]]["devices"]
            self.assertEqual(sum(devices.values()), 1, devices)


class FullDisk(served.Story):
    """On a file system of its own, which only root can make."""

    def setUp(self):
        super().setUp()
        self.place = self.folder / "small"
        self.place.mkdir()
        mounting = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(self.place)]
        if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True).returncode:
            self.skipTest("needs root and leave to mount a tmpfs")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.place)])
        self.ballast = self.place / "ballast"

    def fill(self):
        """Leaves no byte of room."""
        with open(self.ballast, "ab", buffering=0) as file:
            for size in 1 << 16, 1 << 12, 1:
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    pass

    def test_full_disk(self):
        """Who asks gets 503 and is told why; with room again everything goes on."""
        listener = self.listen()
        server = self.serve(
            *("--home", "new-hub", "--pace", "x3600"),
            *("--dcc", served.settings(self.folder, listener.url)),
            state=self.place / "state",
        )
        user = Signer(server.keys)
        wait("all have joined", lambda: server.control("/status")["time"] > "2026-03-02T10")
        self.fill()
        signed = user.sign(image_request("11.4", 1, "ppmid-2", [PPMID]))

        def is_refused():
            answer = server.post(signed)
            self.assertIn(answer.status, (200, 503), answer.text)
            return answer if answer.status == 503 else None

        # What there is of the file's own pages may take some requests yet.
        answer = wait("the disk is full", is_refused)
        self.assertEqual(answer.headers.get("Retry-After"), "5")
        trouble = wait("the trouble is told", lambda: server.control("/status")["trouble"])
        self.assertRegex(" ".join(trouble), "full|written|store|space")
        page = server.get("/")
        self.assertEqual(page.status, 200)
        self.assertIn("Trouble", page.text)
        other = user.sign(image_request("11.1", 2, "esme-2", [ESME]))
        for _ in range(3):
            self.assertEqual(server.post(other).status, 503)
        self.assertRegex(server.log.read_text(), "full|cannot be written|space")
        stopped = server.control("/status")["time"]
        time.sleep(1)
        self.assertEqual(server.control("/status")["time"], stopped, "the world went on")

        self.ballast.unlink()
        is_stopped = "Nothing is done for now"
        wait("the trouble is over", lambda: is_stopped not in str(server.control("/status")))
        self.assertNotIn("Nothing is done for now", server.get("/").text)
        # Taken before the store failed, or not at all: never twice.
        self.assertIn(server.post(signed).code, ("I99", "E49"))
        self.assertEqual(server.post(other).code, "I99")
        wait(
            "the display runs its image", lambda: server.firmware()["PPMID"] == "0x01010204"
        )
        wait("its user is told", lambda: any(b"N63" in body for body in listener.received))
        self.assertEqual(len(server.targets()), 2)
        self.assertEqual(server.end(), 0)

    def test_full_from_the_start(self):
        """A server that cannot write its store says so in one line and ends."""
        self.fill()
        done = subprocess.run(
            [served.HAN, "serve", "--port", "0", "--state", str(self.place / "state")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=served.PATIENCE,
            env={**os.environ, "HAN_HOME": served.HOME},
        )
        self.assertEqual(done.returncode, 74, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
