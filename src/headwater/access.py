"""Whether this user may use a file or folder, and why not, for error texts."""

from __future__ import annotations

import os
from pathlib import Path


def refusal(path: Path, needed: int = os.R_OK | os.W_OK) -> str | None:
    """Return why the system lets this user not use a file or folder; None if it does.

    The reason may be a folder above it that this user may not search, or, if there is nothing at `path`, the folder in
    which it would have to be made.

    Args:
        path: the file or folder. It may be missing.
        needed: what the user must be allowed to do with it, as for `os.access`.
    """
    found = _nearest(path.absolute())
    needed = needed if found == path.absolute() else os.W_OK | os.X_OK
    if os.access(found, needed, effective_ids=os.access in os.supports_effective_ids):
        return None
    if needed & os.W_OK and os.statvfs(found).f_flag & os.ST_RDONLY:
        return f"{found} is on a file system that is mounted read-only"
    status, user = found.stat(), os.geteuid()
    mode = f"mode {status.st_mode & 0o7777:04o}"
    if status.st_uid == user:
        return f"{found} has {mode}, which does not allow it even to its owner; change it with chmod"
    owner = _name(status.st_uid)
    return (
        f"{found} belongs to {owner} ({mode}), and this process runs as {_name(user)}; run it as {owner}, or change "
        f"the owner or the mode with chown or chmod"
    )


def is_folder(path: Path) -> bool:
    """Return whether there is a folder that this user can reach."""
    try:
        return path.is_dir()
    except OSError:
        return False  # this user may not look


def _nearest(path: Path) -> Path:
    """Return a path, or the last folder on the way to it that this user can reach."""
    found = Path(path.anchor)
    for each in (*reversed(path.parents), path):
        try:
            each.stat()
        except OSError:
            return found
        found = each
    return path


def _name(user: int) -> str:
    import pwd

    try:
        return f"user {pwd.getpwuid(user).pw_name} ({user})"
    except KeyError:
        return f"user {user}"
