import os
import pathlib

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


def found(pattern):
    folder = pathlib.Path(os.environ.get("DCV_PACKAGES", TOP / "build"))
    packages = [path for path in sorted(folder.glob(pattern)) if "-dbgsym_" not in path.name]
    assert len(packages) == 4, f"make deb rpm first: {packages}"
    return packages


@pytest.fixture(scope="session")
def debs():
    """Name of the package to its file."""
    return {path.name.split("_")[0]: path for path in found("deb/*.deb")}


@pytest.fixture(scope="session")
def rpms():
    return {path.name.rsplit("-", 2)[0]: path for path in found("rpm/RPMS/*/*.rpm")}
