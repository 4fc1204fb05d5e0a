"""Makes the README's picture of the screen anew: a demo under way, beside a meter's update.

usage: picture.py [FILE]        docs/tracking.png unless given
"""

import datetime
import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
import served  # noqa: E402
from gateway_stories import image_request  # noqa: E402
from webdriver import Browser  # noqa: E402


def main():
    path = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else served.PROJECT / "docs/tracking.png")
    with tempfile.TemporaryDirectory() as folder:
        dcc = served.settings(folder, delay="2 h")
        with served.Server(folder, "--pace", "x3600", "--dcc", dcc) as server:
            user = served.Signer(server.keys)
            server.post(user.sign(image_request("11.1", 1, "esme-2", [served.ESME])))
            server.post(user.sign(image_request("11.1", 2, "gsme-2", [served.GSME])))
            server.order("/runs")

            def is_let_in():
                return server.control("/runs/1")["steps"][2]["state"] == "done"

            def pace(words):
                assert server.order("/pace", {"pace": words}, "PUT").status == 200

            def now():
                return datetime.datetime.fromisoformat(server.control("/status")["time"])

            def downloads():
                found = server.control("/targets?type=PPMID&status=downloading")["items"]
                return any((each.get("percent") or 0) > 5 for each in found)

            served.wait("the second request", is_let_in)
            # Two hours until it goes to the hub, and then a quarter of a minute of download.
            pace("x1200")
            start = now()
            served.wait("the delivery is near", lambda: (now() - start).seconds > 6_400)
            pace("x40")
            served.wait("the display downloads", downloads, interval=0.02)
            pace("real")
            browser = Browser()
            try:
                browser.size(1280, 900)
                browser.open(server.url)
                path.write_bytes(browser.screenshot())
                browser.open("about:blank")
            finally:
                browser.close()


if __name__ == "__main__":
    main()
