"""Chromium without a window, driven by chromedriver in the W3C's WebDriver protocol."""

import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from served import Failure, wait

TAB, ENTER, SPACE = "\ue004", "\ue007", " "
# How the protocol names an element in JSON.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """A browser with an empty profile, which can reach this machine alone."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="han-chromium-")
        self.log = pathlib.Path(self.profile) / "chromedriver.log"
        with open(self.log, "wb") as log:
            self.driver = subprocess.Popen(
                ["chromedriver", "--port=0"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # What it leaves behind goes with the profile.
                env={**os.environ, "TMPDIR": self.profile, "HOME": self.profile},
            )
        self.session = None
        try:
            self.port = wait("chromedriver listens", self._listening, 60)
            self._begin()
        except BaseException:
            self.close()
            raise

    def _listening(self):
        text = self.log.read_text(errors="replace")
        if found := re.search(r"started successfully on port (\d+)", text):
            return int(found[1])
        if self.driver.poll() is not None:
            raise Failure(f"chromedriver ended: {text}")
        return None

    def _begin(self):
        options = [
            "--headless=new", "--disable-dev-shm-usage", "--no-first-run", "--disable-gpu",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-default-apps", "--force-color-profile=srgb", "--lang=en-GB",
            "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"--user-data-dir={self.profile}/profile",
        ]  # fmt: skip
        # Chromium's sandbox does not work for root.
        if os.geteuid() == 0:
            options.append("--no-sandbox")
        answer = self._send(
            "POST",
            "/session",
            {
                "capabilities": {
                    "alwaysMatch": {
                        "browserName": "chrome",
                        "goog:chromeOptions": {
                            "args": options,
                            "binary": shutil.which("chromium"),
                        },
                        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
                    }
                }
            },
        )
        self.session = answer["sessionId"]
        self.send("timeouts", {"script": 60_000, "pageLoad": 60_000})

    def close(self):
        if self.session:
            try:
                self._send("DELETE", f"/session/{self.session}")
            except (Failure, OSError, http.client.HTTPException):
                pass
        self.driver.terminate()
        try:
            self.driver.wait(10)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            self.driver.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    # The protocol

    def _send(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            data = None if method != "POST" else json.dumps(body or {})
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
        finally:
            connection.close()
        if answer.status != 200:
            raise Failure(f"{path}: {value['error']}: {value['message'].splitlines()[0]}")
        return value

    def send(self, path, body=None):
        return self._send("POST", f"/session/{self.session}/{path}", body)

    def get(self, path):
        return self._send("GET", f"/session/{self.session}/{path}")

    # What a person does

    def open(self, url):
        self.send("url", {"url": url})

    @property
    def url(self):
        return self.get("url")

    def run(self, script, *arguments):
        """What the body of a function in the page returns."""
        return self.send("execute/sync", {"script": script, "args": list(arguments)})

    def run_later(self, script, *arguments):
        """The same of one that calls its last argument with the result."""
        return self.send("execute/async", {"script": script, "args": list(arguments)})

    def find(self, selector):
        return self.send("element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.send(f"element/{self.find(selector)}/click")

    def type(self, selector, text):
        element = self.find(selector)
        self.send(f"element/{element}/clear")
        self.send(f"element/{element}/value", {"text": text})

    def choose(self, selector, value):
        self.click(f"{selector} option[value='{value}']")

    def press(self, *keys):
        actions = [
            {"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")
        ]
        self.send("actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def text(self, selector="main"):
        """What is shown there, or nothing."""
        return self.run(
            "const e = document.querySelector(arguments[0]); return e ? e.innerText : '';",
            selector,
        )

    def size(self, width, height, phone=False):
        self.send(
            "goog/cdp/execute",
            {
                "cmd": "Emulation.setDeviceMetricsOverride",
                "params": {
                    "width": width,
                    "height": height,
                    "deviceScaleFactor": 2 if phone else 1,
                    "mobile": phone,
                },
            },
        )

    def screenshot(self):
        return base64.b64decode(self.get("screenshot"))

    def console(self):
        """What has been logged since the last time: errors, and what a policy has blocked."""
        return [
            f"{entry['level']}: {entry['message']}"
            for entry in self.send("se/log", {"type": "browser"})
            if entry["level"] in ("SEVERE", "WARNING")
        ]

    def requests(self):
        """The addresses that pages have asked for since the last time."""
        found = []
        for entry in self.send("se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found
