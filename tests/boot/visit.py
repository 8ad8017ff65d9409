"""In the host's network, with what a browser has. visit.py URL enters the session through the viewer and prints
the size of its desktop and how many colours it shows. With --stay it says "inside" first, waits until the
connection is lost, and comes again with the same token as the page does."""

import pathlib
import sys
import time
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from rfb_client import RAW, Rfb  # noqa: E402
from viewer_helpers import Browser, Closed  # noqa: E402

FOR_GOOD = 4000  # a close of this number or above is told by the page, which does not try again


def enter(url):
    browser = Browser(url.port)
    browser.say(token=parse_qs(url.query)["authToken"][0], session=url.fragment)
    browser.event("admitted")
    return browser


def wait_for_loss(browser):
    try:
        while True:
            browser.frame()
    except (OSError, Closed) as loss:
        if isinstance(loss, Closed) and loss.args[0] >= FOR_GOOD:
            raise


def come_again(url):
    while True:
        try:
            return enter(url)
        except (OSError, Closed) as loss:
            if isinstance(loss, Closed) and loss.args[0] >= FOR_GOOD:
                raise
            time.sleep(0.2)


address = urlsplit(sys.argv[-1])
guest = enter(address)
if "--stay" in sys.argv:
    print("inside", flush=True)
    wait_for_loss(guest)
    guest = come_again(address)
desktop = Rfb(guest, [RAW])
picture = desktop.whole()
print(desktop.width, desktop.height, len({picture[i:i + 4] for i in range(0, len(picture), 4)}))
