"""`PostgresServer`: a PostgreSQL of one's own."""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.servers._finding import MissingServerError, postgres_programs
from tests.servers._process import Process, place, remove

#: For tests that never kill the server.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_SMALL = {"shared_buffers": "16MB", "max_connections": "100", "lc_messages": "C", "logging_collector": "off"}


class PostgresServer:
    """Listens on a socket in its folder and on no port; keeps its data over `kill` and `start`.

    Args:
        settings: of postgresql.conf, over small ones. Without any it keeps PostgreSQL's own promises; `FAST` gives them up.
    """

    def __init__(self, **settings: str) -> None:
        self.settings = _SMALL | settings
        self.folder: Path = place().new_folder("p")
        self._data = self.folder / "data"
        template = _template(place().folder)
        subprocess.run(["cp", "-a", str(template), str(self._data)], check=True)
        _give(self.folder)
        self._process: Process | None = None
        self.start()

    @property
    def url(self) -> str:
        """For clients."""
        return f"postgresql://postgres@/postgres?host={self.folder}"

    @property
    def process(self) -> Process:
        """The one that runs, or ran last."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start, or start again where it was."""
        settings = self.settings | {"unix_socket_directories": str(self.folder), "listen_addresses": ""}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(_programs(place().folder) / "postgres"), "-D", str(self._data), *words]
        self._process = Process(command, folder=self.folder, quick=signal.SIGQUIT, user=_user())
        if not self._process.log.wait_for("ready to accept connections") or not self._process.is_running:
            raise RuntimeError(f"{' '.join(command)} did not start:\n{self._process.log.tail()}")

    def kill(self) -> None:
        """kill -9 of the postmaster; its children see it and end."""
        self.process.end(signal.SIGKILL)

    def crash(self) -> None:
        """What `pg_ctl stop -m immediate` does: no checkpoint, recovery at the next start."""
        self.process.end(signal.SIGQUIT)

    def stop(self) -> None:
        """Shut down in order; open connections are ended."""
        self.process.end(signal.SIGINT)

    def restart(self) -> None:
        """Crash and come back."""
        self.crash()
        self.start()

    def close(self) -> None:
        """End it and delete what it kept."""
        self.process.end()
        remove(self.folder)


def _user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: whom it runs as then, as arguments of Popen."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise MissingServerError("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as: make one")


def _give(folder: Path) -> None:
    """Make the server's user the owner of a folder."""
    if user := _user():
        os.chown(folder, user["user"], user["group"])


@functools.cache
def _programs(root: Path) -> Path:
    """PostgreSQL's programs where its user may run them: a package's may lie in root's own folder."""
    found = postgres_programs()
    try:
        subprocess.run([str(found / "postgres"), "--version"], check=True, capture_output=True, cwd="/", **_user())
    except (OSError, subprocess.CalledProcessError):
        copied = root / "postgres"
        shutil.copytree(found.parent, copied, symlinks=True)
        subprocess.run(["chmod", "-R", "a+rX", str(copied)], check=True)
        return copied / "bin"
    return found


@functools.cache
def _template(root: Path) -> Path:
    """An empty cluster, made once and copied for every server."""
    folder = root / "template"
    folder.mkdir(mode=0o700)
    _give(folder)
    command = [str(_programs(root) / "initdb"), "-D", str(folder), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale"]
    done = subprocess.run([*command, "--no-sync"], capture_output=True, text=True, check=False, cwd=root, **_user())
    if done.returncode:
        raise MissingServerError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return folder
