"""Hosts for the tests of packages and units. Where none can be booted, the tests are skipped with the
reason."""

import os
import pathlib
import tempfile

import pytest

from booted_host import BootedHost, why_not


@pytest.fixture(scope="session")
def packages():
    folder = pathlib.Path(os.environ.get(
        "DCV_PACKAGES", pathlib.Path(__file__).resolve().parents[2] / "build"))
    found = [path for path in sorted(folder.glob("deb/*.deb")) if "-dbgsym_" not in path.name]
    assert len(found) == 4, f"make deb first: {found}"
    return found


@pytest.fixture(scope="module")
def host():
    reason = why_not()
    if reason:
        pytest.skip(f"no host can be booted: {reason}")
    with tempfile.TemporaryDirectory(prefix="dcv-boot-") as folder:
        booted = BootedHost(folder)
        try:
            yield booted.make().boot()
        finally:
            booted.end()
