"""The Firmware Distribution Tracking screen as somebody in front of a browser has it: Chromium
shows it, without a window.

Screenshots go to HAN_SCREENSHOTS, or .build/screenshots.

usage: page_stories.py [-v] [STORY...]
"""

import csv
import io
import os
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
import served  # noqa: E402
from served import wait  # noqa: E402
from webdriver import ENTER, TAB, Browser  # noqa: E402

SHOTS = pathlib.Path(os.environ.get("HAN_SCREENSHOTS") or served.PROJECT / ".build/screenshots")

# What is wrong with a page for those who cannot see it or use no mouse.
BARRIERS = """
const wrong = [];
const say = (what, e) => wrong.push(what + (e ? ': ' + e.outerHTML.slice(0, 120) : ''));
if (!document.documentElement.lang) say('no language');
if (!document.title.trim()) say('no title');
if (document.querySelectorAll('h1').length !== 1) say('not one h1');
if (!document.querySelector('main')) say('no main');
if (!document.querySelector('[aria-live]')) say('nothing is told as it happens');
for (const e of document.querySelectorAll('input, select, textarea')) {
  if (e.type === 'hidden') continue;
  if (!e.labels.length && !e.getAttribute('aria-label')) say('no label', e);
}
for (const e of document.querySelectorAll('th')) {
  if (!['col', 'row'].includes(e.getAttribute('scope'))) say('no scope', e);
}
for (const e of document.querySelectorAll('table')) {
  if (!e.caption || !e.caption.textContent.trim()) say('no caption', e);
}
for (const e of document.querySelectorAll('a[href], button, summary')) {
  if (!e.textContent.trim() && !e.getAttribute('aria-label')) say('no name', e);
}
for (const e of document.querySelectorAll('svg, progress, img')) {
  if (!e.getAttribute('aria-label') && !e.alt && !e.closest('[aria-hidden]')) say('no name', e);
}
for (const e of document.querySelectorAll('[tabindex]')) {
  if (e.tabIndex > 0) say('an order of its own', e);
}
const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) say('twice: ' + id);
for (const e of document.querySelectorAll('[aria-labelledby], [aria-describedby]')) {
  const named = e.getAttribute('aria-labelledby') || e.getAttribute('aria-describedby');
  if (!document.getElementById(named)) say('names what is not there', e);
}
let level = 0;
for (const e of document.querySelectorAll('h1, h2, h3, h4')) {
  const own = Number(e.nodeName[1]);
  if (own > level + 1) say('a heading skips a level', e);
  level = own;
}
return wrong;
"""

# What reaches beyond the width that there is, and does not scroll by itself.
WIDE = """
const wide = [...document.querySelectorAll('body *')].filter((e) =>
  e.getBoundingClientRect().right > arguments[0] + 1 && !e.closest('.scroll, .unseen, thead')
  && e.getClientRects().length);
return wide.slice(0, 5).map((e) => e.outerHTML.slice(0, 120));
"""

# The rows of the list as a person reads them.
ROWS = """
return [...document.querySelectorAll('#rows > tr')].map((row) => ({
  text: row.innerText, link: row.querySelector('a').href,
  status: [...row.querySelectorAll('.badge')].map((e) => e.innerText).join()}));
"""


@served.needs("chromium", "chromedriver")
class Page(served.Story):
    @classmethod
    def setUpClass(cls):
        SHOTS.mkdir(parents=True, exist_ok=True)
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        print(f"screenshots in {SHOTS}")

    def setUp(self):
        super().setUp()
        self.browser.size(1280, 900)
        self.server = self.serve(
            *("--pace", "x3600", "--dcc", served.settings(self.folder, delay="2 h")),
        )
        # Or the page would miss the server at its end.
        self.addCleanup(self.browser.open, "about:blank")
        self.browser.console()
        self.browser.requests()

    def open(self, path="/"):
        self.browser.open(self.server.url + path)

    def shot(self, name):
        (SHOTS / f"{name}.png").write_bytes(self.browser.screenshot())

    def rows(self):
        return self.browser.run(ROWS)

    def is_clean(self):
        """Nothing was logged, blocked, or asked for elsewhere."""
        self.assertEqual(self.browser.console(), [])
        asked = self.browser.requests()
        self.assertTrue(asked)
        elsewhere = [
            url for url in asked
            if not url.startswith((self.server.url + "/", "data:", "chrome:", "about:"))
        ]  # fmt: skip
        self.assertEqual(elsewhere, [])

    def finish_demo(self):
        """Plays the demo without anybody watching."""
        self.assertEqual(self.server.order("/runs").status, 201)
        wait("the demo ends", lambda: self.server.control("/runs/1")["state"] != "running")
        self.assertEqual(self.server.control("/runs/1")["state"], "done")

    def mark(self):
        """So that a page that was loaded anew can be told from one that was not."""
        self.browser.run("window.hanStory = true;")

    def stayed(self):
        return self.browser.run("return window.hanStory === true;")

    def test_demo(self):
        """A first visitor starts the demo with its button and sees a PPMID go from refused to
        updated while the page stays as it is."""
        self.open()
        self.assertIn("No request has been received", self.browser.text())
        self.shot("1-empty")
        self.browser.click("#demo button")
        wait("the demo is on the page", lambda: "Demo 1" in self.browser.text("#run"))
        self.mark()
        self.assertIn("Demo 1", self.browser.text("#run h2"))
        refused = wait("the first request", lambda: self.rows()[-1:])[0]
        self.assertIn("11.4", refused["text"])
        self.assertIn("W110401", refused["text"])
        self.assertIn("Refused", refused["text"])
        wait(
            "the second request",
            lambda: len(self.rows()) == 2 and "I99" in self.rows()[0]["text"],
        )
        self.shot("2-under-way")
        wait(
            "the request for the PPMID is done",
            lambda: "Done" in self.rows()[0]["status"] and "Refused" in self.rows()[1]["status"],
        )
        wait("the counts tell", lambda: "Activated 1" in self.browser.text("#counts"))
        wait("the caption tells", lambda: "2 requests" in self.browser.text("caption"))
        wait("the demo is done", lambda: "Done" in self.browser.text("#run h2"))
        wait("the button is there again", lambda: "again" in self.browser.text("#demo"))
        self.assertTrue(self.stayed(), "the page was loaded anew")
        self.assertTrue(self.browser.run("return document.getElementById('said').textContent;"))
        self.shot("3-done")

        self.open("/homes")
        self.assertIn("0x01010204", self.browser.text("#node-02-47-42-00-00-00-01-03"))
        self.shot("homes")
        self.is_clean()

    def test_rooms(self):
        """A request opens to its device and that to its time line, and messages to their fields."""
        self.finish_demo()
        self.open()
        self.browser.click("#rows > tr:first-child th a")
        self.assertIn("Update PPMID Firmware", self.browser.text("h1"))
        self.assertIn(served.PPMID, self.browser.text("#rows"))
        self.shot("request")
        self.browser.click("#rows > tr:first-child th a")
        self.assertIn(served.PPMID, self.browser.text("h1"))
        line = self.browser.run(
            "return [...document.querySelectorAll('#line .badge')].map((e) => e.innerText);"
        )
        hops = ["At the CSP", "On its way to the hub", "Downloading", "Downloaded", "Activated"]
        first = {hop: next((n for n, text in enumerate(line) if hop in text), -1) for hop in hops}
        self.assertNotIn(-1, first.values(), line)
        self.assertEqual(sorted(hops, key=first.get), hops, line)
        self.assertTrue(any("At the hub" in text for text in line), line)
        self.assertFalse(self.browser.run("return !!document.querySelector('#line [open]');"))
        self.browser.click("#line summary")
        fields = self.browser.text("#line details[open] table")
        self.assertIn("originator", fields)
        self.shot("time-line")
        # Opened details stay open when the page takes in what has happened since.
        self.mark()
        self.browser.run("document.dispatchEvent(new Event('visibilitychange'));")
        self.server.order("/runs")
        self.assertTrue(self.browser.text("#line details[open] table"))
        self.assertTrue(self.stayed())
        self.is_clean()

    def test_filters(self):
        """Filters narrow the list and the counts, and the export has what is shown."""
        self.finish_demo()
        self.open()
        both = self.rows()
        self.assertEqual(len(both), 2)
        for field, value, count in [
            ("status", "refused", 1),
            ("status", "downloading", 0),
            ("type", "PPMID", 2),
            ("type", "ESME", 0),
            ("period", "hour", 0),
        ]:
            self.open()
            if field == "period":
                # The demo's own requests are some days old by then.
                wait("an hour passes", lambda: self.hour_is_over(both))
            self.browser.choose(f"#{field}", value)
            self.apply(f"{field}={value}")
            self.assertEqual(len(self.rows()), count, f"{field} {value}")
            if not count:
                self.assertIn("No request fits", self.browser.text("#none"))
        for field, text, count in [
            ("hub", served.CHF, 2),
            ("hub", served.PPMID, 0),
            ("version", "0x01010204", 2),
            ("version", "0x0101", 0),
        ]:
            self.open("/?period=all")
            self.browser.type(f"#{field}", text)
            self.apply(f"{field}={text}")
            self.assertEqual(len(self.rows()), count, f"{field} {text}")
        makers = self.browser.run(
            "return [...document.querySelectorAll('#manufacturer option')].map(e => e.value);"
        )
        self.assertIn("FFF2", [maker.replace("0x", "").upper() for maker in makers], makers)

        self.open("/?period=all&status=refused")
        self.shot("filtered")
        self.assertEqual(self.export(), [("11.4", served.PPMID, "refused")])
        self.open("/?period=all")
        self.assertEqual(
            sorted(self.export()),
            [("11.4", served.PPMID, "activated"), ("11.4", served.PPMID, "refused")],
        )
        self.is_clean()

    def test_choices(self):
        """New choices of the filter appear as they come; what has been chosen or typed stays, and so
        does the focus."""

        def makers():
            return self.browser.run(
                "return [...document.querySelectorAll('#manufacturer option')].map(e => e.value);"
            )

        def filled():
            return self.browser.run(
                "return ['status', 'hub', 'manufacturer'].map((id) => "
                "document.getElementById(id).value);"
            )

        self.open()
        self.mark()
        self.assertEqual(makers(), [""])
        self.browser.choose("#status", "refused")
        self.browser.type("#hub", served.CHF)
        self.browser.run("document.getElementById('manufacturer').focus();")
        self.server.order("/runs")
        wait("the PPMID's maker can be chosen", lambda: makers() == ["", "FFF2"])
        wait(
            "so can its version",
            lambda: self.browser.run(
                "return [...document.querySelectorAll('#versions option')].map(e => e.value);"
            ) == ["0x01010204"],
        )  # fmt: skip
        self.assertEqual(filled(), ["refused", served.CHF, ""])
        self.assertEqual(self.browser.run("return document.activeElement.id;"), "manufacturer")
        self.browser.choose("#manufacturer", "FFF2")
        wait("the demo ends", lambda: self.server.control("/runs/1")["state"] != "running")
        # Another one comes in before the chosen one.
        read = served.request(
            "11.2", 5000, "<sr:ReadFirmwareVersion/>", target=served.ESME, variant=1
        )
        signed = served.Signer(self.server.keys).sign(read)
        self.assertEqual(self.server.post(signed, "serviceS").code, "I99")
        wait("another maker can be chosen", lambda: makers() == ["", "FFF1", "FFF2"])
        self.assertEqual(filled(), ["refused", served.CHF, "FFF2"])
        self.assertEqual(self.browser.run("return document.activeElement.id;"), "manufacturer")
        self.assertTrue(self.stayed())
        self.apply("manufacturer=FFF2")
        self.is_clean()

    def apply(self, choice):
        self.browser.click(".filter button")
        wait(f"the filter is {choice}", lambda: choice in self.browser.url)

    def hour_is_over(self, rows):
        self.open("/?period=hour")
        return not self.rows()

    def export(self):
        """What its link gives the browser: request, device and status of each line."""
        text = self.browser.run_later(
            """const done = arguments[0];
            const link = [...document.querySelectorAll('a')].find((a) => /CSV/.test(a.innerText));
            fetch(link.href).then((a) => a.text()).then(done, (e) => done('' + e));"""
        )
        lines = list(csv.DictReader(io.StringIO(text)))
        return [(line["variant"], served.dashed(line["device"]), line["status"]) for line in lines]

    def test_keyboard(self):
        """Everything can be reached and used with keys alone, and focus is always seen."""
        self.finish_demo()
        self.open()
        self.browser.press(TAB)
        self.assertIn("Skip", self.focused())
        self.browser.press(ENTER)
        self.assertEqual(self.browser.run("return document.activeElement.id;"), "main")
        self.go_to("#status")
        # As a person does: the first letters of the choice.
        self.browser.press("R", "e", "f")
        self.go_to(".filter button")
        self.browser.press(ENTER)
        wait("the filter is on", lambda: "status=refused" in self.browser.url)
        self.assertEqual(len(self.rows()), 1)
        self.go_to("#rows th a")
        self.browser.press(ENTER)
        wait("the request opens", lambda: "/requests/" in self.browser.url)
        self.go_to("#rows th a")
        self.browser.press(ENTER)
        wait("the device opens", lambda: served.PPMID in self.browser.text("h1"))
        self.open()
        self.go_to("#demo button")
        self.is_clean()

    def focused(self):
        return self.browser.run("return document.activeElement.textContent.trim();")

    def go_to(self, selector):
        """Tabs on until the element has the focus, which must show each time."""
        for _ in range(80):
            if self.browser.run(
                "return document.activeElement.matches(arguments[0]);", selector
            ):
                return
            self.browser.press(TAB)
            shows = self.browser.run(
                """const e = document.activeElement;
                if (e === document.body) return true;
                const style = getComputedStyle(e);
                const box = e.getBoundingClientRect();
                return e.matches(':focus-visible') && box.width > 1 && box.height > 1
                  && (style.outlineStyle !== 'none' || style.boxShadow !== 'none');"""
            )
            self.assertTrue(shows, f"focus is not seen at {self.focused()!r}")
        self.fail(f"no way to {selector} with Tab")

    def test_everybody(self):
        """Each page is readable for a screen reader, and at 360 pixels without scrolling aside."""
        self.finish_demo()
        self.open()
        request = self.rows()[0]["link"]
        pages = {
            "list": self.server.url + "/",
            "request": request,
            "device": f"{request}/devices/{served.PPMID}",
            "homes": self.server.url + "/homes",
            "notices": self.server.url + "/notices",
            "interface": self.server.url + "/api",
            "nothing": self.server.url + "/nothing",
        }
        self.browser.open(request)
        pages["device"] = self.browser.run("return document.querySelector('#rows th a').href;")
        for name, url in pages.items():
            for width in 1280, 360:
                self.browser.size(width, 900, phone=width == 360)
                self.browser.open(url)
                if name == "device":
                    self.browser.click("#line summary")
                with self.subTest(page=name, width=width):
                    self.assertEqual(self.browser.run(BARRIERS), [])
                    inner, whole = self.browser.run(
                        "return [innerWidth, document.documentElement.scrollWidth];"
                    )
                    self.assertEqual(self.browser.run(WIDE, width), [])
                    self.assertEqual(inner, width)
                    self.assertLessEqual(whole, inner)
                    if width == 360:
                        self.shot(f"phone-{name}")
        # The page that is not there logs that it is not.
        missing = [line for line in self.browser.console() if "404" not in line]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
