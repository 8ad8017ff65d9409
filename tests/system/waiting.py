"""Waiting for what another process does."""

import time

PATIENCE_S = 60  # of a machine that does ten other things; who waits for what comes never notices


def wait_until(condition, patience_s=PATIENCE_S, what="the condition"):
    """Poll for what no descriptor tells of. Returns the condition's first true value."""
    deadline = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {patience_s} s")
        time.sleep(0.01)
