"""What the benchmarks have in common: where things are, what a process has used, and the table in Markdown."""

import contextlib
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DCV_BUILD", ROOT / "build")).resolve()
os.environ["DCV_BUILD"] = str(BUILD)
sys.path.insert(0, str(ROOT / "tests/system"))  # whose helpers can be imported after these


def row(what, against, measured, goal):
    print(f"| {what} | {against} | {measured} | {goal} |", flush=True)


def begin_table(rounds):
    row("what", "against", f"measured, {rounds} rounds", "goal")
    row("---", "---", "---", "---")


def left_out(what, why):
    print(f"left out: {what} ({why})", file=sys.stderr, flush=True)


def ratio(value):
    return f"{value:.2f}×"


def family(process):
    """It and its children, as folders of /proc."""
    own = pathlib.Path(f"/proc/{process.pid}")
    children = (own / f"task/{process.pid}/children").read_text().split()
    return [own, *(own.with_name(child) for child in children)]


def cpu_s(process):
    """What its family has used so far; of those that are still there."""
    return sum(int((task / "schedstat").read_text().split()[0])
               for member in family(process) for task in (member / "task").iterdir()) / 1e9


def pss_kb(process):
    """Memory of its family, shared pages in proportion."""
    return sum(int(line.split()[1]) for member in family(process)
               for line in (member / "smaps_rollup").read_text().splitlines()
               if line.startswith("Pss:"))


@contextlib.contextmanager
def ended(process):
    """Whatever becomes of us, it ends with us."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def make_certificate(folder):
    """certificate.pem and key.pem, of a server at localhost."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-keyout", folder / "key.pem", "-out",
         folder / "certificate.pem"], check=True, capture_output=True)
