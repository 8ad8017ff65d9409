"""In the host's network, with what a browser has: visit.py URL enters the session through the viewer and
prints the size of its desktop and how many colours it shows."""

import pathlib
import sys
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from rfb_client import RAW, Rfb  # noqa: E402
from viewer_helpers import Browser  # noqa: E402

url = urlsplit(sys.argv[1])
browser = Browser(url.port)
browser.say(token=parse_qs(url.query)["authToken"][0], session=url.fragment)
browser.event("admitted")
desktop = Rfb(browser, [RAW])
picture = desktop.whole()
print(desktop.width, desktop.height, len({picture[i:i + 4] for i in range(0, len(picture), 4)}))
