"""What takes minutes is made once: one process makes it, others wait and then find it.

Does not know: what is made, nor whether it still has to be (look again once the wait is over).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from epkit.progress import progress


@contextmanager
def only_maker(target: Path, what: str) -> Iterator[None]:
    """Hold the making of `target`; another process or thread that holds it is waited for.

    The lock is a file beside the target and goes with its process, however that ends. Where none
    can be kept (a folder that is not writable, a file system without locks) nothing is waited for:
    two may then make the same, which costs time alone.

    Parameters
    ----------
    target : file or folder that is going to be made.
    what : its name in the line of progress shown while waiting.
    """
    lock = filelock.FileLock(target.with_name(f".{target.name}.lock"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, what)
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: filelock.BaseFileLock, what: str) -> None:
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        began = time.monotonic()
        with progress(None, "s", f"waiting for {what}, made by another process") as update:
            while not lock.is_locked:
                with suppress(filelock.Timeout):
                    lock.acquire(timeout=1)
                update(int(time.monotonic() - began))
