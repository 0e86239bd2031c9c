"""What an instance may see and touch: its own view of the file system and its own unprivileged user.

Runs in the child of a launcher between fork and exec. As root, the child enters a private mount namespace in which the studio's
home, the shared temporary folders and every folder its own user could not pass through are covered by empty file systems, and
only what the instance needs is put back at its own path. Then it becomes a user that owns nothing else, for good.

Standard library only: launchers import this. Python 3.11 has no unshare() or mount(), hence ctypes.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import stat

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 23, 24, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
LAST_CAPABILITY = 63
SHARED_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
SOCKET_FOLDER = "/tmp/.server"
COVER_OPTIONS = b"mode=0755,size=1m"

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send us this signal when the process that started us ends. A change of user forgets it: call it after."""
    _prctl(PR_SET_PDEATHSIG, signal_number)


def enter_private_view(
    uid: int, visible: dict[str, bool], links: dict[str, str], hidden: list[str], socket_folder: str
) -> bool:
    """Leave only `visible` of what lies below `hidden`, and of folders that user `uid` cannot pass through.

    `visible` maps absolute paths to whether they may be written, `links` single links to their targets. `socket_folder`
    appears as `SOCKET_FOLDER`, since socket paths must be short. /tmp and its like become empty, the instance's own and
    counted as its memory. Everything else of the host keeps its permissions. Returns whether /proc could be reduced to the
    instance's own processes. Raises PermissionError where namespaces are not permitted; then nothing has changed.
    """
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWIPC), "unshare")
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    visible = {**visible, **{os.path.realpath(path): writable for path, writable in visible.items()}}
    covers = {os.path.realpath(path) for path in [*hidden, *SHARED_FOLDERS] if os.path.isdir(path)}
    covers |= {blocked for path in [*visible, *links] if (blocked := _first_impassable(path, uid))}
    sources = {path: os.open(path, os.O_PATH) for path in visible}
    visible[SOCKET_FOLDER] = True
    sources[SOCKET_FOLDER] = os.open(socket_folder, os.O_PATH)
    covered = []
    for path in sorted(covers | set(visible), key=lambda each: (len(each), each)):
        if path in covers and os.path.isdir(path):  # else a cover above it has hidden it already
            _mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, COVER_OPTIONS)
            covered.append(path)
        if path in visible:
            _show(sources[path], path, visible[path])
    for path, target in links.items():
        if not os.path.lexists(path):
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            os.symlink(target, path)
    for path in covered:
        _finish_cover(path)
    for descriptor in sources.values():
        os.close(descriptor)
    return _hide_other_processes()


def become(uid: int) -> None:
    """Turn into an unprivileged user for good: no groups, no capabilities, and no way to gain any by executing something."""
    for capability in range(LAST_CAPABILITY + 1):
        if _libc.prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            _prctl(PR_CAPBSET_DROP, capability)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def renounce_privileges() -> None:
    """What every instance gives up, whoever it runs as: set-uid programs, core dumps, files that others can read."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)


def reset_signals() -> None:
    """Give the program about to be executed the signals a fresh process has; Python ignores some and we block others."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def is_reachable(path: str, uid: int) -> bool:
    """Whether user `uid`, in no group of note, can get to a path without any private view."""
    return _first_impassable(path, uid) == "" and _first_impassable(os.path.realpath(path), uid) == ""


def interpreter_needs(python: str) -> tuple[list[str], dict[str, str]]:
    """What must be visible for an environment's interpreter to run: folders or files, and single links with their targets.

    A link chain may lead through folders that hold far more than Python (a home's bin); of those only the link is named.
    """
    paths: list[str] = []
    links: dict[str, str] = {}
    for start in (os.path.abspath(python), _base_interpreter(python)):
        path = start
        for _ in range(40):  # as many links as the kernel would follow
            prefix = os.path.dirname(os.path.dirname(path))
            if prefix != "/" and _is_installation(prefix):
                paths.append(prefix)
            elif os.path.islink(path):
                links[path] = os.readlink(path)
            elif os.path.exists(path):
                paths.append(path)
            if not os.path.islink(path):
                break
            path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    return list(dict.fromkeys(paths)), links


def _base_interpreter(python: str) -> str:
    """The interpreter a virtual environment was made from; `python` itself when it is in none."""
    prefix = os.path.dirname(os.path.dirname(os.path.abspath(python)))
    try:
        with open(os.path.join(prefix, "pyvenv.cfg")) as file:
            settings = dict(line.split("=", 1) for line in file if "=" in line)
    except FileNotFoundError:
        return os.path.abspath(python)
    home = {key.strip(): value.strip() for key, value in settings.items()}.get("home", os.path.dirname(python))
    return os.path.join(home, os.path.basename(os.path.realpath(python)))


def _is_installation(prefix: str) -> bool:
    if os.path.exists(os.path.join(prefix, "pyvenv.cfg")):
        return True
    library = os.path.join(prefix, "lib")
    names = os.listdir(library) if os.path.isdir(library) else []
    return any(name.startswith("python3") and os.path.exists(os.path.join(library, name, "os.py")) for name in names)


def _first_impassable(path: str, uid: int) -> str:
    """The topmost folder above `path` that others may not enter (resolved), or "". Folders the user owns are no obstacle."""
    current = ""
    for part in path.split("/")[1:-1]:
        current += "/" + part
        status = os.stat(current)
        if status.st_uid != uid and not status.st_mode & stat.S_IXOTH:
            return os.path.realpath(current)
    return ""


def _show(source: int, path: str, writable: bool) -> None:
    is_folder = stat.S_ISDIR(os.fstat(source).st_mode)
    if not os.path.lexists(path):
        os.makedirs(path if is_folder else os.path.dirname(path), mode=0o755, exist_ok=True)
        if not is_folder:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
    _bind(source, path)
    if not writable:
        _mount(None, path, None, MS_BIND | MS_REMOUNT | MS_RDONLY | _mount_flags(path))


def _bind(source: int, path: str) -> None:
    _mount(f"/proc/self/fd/{source}", path, None, MS_BIND | MS_REC)


def _finish_cover(path: str) -> None:
    """The shared scratch folders stay writable for this instance alone, all other covers become unchangeable."""
    if path in SHARED_FOLDERS:
        os.chmod(path, 0o1777)
        _mount(None, path, None, MS_REMOUNT | MS_NOSUID | MS_NODEV, b"size=25%")
    else:
        _mount(None, path, None, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)


def _hide_other_processes() -> bool:
    """Show an instance only itself in /proc. Containers may refuse that; what is in there keeps its permissions then."""
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    return _libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(flags), b"hidepid=2") == 0


def _mount_flags(path: str) -> int:
    """The flags a mount has and must keep when it is mounted again; a user namespace may not take them away."""
    have = os.statvfs(path).f_flag
    pairs = ((os.ST_NOSUID, MS_NOSUID), (os.ST_NODEV, MS_NODEV), (os.ST_NOEXEC, MS_NOEXEC))
    return sum(flag for bit, flag in pairs if have & bit)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: bytes | None = None) -> None:
    arguments = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), options), f"mount {target}")


def _prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
