"""What is in the packages, without installing them: the same in those for Debian as in those for RHEL and SUSE,
and nothing of the machine that made them."""

import email.utils
import io
import json
import os
import pathlib
import re
import stat
import subprocess
import tarfile

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("dcv-session-manager-agent-lite", "dcv-session-manager-broker-lite", "dcv-session-viewer",
         "dcvctl")
VERSION = (TOP / "packaging/VERSION").read_text().strip()
DEBIAN_CHANGES = (TOP / "packaging/debian/changelog").read_text()
SPEC = (TOP / "packaging/rpm/dcv-session-manager-lite.spec").read_text()


def out(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE,
                          **options).stdout


def members(deb):
    with tarfile.open(fileobj=io.BytesIO(out("dpkg-deb", "--fsys-tarfile", deb))) as tar:
        return tar.getmembers()


def of_deb(deb):
    """Path to (mode, owner, group), of what is not a folder, without what a system adds by itself."""
    return {re.sub(r"^/lib/", "/usr/lib/", re.sub(r"\.gz$", "", member.name[1:])):
            (oct(member.mode), member.uname, member.gname)
            for member in members(deb)
            if not member.isdir()
            and not member.name.startswith(("./usr/share/doc/", "./usr/share/lintian/"))}


def of_rpm(rpm):
    lines = out("rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEMODES} %{FILEUSERNAME} %{FILEGROUPNAME}\n]",
                rpm, text=True).splitlines()
    files = {path: (int(mode), user, group) for path, mode, user, group in map(str.split, lines)}
    return {re.sub(r"\.(gz|xz|zst)$", "", path): (oct(stat.S_IMODE(mode)), user, group)
            for path, (mode, user, group) in files.items()
            if not stat.S_ISDIR(mode)
            and not path.startswith(("/usr/share/doc/", "/usr/share/licenses/", "/usr/lib/.build-id/"))}


@pytest.mark.parametrize("name", NAMES)
def test_both_kinds_of_package_have_the_same_files_with_the_same_modes(debs, rpms, name):
    assert of_deb(debs[name]) == of_rpm(rpms[name])
    assert len(of_deb(debs[name])) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_each_package_tells_what_has_changed(debs, rpms, name):
    assert any(member.name.startswith(f"./usr/share/doc/{name}/CHANGELOG.md")
               for member in members(debs[name]))
    assert "CHANGELOG.md" in out("rpm", "-qdp", rpms[name], text=True)


@pytest.mark.parametrize("name", NAMES)
def test_settings_outlive_upgrades_in_both_kinds_of_package(debs, rpms, name):
    conffiles = out("dpkg-deb", "--info", debs[name], "conffiles", text=True).split() \
        if b"conffiles" in out("dpkg-deb", "--info", debs[name]) else []
    assert out("rpm", "-qcp", rpms[name], text=True).split() == sorted(conffiles)


@pytest.mark.parametrize("name", NAMES)
def test_both_kinds_of_package_bring_the_same_of_the_others(debs, rpms, name):
    for field, tag in (("Depends", "requires"), ("Recommends", "recommends")):
        of_debian = re.findall(r"[\w-]+", out("dpkg-deb", "-f", debs[name], field, text=True))
        of_fedora = out("rpm", "-qp", f"--{tag}", rpms[name], text=True).split()
        assert set(NAMES).intersection(of_debian) == set(NAMES).intersection(of_fedora)


def test_an_agent_is_made_for_the_desktops_of_its_system_and_brings_what_starts_them(rpms, tmp_path):
    agent = rpms["dcv-session-manager-agent-lite"]
    wanted = [path for path in out("rpm", "-qp", "--requires", agent, text=True).split()
              if path.endswith("/Xsession")]
    assert wanted == ["/etc/X11/xinit/Xsession"]
    commands = out("make", "-n", "V=1", f"BUILD={tmp_path}", f"DEFAULT_SESSION={wanted[0]}",
                   f"{tmp_path}/agent/config.o", cwd=TOP, text=True)
    assert f'"{wanted[0]}"' in commands and "DEFAULT_SESSION=%{default_session}" in SPEC


@pytest.mark.parametrize("name", NAMES)
def test_an_rpm_is_unpacked_and_its_files_have_their_modes(rpms, name, tmp_path):
    subprocess.run(["rpm", "-i", "--root", tmp_path, "--nodeps", "--noscripts", rpms[name]], check=True)
    for path, (mode, _, _) in of_rpm(rpms[name]).items():
        found = (tmp_path / path[1:]).lstat()
        assert oct(stat.S_IMODE(found.st_mode)) == mode and found.st_uid == 0, path


@pytest.mark.parametrize("name", NAMES)
def test_what_an_rpm_runs_is_a_script(rpms, name, tmp_path):
    for part in ("prein", "postin", "preun", "postun"):
        script = out("rpm", "-qp", "--qf", f"%|{part.upper()}?{{%{{{part.upper()}}}}}|", rpms[name])
        subprocess.run(["sh", "-n"], input=script, check=True)


def test_there_is_one_version(debs, rpms):
    assert re.search(r"\((.*?)\)", DEBIAN_CHANGES)[1] == VERSION
    assert re.search(r"%changelog\n\* .* - (\S+)-1\n", SPEC)[1] == VERSION
    assert re.search(r"^## (\S+)", (TOP / "packaging/CHANGELOG.md").read_text(), re.M)[1] == VERSION
    for deb in debs.values():
        assert out("dpkg-deb", "-f", deb, "Version", text=True).strip() == VERSION
    for rpm in rpms.values():
        assert out("rpm", "-qp", "--qf", "%{VERSION}", rpm, text=True) == VERSION


def test_nothing_tells_when_and_where_it_was_made(debs, rpms):
    released = re.search(r"^ -- .*>  (.*)$", DEBIAN_CHANGES, re.M)[1]
    released = email.utils.parsedate_to_datetime(released).timestamp()
    for deb in debs.values():
        assert max(member.mtime for member in members(deb)) <= released
    for rpm in rpms.values():
        times = out("rpm", "-qp", "--qf", "%{BUILDTIME}[ %{FILEMTIMES}]", rpm, text=True)
        assert max(map(int, times.split())) <= released
        assert out("rpm", "-qp", "--qf", "%{BUILDHOST}", rpm, text=True) == "reproducible"


def test_a_program_compiled_again_elsewhere_is_the_one_in_the_package(debs, tmp_path):
    """One stands for all: make check-reproducible makes all packages again, which takes minutes. The linker's
    build id is a hash of all that it has written, what debuggers read included."""
    program = "dcv-session-init"
    elsewhere = tmp_path / "in/another/folder"
    elsewhere.mkdir(parents=True)
    subprocess.run(["cp", "-R", TOP / "Makefile", TOP / "common", TOP / "agent", TOP / "packaging",
                    elsewhere], check=True)
    environment = {**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8",
                   "DEB_BUILD_MAINT_OPTIONS": "hardening=+all"}
    subprocess.run(["sh", "-c", f'umask 077; eval "$(dpkg-buildflags --export=sh)"; '
                    f"make -s -j2 OPTIMIZE= build/{program}"],
                   cwd=elsewhere, env=environment, check=True)
    subprocess.run(["dpkg-deb", "-x", debs["dcv-session-manager-agent-lite"], tmp_path / "unpacked"],
                   check=True)

    def build_id(path):
        return re.search(r"Build ID: (\w+)", out("readelf", "-n", path, text=True))[1]
    assert build_id(elsewhere / "build" / program) == \
        build_id(tmp_path / "unpacked/usr/libexec/dcv-session-manager" / program)


def test_all_that_the_keeper_is_exposed_to_is_explained_in_its_manual():
    findings = json.loads(out("systemd-analyze", "security", "--offline=true", "--json=short",
                              TOP / "packaging/systemd/dcv-session-keeper@.service"))
    manual = (TOP / "packaging/man/dcv-session-keeper.8.scd").read_text()
    section = manual[manual.index("# WHY IT HAS NO SANDBOX"):manual.index("*TasksMax=infinity*")]
    explained = {name for line in re.findall(r"^\*.*=.*$", section, re.M)
                 for name in re.findall(r"\w+=", line)}
    found = {name for finding in findings if not finding["set"]
             for name in re.findall(r"\w+=", finding["name"])}
    assert explained == found and len(found) > 20


@pytest.mark.parametrize("name", NAMES)
def test_manuals_are_set_without_a_warning(debs, name, tmp_path):
    subprocess.run(["dpkg-deb", "-x", debs[name], tmp_path], check=True)
    pages = sorted((tmp_path / "usr/share/man").rglob("*.gz"))
    assert pages
    for page in pages:
        said = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
                              capture_output=True, check=True)
        assert said.stderr == b"", page
