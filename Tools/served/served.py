"""`han serve` as a service user and a browser see it: a server of a story's own, requests that
`xmlsec1` signs, and a listener for what comes later.

Environment: HAN is the program, HAN_HOME the project, HAN_REFERENCE the reference material,
and HAN_PATIENCE says for how many seconds something that hangs may hang.
"""

import atexit
import contextlib
import dataclasses
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import xml.etree.ElementTree as tree

PROJECT = pathlib.Path(__file__).resolve().parents[2]
HAN = os.environ.get("HAN") or str(PROJECT / ".build/release/han")
HOME = os.environ.get("HAN_HOME") or str(PROJECT)
REFERENCE = os.environ.get("HAN_REFERENCE")
SCHEMA = pathlib.Path(REFERENCE) / "duis/duis.xsd" if REFERENCE else None
GBCS_KEYS = pathlib.Path(REFERENCE or "") / "rtds/keystore"

DCC = "90-B3-D5-1F-30-00-00-02"
SUPPLIER = "90-B3-D5-1F-30-01-00-00"


def members(home):
    """The ids of a sample home: hub, ESME, GSME, PPMID, HCALCS."""
    return [f"02-47-42-00-00-00-{home:02X}-{number:02X}" for number in range(5)]


# Of the standard home.
HUB, ESME, GSME, PPMID, HCALCS = members(1)
CHF = "02-47-42-00-00-00-01-80"

SR = "{http://www.dccinterface.co.uk/ServiceUserGateway}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
XML = "application/xml"

# Nothing here is meant to be fast.
PATIENCE = int(os.environ.get("HAN_PATIENCE") or 240)


class Failure(AssertionError):
    """What did not happen, in words."""


def wait(what, condition, seconds=PATIENCE, interval=0.1):
    """Returns what `condition` gives once that is true, and says what did not come in time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} s; last: {value!r}")
        time.sleep(interval)


def run(*arguments, accept=(0,), data=None, environment=None, seconds=PATIENCE):
    """Runs a program to its end and gives what it printed."""
    done = subprocess.run(
        [str(word) for word in arguments],
        input=data,
        stdin=None if data is not None else subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
        env={**os.environ, "HAN_HOME": HOME, **(environment or {})},
    )
    if done.returncode not in accept:
        words = done.stderr.decode(errors="replace") or done.stdout.decode(errors="replace")
        raise Failure(f"{arguments[0]} {arguments[1]} ended with {done.returncode}: {words}")
    return done.stdout


def han(*arguments, **options):
    return run(HAN, *arguments, **options)


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The ResponseCode of a DUIS response."""
        return response_code(self.body)


def response_code(body):
    return tree.fromstring(body).findtext(f"{SR}Header/{SR}ResponseCode")


class Server:
    """A server with a state folder; it may be ended, killed and started again."""

    def __init__(self, folder, *arguments, home=HOME, state=None):
        self.folder = pathlib.Path(folder)
        self.state = pathlib.Path(state) if state else self.folder / "state"
        self.arguments = [str(word) for word in arguments]
        self.home = str(home)
        self.process = None
        self.port = 0
        self.runs = 0

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def log(self):
        return self.folder / f"log{self.runs}"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def keys(self):
        """The XML keys that it makes for itself."""
        return self.state / "keys"

    def start(self):
        self.runs += 1
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [HAN, "serve", "--port", str(self.port), "--state", str(self.state)]
                + self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "HAN_HOME": self.home},
            )

        def is_up():
            found = re.search(r"listening at http://[^:]+:(\d+)", self.log.read_text())
            if found:
                return int(found[1])
            if self.process.poll() is not None:
                raise Failure(f"han serve ended: {self.log.read_text()}")
            return None

        self.port = wait("han serve listens", is_up)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        """As Ctrl-C does; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def memory(self, field="VmRSS"):
        """Bytes, of /proc."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1]) * 1024

    # What it is asked

    def connect(self, seconds=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)

    def ask(self, method, path, body=None, headers=None, seconds=60):
        with contextlib.closing(self.connect(seconds)) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())

    def get(self, path):
        return self.ask("GET", path)

    def control(self, path):
        answer = self.get("/api/control/v1" + path)
        if answer.status != 200:
            raise Failure(f"{path}: {answer.status} {answer.text}")
        return answer.json

    def order(self, path, body=None, method="POST"):
        return self.ask(
            method,
            "/api/control/v1" + path,
            json.dumps(body or {}),
            {"Content-Type": "application/json"},
        )

    def post(self, body, service="serviceD", content_type=XML):
        return self.ask("POST", f"/api/v1/{service}", body, {"Content-Type": content_type})

    def targets(self):
        """The devices of all requests, their ids as DUIS writes them."""
        rows = self.control("/targets")["items"]
        return [row | {"device": dashed(row["device"])} for row in rows]

    def firmware(self):
        """What every node of the first home runs, by name."""
        return {n["name"]: n.get("firmware") for n in self.control("/status")["homes"][0]["nodes"]}

    def tracking(self, *arguments):
        return json.loads(han("tracking", *arguments, "--state", self.state, "--json"))


def dashed(identifier):
    """An EUI-64 as DUIS writes it, whichever way it was written."""
    digits = identifier.replace("-", "").upper()
    return "-".join(digits[place : place + 2] for place in range(0, 16, 2))


# Requests


def request(reference, counter, body, target=DCC, variant=8, user=SUPPLIER, version="5.4"):
    """A request without a signature. `body` is XML in the prefix `sr`."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<sr:Request xmlns:sr="{SR[1:-1]}" xmlns:ds="{DS[1:-1]}" schemaVersion="{version}">
  <sr:Header>
    <sr:RequestID>{user}:{target}:{counter}</sr:RequestID>
    <sr:CommandVariant>{variant}</sr:CommandVariant>
    <sr:ServiceReference>{reference}</sr:ServiceReference>
    <sr:ServiceReferenceVariant>{reference}</sr:ServiceReferenceVariant>
  </sr:Header>
  <sr:Body>{body}</sr:Body>
</sr:Request>
"""


SIGNATURE = """  <ds:Signature>
    <ds:SignedInfo>
      <ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
      <ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"/>
      <ds:Reference URI="">
        <ds:Transforms>
          <ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>
        </ds:Transforms>
        <ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>
        <ds:DigestValue/>
      </ds:Reference>
    </ds:SignedInfo>
    <ds:SignatureValue/>
    <ds:KeyInfo><ds:X509Data><ds:X509IssuerSerial/></ds:X509Data></ds:KeyInfo>
  </ds:Signature>
"""


class Signer:
    """A key of a key store and its certificate, in the form that xmlsec1 takes."""

    def __init__(self, keys, party=SUPPLIER, kind="xml-sign"):
        stem = f"{kind}-{party.replace('-', '')}-ds"
        folder = pathlib.Path(tempfile.mkdtemp(prefix="han-key-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.certificate = folder / "certificate.pem"
        # As a service user has them from the DCC: PKCS#8 in DER, or PEM.
        raw = (pathlib.Path(keys) / f"{stem}.key").read_bytes()
        form = "PEM" if raw.startswith(b"-----") else "DER"
        self.key = folder / "key.pem"
        self.key.write_bytes(run("openssl", "pkey", "-inform", form, data=raw))
        self.certificate.write_bytes((pathlib.Path(keys) / f"{stem}.pem").read_bytes())

    def sign(self, text):
        """Signs a request, or replaces the signature that it has."""
        text = re.sub(r"\s*<ds:Signature\b.*?</ds:Signature>", "\n", text, flags=re.S)
        place = text.rindex("</sr:Request>")
        with tempfile.NamedTemporaryFile(suffix=".xml") as file:
            file.write((text[:place] + SIGNATURE + text[place:]).encode())
            file.flush()
            return run(
                *("xmlsec1", "--sign", "--pkcs8-pem", f"{self.key},{self.certificate}"),
                file.name,
            )

    def verify(self, document):
        """Has xmlsec1 check a signature against this certificate's key."""
        public = run("openssl", "x509", "-in", self.certificate, "-noout", "-pubkey")
        with tempfile.NamedTemporaryFile(suffix=".xml") as file, tempfile.NamedTemporaryFile(
            suffix=".pem"
        ) as key:
            file.write(document)
            file.flush()
            key.write(public)
            key.flush()
            run(
                *("xmlsec1", "--verify", "--enabled-reference-uris", "empty"),
                *("--pubkey-pem", key.name, file.name),
            )


def validate(document):
    """Has xmllint check a document against the published schema, where that is there."""
    if not SCHEMA:
        return
    # libxml2 takes whole numbers of up to 24 digits, where certificates have 39.
    document = re.sub(rb"(<ds:X509SerialNumber>\d{20})\d+(?=<)", rb"\1", document)
    with tempfile.NamedTemporaryFile(suffix=".xml") as file:
        file.write(document)
        file.flush()
        run("xmllint", "--noout", "--nonet", "--schema", SCHEMA, file.name)


class Listener:
    """A service user's end: takes what is POSTed, and may refuse it or be away."""

    def __init__(self):
        self.status = 204
        self.posts = []
        self.answers = []
        self.port = 0
        self.server = None
        self.lock = threading.Lock()
        # Is called with each body before it is answered; what it gives instead of None is a
        # receipt that gets lost.
        self.hook = lambda body: None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/results"

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()

    def open(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_lost = outer.hook(body) is not None
                with outer.lock:
                    status = 0 if is_lost else outer.status
                    outer.posts.append((body, status, self.headers.get("Content-Type", "")))
                if is_lost:
                    self.close_connection = True
                    return
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.server = Threads(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def received(self):
        """The bodies that were acknowledged, in order."""
        with self.lock:
            return [body for body, status, _ in self.posts if 200 <= status < 300]

    @property
    def refused(self):
        with self.lock:
            return [body for body, status, _ in self.posts if not 200 <= status < 300]

    @property
    def seen(self):
        """All bodies that came, however they were answered."""
        with self.lock:
            return [body for body, _, _ in self.posts]


def response_id(body):
    return tree.fromstring(body).findtext(f"{SR}Header/{SR}ResponseID")


def request_id(body):
    return tree.fromstring(body).findtext(f"{SR}Header/{SR}RequestID")


def settings(folder, url=None, delay="1 min", more=""):
    """A DCC's settings file: one supplier, and images that go to the hub at once."""
    path = pathlib.Path(folder) / "dcc.yaml"
    line = f"    responseURL: {url}\n" if url else ""
    path.write_text(
        "kind: dcc\ntitle: A DCC of a story\nusers:\n"
        f"  - id: {SUPPLIER}\n    name: Supplier One\n    roles: [IS, GS]\n{line}"
        f"defaultRegion:\n  delay: {delay}\n{more}"
    )
    return path


def needs(*programs):
    """Skips a story where one of the programs is not there."""
    missing = [name for name in programs if not shutil.which(name)]
    return unittest.skipIf(missing, f"{' and '.join(missing)} not installed; run Tools/test")


def needs_reference(story):
    return unittest.skipUnless(
        REFERENCE, "needs the reference material: set HAN_REFERENCE"
    )(story)


class Story(unittest.TestCase):
    """One with a folder of its own, which goes with it."""

    maxDiff = None

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="han-story-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def serve(self, *arguments, **options):
        """Starts a server that is killed at the story's end, if it has not ended by then."""
        server = Server(self.folder, *arguments, **options)
        self.addCleanup(server.__exit__)
        return server.start()

    def listen(self):
        listener = Listener().open()
        self.addCleanup(listener.close)
        return listener
