#!/usr/bin/env python3
"""Says in which order the daemon's functions are to be linked: those it touches side by side, so that few pages are mapped.

  nm -S PROGRAM | order.py find LIST     prints the names of PROGRAM's functions that LIST has, for the linker
  order.py record LIST --bin FOLDER      runs FOLDER's daemon under callgrind and writes LIST anew
  order.py add LIST --bin FOLDER         runs FOLDER's daemon, linked in the order of LIST, under perf and adds what is
                                         touched besides: what does not run under callgrind as it does without

LIST has a digest of each function's name, without what another compiler or another version of a crate writes into it.
A name that is not met any more costs nothing, and one that is missing a page or three. To be recorded are programs as
`package.sh programs` makes them. That needs Linux, git, valgrind and perf, and takes a minute: a home with sixty
repositories, a dev cloud, a first look and a restart, with all kinds of questions. What only workers do is left out.
"""

import argparse
import bisect
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Where the daemon cannot start a worker it examines itself, as it has to under valgrind.
OF_WORKERS = re.compile(r"gix|toml|quick_xml|saphyr|sync_scan\d*(7content|5rules)|6worker5serve")
LEFT_OUT = re.compile(r"'\d+$|\.llvm\.\d+$")
LEGACY_HASH = re.compile(r"17h[0-9a-f]{16}E")
CRATE_HASH = re.compile(r"Cs[0-9A-Za-z]+_")
# A system call that tells valgrind's own memory as the program's: EINVAL, and the program asks otherwise.
PRCTL, GET_AUXV, EINVAL = 157, 0x41555856, 22
PATIENCE_S = 180


def digest(name: str) -> str:
    plain = CRATE_HASH.sub("C", LEGACY_HASH.sub("E", LEFT_OUT.sub("", name)))
    return hashlib.sha256(plain.encode()).hexdigest()[:12]


def find(known: Path) -> None:
    order = {word: at for at, word in enumerate(known.read_text().split())}
    found = []
    for line in sys.stdin:
        parts = line.split()
        if len(parts) == 4 and parts[2] in "tTwW" and (at := order.get(digest(parts[3]))) is not None:
            found.append((at, parts[3]))
    print("\n".join(name for _, name in sorted(set(found))))


def record(known: Path, programs: Path) -> None:
    valgrind = [sys.executable, __file__, "tell-no-auxv", "valgrind", "--tool=callgrind", "--demangle=no"]
    names: dict[str, None] = {}
    for calls in lives(programs, lambda file: [*valgrind, f"--callgrind-out-file={file}"]):
        names.update(dict.fromkeys(called(calls)))
    digests = dict.fromkeys(digest(name) for name in names if not OF_WORKERS.search(name))
    known.write_text("\n".join(digests) + "\n")
    print(f"{len(digests)} functions", file=sys.stderr)


def add(known: Path, programs: Path) -> None:
    digests = dict.fromkeys(known.read_text().split())
    before = len(digests)
    functions = Functions(programs / "coditect-syncd")
    perf = ["perf", "record", "--quiet", "--event=page-faults", "--count=1", "--data"]
    for faults in lives(programs, lambda file: [*perf, f"--output={file}"]):
        for name in functions.faulted(faults):
            print(name, file=sys.stderr)
            digests.setdefault(digest(name))
    known.write_text("\n".join(digests) + "\n")
    print(f"{len(digests) - before} functions more", file=sys.stderr)


def lives(programs: Path, traced):
    """Two lives of the daemon, traced by a command that writes to a file."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder), programs)
        try:
            for life in range(2):
                file = Path(folder) / f"trace.{life}"
                scene.live(traced(file))
                yield file
        finally:
            scene.cloud.kill()
            scene.cloud.wait()


class Functions:
    """The functions of a program, by address."""

    def __init__(self, program: Path) -> None:
        self.all = []
        for line in subprocess.check_output(["nm", "-S", "-n", program], text=True).splitlines():
            parts = line.split()
            if len(parts) == 4 and parts[2] in "tTwW":
                self.all.append((int(parts[0], 16), parts[3]))
        segments = subprocess.check_output(["readelf", "-lW", program], text=True).splitlines()
        code = next(line.split() for line in segments if "LOAD" in line and "R E" in line)
        self.shift = int(code[2], 16) - int(code[1], 16)

    def faulted(self, faults: Path) -> list[str]:
        """Whose code was not mapped yet when it was run by the daemon itself."""
        told = subprocess.check_output(
            ["perf", "script", "-i", faults, "--show-mmap-events", "-F", "pid,ip,addr,event"], text=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        code, met = None, {}
        for line in told.splitlines():
            mapped = re.search(r"MMAP2? (\d+)/\d+: \[0x(\w+)\(0x(\w+)\) @ (\w+) .*r-xp .*coditect-syncd", line)
            if mapped:
                # The first is the daemon; its workers are other processes.
                code = code or (mapped[1], *(int(number, 16) for number in mapped.groups()[1:]))
                continue
            found = re.match(r"\s*(\d+)\s.*page-faults\S*\s+(\w+)", line)
            if code and found and found[1] == code[0]:
                at = int(found[2], 16)
                if code[1] <= at < code[1] + code[2]:
                    place = bisect.bisect_right(self.all, (at - code[1] + code[3] + self.shift, "~")) - 1
                    met[self.all[place][1]] = None
        return list(met)


def called(calls: Path) -> list[str]:
    """The functions in a file of callgrind's, as they were first met."""
    of_number: dict[str, str] = {}
    met: dict[str, None] = {}
    for line in calls.read_text(errors="replace").splitlines():
        if found := re.match(r"c?fn=\((\d+)\)(?: (.*))?$", line):
            number, name = found.groups()
            met[of_number.setdefault(number, name or "")] = None
    return list(met)


class Scene:
    """A home with projects, and a cloud."""

    def __init__(self, home: Path, programs: Path) -> None:
        self.home, self.programs = home, programs.resolve()
        self.environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self.roots = home / "PROJECTS"
        for number in range(60):
            root = self.roots / f"group-{number // 10}" / f"project-{number}"
            (root / "src").mkdir(parents=True)
            (root / "Cargo.toml").write_text(f'[package]\nname = "project-{number}"\n')
            (root / "src/main.rs").write_text("fn main() {}\n")
            self.git(root, "init", "--quiet")
            self.git(root, "add", ".")
            self.git(root, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "begin")
        self.cloud = subprocess.Popen(
            [self.programs / "coditect-devcloud", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
        )
        printed = self.cloud.stdout.readline()
        url = re.search(r"http://\S+?:\d+", printed)
        if not url:
            raise SystemExit(f"the dev cloud says: {printed}")
        printed = subprocess.check_output([self.programs / "coditect-devcloud", "--print-token"], text=True)
        configuration = home / ".coditect/config/config.json"
        configuration.parent.mkdir(parents=True)
        configuration.write_text(
            json.dumps({
                "cloud_sync": {"api_url": url[0], "auth_token": printed.split()[-1]},
                "sync_daemon": {"discovery": {"roots": [str(self.roots)]}},
            })
        )
        configuration.chmod(0o600)

    def git(self, root: Path, *words: str) -> None:
        subprocess.run(["git", "-C", root, *words], env=self.environment, check=True)

    def ask(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.programs / "coditect-sync", *words], env=self.environment, capture_output=True, text=True,
            timeout=PATIENCE_S,
        )

    def is_at_rest(self) -> bool:
        told = self.ask("status", "--json").stdout
        status = json.loads(told) if told else {}
        queue = status.get("queue", {})
        return bool(
            status.get("discovery", {}).get("last_scan")
            and queue["ready"] + queue["delayed"] + queue["in_flight"] == 0
            and status["projects"]["registered"] == status["projects"]["total"]
        )

    def live(self, traced: list[str]) -> None:
        """One life of the daemon under another program, with what tools and people do."""
        daemon = subprocess.Popen(
            [*traced, str(self.programs / "coditect-syncd")],
            env=self.environment | {"CODITECT_SYNC_DUMPABLE": "1"},
        )
        until(self.is_at_rest)
        project = self.roots / "group-1/project-13"
        for words in (
            ["status"], ["projects"], ["resolve", str(project / "src")], ["queue", "list"], ["doctor"], ["scan"],
            ["register", str(project)], ["inspect", str(project)], ["wait", "--for", "idle"],
        ):  # fmt: skip
            self.ask(*words)
        with (project / "src/main.rs").open("a") as source:
            source.write("// more\n")
        # Until it is at rest and looked at.
        time.sleep(5)
        until(self.is_at_rest)
        self.ask("stop")
        daemon.wait(PATIENCE_S)


def until(holds) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            raise SystemExit("the daemon does not come to rest")
        time.sleep(0.5)


def tell_no_auxv(command: list[str]) -> None:
    """Runs a command for which prctl(PR_GET_AUXV) does not exist (seccomp's filter, as BPF)."""
    import ctypes
    import struct

    load, jump_if, answer = 0x20, 0x15, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000 | EINVAL
    program = [
        (load, 0, 0, 0), (jump_if, 0, 3, PRCTL), (load, 0, 0, 16), (jump_if, 0, 1, GET_AUXV),
        (answer, 0, 0, refuse), (answer, 0, 0, allow),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    of = Filter(len(program), ctypes.cast(code, ctypes.c_void_p))
    no_new_privileges, set_seccomp, by_filter = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(set_seccomp, by_filter, ctypes.byref(of), 0, 0):
        raise SystemExit(f"no filter: {os.strerror(ctypes.get_errno())}")
    os.execvp(command[0], command)


def main() -> None:
    if sys.argv[1:2] == ["tell-no-auxv"]:
        return tell_no_auxv(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["find", "record", "add"])
    parser.add_argument("list", type=Path)
    parser.add_argument("--bin", type=Path, help="the folder of the programs")
    given = parser.parse_args()
    if given.what == "find":
        find(given.list)
    elif given.bin is None:
        parser.error("--bin is needed")
    elif given.what == "add":
        add(given.list, given.bin)
    else:
        record(given.list, given.bin)


if __name__ == "__main__":
    main()
