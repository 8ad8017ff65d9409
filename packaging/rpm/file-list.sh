#!/bin/sh
# file-list.sh FOLDER: what `make install-PACKAGE` put below FOLDER, as the %files of a spec file: settings
# are kept over upgrades, manuals will have been compressed, and folders that bear our name are ours.
cd "$1" || exit 1
find . -type d -path '*/dcv-session-*' -printf '%%dir /%P\n' | sort
find . ! -type d -printf '/%P\n' | sort | sed -e 's,^/etc/,%config(noreplace) /etc/,' -e 's,^.*/man/.*$,&*,'
