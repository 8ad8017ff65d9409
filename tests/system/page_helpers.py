"""The page of the web viewer in a real browser."""

import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
PLAYWRIGHT = HERE.parent / "npm/node_modules/playwright-core"
SHOWN = "document.querySelector('#notice').hidden"


class Chromium:
    """A browser whose pages have names."""

    def __init__(self):
        assert PLAYWRIGHT.is_dir(), \
            "run: . packaging/packages.sh; install_npm_packages tests/npm"
        self.process = subprocess.Popen(["node", HERE / "browser.mjs", PLAYWRIGHT],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, page, what, **arguments):
        self.process.stdin.write(json.dumps({"page": page, "do": what, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["ok"]

    def done(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        self.process.stdout.close()


def url_of(viewer, session_id, user):
    """As clients make it."""
    data = viewer.connection_data(session_id, user)
    server = data["Session"]["Server"]
    return (f"https://127.0.0.1:{server['Port']}{server['WebUrlPath']}"
            f"?authToken={data['ConnectionToken']}#{session_id}")


def enter(chromium, viewer, page, session_id, user, **options):
    assert chromium.do(page, "open", url=url_of(viewer, session_id, user), **options) == 200
    chromium.do(page, "wait", text=SHOWN)
