"""Take the picture for README.md anew: a session in a browser, for real. As root, where the tests run,
with the package openbox beside what they need:

    /usr/bin/python3 tests/system/session_picture.py packaging/doc/session-in-the-browser.png
"""

import os
import shutil
import subprocess
import sys
import time

from keeper_helpers import BUILD, User, wait_for
from page_helpers import Chromium, enter
from test_viewer import x_of
from viewer_helpers import OPEN, Viewer, permissions

# The window manager gives the keyboard to what comes last, in a desktop of the browser's size.
DESKTOP = """#!/bin/sh
until xwininfo -root | grep -q 'Width: 1280'; do sleep 0.1; done
xsetroot -solid '#2f5d7c'
openbox &
until xprop -root _NET_SUPPORTING_WM_CHECK | grep -q '#'; do sleep 0.1; done
xclock -geometry 190x190-50+60 &
until xwininfo -name xclock | grep -q IsViewable; do sleep 0.1; done
export PATH={bin}:$PATH PS1='mira:~$ '
exec xterm -T Terminal -fa Monospace -fs 11 -geometry 116x20+60+300
"""
DCVCTL = """#!/bin/sh
{bin}/program --socket {socket} "$@"
touch ~/done
"""


def put_dcvctl(viewer):
    """A dcvctl that finds this agent without being told; the folder in which it is."""
    folder = os.path.join(viewer.folder, "bin")
    os.mkdir(folder)
    shutil.copy(os.path.join(BUILD, "dcvctl"), os.path.join(folder, "program"))
    path = os.path.join(folder, "dcvctl")
    with open(path, "w", encoding="ascii") as file:
        file.write(DCVCTL.format(bin=folder, socket=viewer.agent.socket))
    os.chmod(path, 0o755)
    return folder


def take(viewer, chromium, mira, pavel, path):
    viewer.agent.keeper.init(DESKTOP.format(bin=put_dcvctl(viewer)), "desktop.sh")
    session_id = viewer.agent.create_ready(mira.name, Name="work", InitFile="desktop.sh",
                                           PermissionsFile=permissions(OPEN))
    for user in (mira, pavel):
        enter(chromium, viewer, user.name, session_id, user.name, width=1280, height=800)
    wait_for(lambda: '"Terminal"' in x_of(viewer, session_id, "xwininfo", "-root", "-tree"),
             "the terminal")
    chromium.do("mira", "move", x=300, y=720)
    chromium.do("mira", "type", text="dcvctl describe-sessions\n")
    wait_for(lambda: os.path.exists(os.path.join(mira.home, "done")), "what is typed to be done")
    chromium.do("mira", "click", selector="#people")
    chromium.do("mira", "wait", text="document.querySelector('#quality').value.startsWith('Good')")
    chromium.do("mira", "wait", text="document.querySelector('#said').textContent === ''")
    time.sleep(1)  # for the last of it to be drawn
    chromium.do("mira", "picture", path=path)
    viewer.agent.delete(session_id, mira.name)


def main(path):
    people = []
    viewer = chromium = None
    try:
        people += [User(), User(name="mira"), User(name="pavel")]
        viewer = Viewer(people[0])
        chromium = Chromium()
        take(viewer, chromium, *people[1:], os.path.abspath(path))
        # few colours are enough, and small
        subprocess.run(["mogrify", "-strip", "+dither", "-colors", "256", path], check=True)
    finally:
        for one in (chromium, viewer):
            if one:
                one.done()
        for user in people:
            user.remove()


if __name__ == "__main__":
    main(sys.argv[1])
