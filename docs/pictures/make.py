"""Runs the programs in a terminal that is emulated, and draws what it shows as SVG.

What is drawn is what a terminal would show of the bytes the programs wrote, letter by letter; only the scratch home reads
as /home/ada. `make.sh` beside this file runs it.
"""

import argparse
import fcntl
import json
import os
import pty
import random
import re
import select
import shutil
import string
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request
from html import escape
from pathlib import Path

import pyte

SHOWN = "/home/ada"
PROJECTS = {
    "analytical-engine": ("Cargo.toml", '[package]\nname = "analytical-engine"\n', "src/main.rs"),
    "api": ("pyproject.toml", '[project]\nname = "api"\ndependencies = ["fastapi"]\n', "api/main.py"),
    "bernoulli": ("go.mod", "module example.invalid/bernoulli\n", "main.go"),
    "difference": ("Cargo.toml", '[package]\nname = "difference"\n', "src/lib.rs"),
    "jacquard-loom": ("package.json", '{"name": "jacquard-loom"}\n', "src/index.ts"),
    "notes": ("pyproject.toml", '[project]\nname = "notes"\n', "notes.py"),
    "web": ("package.json", '{"name": "web", "dependencies": {"next": "15.0.0"}}\n', "app/page.tsx"),
}
# Two backgrounds: what a colour of the terminal is on each.
DARK = {"back": "#16181d", "text": "#d8dce3", "faint": "#858c98", "red": "#f07178", "green": "#8ccf7e",
        "yellow": "#e5c07b", "blue": "#82aaff", "magenta": "#c792ea", "cyan": "#7fdbca", "bold": "#ffffff"}
LIGHT = {"back": "#fafafa", "text": "#30343b", "faint": "#71767f", "red": "#c02d36", "green": "#2f7d32",
         "yellow": "#8a6100", "blue": "#1f5fbf", "magenta": "#8b3fb0", "cyan": "#0f7a78", "bold": "#000000"}
BLOCKS = {chr(0x2580 + eighths): eighths for eighths in range(1, 9)}
WIDE, HIGH = 8.4, 18
# How many wait when the bar is taken: more than go in one request.
CARDS = 180


class Faint(pyte.Screen):
    """A screen that remembers what is faint; pyte knows no such attribute, so italics, which nothing here uses, stand for it."""

    def select_graphic_rendition(self, *attributes, **options):
        super().select_graphic_rendition(*(3 if code == 2 else code for code in attributes), **options)


class Terminal:
    """A terminal with one program in it."""

    def __init__(self, home, columns, lines):
        self.home, self.columns, self.lines = home, columns, lines
        self.screen = Faint(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.program = None

    def begins(self, *command):
        """Starts a program, after the prompt at which it was typed."""
        self.stream.feed(("$ " + " ".join([Path(command[0]).name, *command[1:]]) + "\r\n").encode())
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", self.lines, self.columns, 0, 0))
        env = {**self.home.environment, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self.program = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=env, close_fds=True,
                                        start_new_session=True, cwd=self.home.path)
        os.close(child)
        self.parent = parent

    def hears(self, seconds):
        """Takes in what is written for so long, or to the end of the program."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.parent], [], [], 0.05)[0]:
                try:
                    self.stream.feed(os.read(self.parent, 65536))
                except OSError:
                    return
            elif self.program.poll() is not None:
                return

    def settles(self):
        """Takes in what is being written, so that no picture is taken of half a one."""
        while select.select([self.parent], [], [], 0.2)[0]:
            self.hears(0.01)

    def until(self, words, seconds=30):
        end = time.monotonic() + seconds
        while not any(words in line for line in self.screen.display):
            if time.monotonic() > end:
                sys.exit(f"make.py: waited in vain for `{words}`:\n" + "\n".join(self.screen.display))
            self.hears(0.1)

    def types(self, keys):
        os.write(self.parent, keys.encode())

    def ends(self):
        self.program.terminate()
        self.program.wait()
        os.close(self.parent)


class Home:
    """A home with projects, and the daemon in it. Its path is as long as the one that is shown."""

    def __init__(self, programs):
        self.programs = programs
        self.path = Path(tempfile.gettempdir()) / "".join(random.choices(string.ascii_lowercase, k=4))
        if len(str(self.path)) != len(SHOWN):
            sys.exit("make.py: needs /tmp for temporary files, so that the scratch home's path is as long as the shown one")
        self.path.mkdir(mode=0o700)
        self.environment = {"HOME": str(self.path), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
        for name in PROJECTS:
            self.project("PROJECTS", name)
        (self.path / "work").mkdir()
        self.daemon = subprocess.Popen(
            [programs / "coditect-syncd", "--dev", "--root", self.path / "PROJECTS", "--root", self.path / "work"],
            env=self.environment, stderr=subprocess.DEVNULL)

    def project(self, folder, name):
        manifest, text, source = PROJECTS.get(name) or ("package.json", json.dumps({"name": name}), "index.js")
        root = self.path / folder / name
        (root / source).parent.mkdir(parents=True, exist_ok=True)
        (root / manifest).write_text(text)
        (root / source).write_text("\n" * 40)
        if folder == "work":
            return
        for command in (["init", "-q"], ["add", "."], ["-c", "user.name=ada", "-c", "user.email=a@example.invalid",
                                                      "commit", "-qm", "begin"]):
            subprocess.run(["git", "-C", root, *command], check=True, env=self.environment)

    def asks(self, *arguments):
        command = [self.programs / "coditect-sync", "--json", *arguments]
        ran = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, check=False)
        return json.loads(ran.stdout)

    def waits(self, what, condition, seconds=60):
        end = time.monotonic() + seconds
        while True:
            status = self.asks("status")
            if "queue" in status and condition(status):
                return status
            if time.monotonic() > end:
                sys.exit(f"make.py: waited in vain until {what}: {status}")
            time.sleep(0.1)

    def faults(self, *faults):
        url = self.asks("status")["cloud"]["api_url"] + "/_faults"
        rules = json.dumps([{"fault": fault} for fault in faults]).encode()
        request = urllib.request.Request(url, rules, {"Content-Type": "application/json"}, method="PUT")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(request).read()

    def ends(self):
        self.daemon.terminate()
        self.daemon.wait()
        shutil.rmtree(self.path)


def as_shown(line, path):
    """The line with the scratch home as it is shown, also where its beginning was cut off."""
    line = line.replace(path, SHOWN)
    for cut in range(1, len(path)):
        line = line.replace("…" + path[cut:] + "/", "…" + SHOWN[cut:] + "/")
    return line


def drawn(terminal, title):
    """The screen as SVG, without its empty lines at the end. It is dark, or light for those who like that."""
    screen = terminal.screen
    rows = []
    for y in range(terminal.lines):
        cells = [screen.buffer[y][x] for x in range(terminal.columns)]
        text = as_shown("".join(cell.data or "\0" for cell in cells), str(terminal.home.path))
        rows.append([(letter, cell) for letter, cell in zip(text, cells)])
    while rows and all(letter in " \0" for letter, _ in rows[-1]):
        rows.pop()
    width, height = terminal.columns * WIDE + 32, len(rows) * HIGH + 48
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
             f'height="{height:.0f}" role="img">', f"<title>{escape(title)}</title>", f"<style>{styles()}</style>",
             f'<rect class="back" width="{width:.0f}" height="{height:.0f}" rx="8"/>']
    parts += [f'<circle class="button" cx="{20 + 16 * n}" cy="17" r="5"/>' for n in range(3)]
    for y, row in enumerate(rows):
        parts += line(row, 38 + y * HIGH)
    return "\n".join(parts) + "\n</svg>\n"


def styles():
    def rules(colours):
        named = [f".{name}{{fill:{colour}}}" for name, colour in colours.items()]
        return "".join(named) + f".button{{fill:{colours['faint']};opacity:.4}}"

    base = "text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}"
    return f"{base}.bold{{font-weight:600}}{rules(DARK)}@media(prefers-color-scheme:light){{{rules(LIGHT)}}}"


def line(row, top):
    parts, at = [], 0
    while at < len(row):
        letter, cell = row[at]
        look = style(cell)
        if letter in BLOCKS:
            high = HIGH * BLOCKS[letter] / 8
            # As one shape where neighbours are alike, so that no seam is seen.
            end = at
            while end < len(row) and row[end][0] == letter and style(row[end][1]) == look:
                end += 1
            parts.append(f'<rect class="{look}" x="{16 + at * WIDE:.1f}" y="{top + HIGH - high:.1f}" '
                         f'width="{(end - at) * WIDE:.1f}" height="{high:.1f}"/>')
            at = end
            continue
        end, text = at, ""
        while end < len(row) and row[end][0] not in BLOCKS and style(row[end][1]) == look:
            text += row[end][0].replace("\0", " ")
            end += 1
        # What stands apart is drawn apart, so that nobody has to keep more than one space.
        for words in re.finditer(r"\S+( \S+)*", text):
            parts.append(f'<text class="{look}" x="{16 + (at + words.start()) * WIDE:.1f}" y="{top + 13.5:.1f}" '
                         f'textLength="{len(words[0]) * WIDE:.1f}" lengthAdjust="spacingAndGlyphs">{escape(words[0])}</text>')
        at = end
    return parts


def style(cell):
    colour = {"default": "text", "brown": "yellow"}.get(cell.fg, cell.fg)
    if cell.italics:
        colour = "faint"
    return "bold" if cell.bold and colour == "text" else colour + (" bold" if cell.bold else "")


def status(home, columns, lines):
    terminal = Terminal(home, columns, lines)
    terminal.begins(str(home.programs / "coditect-sync"), "status")
    terminal.hears(5)
    return terminal


def take(home, out, columns, lines, ending):
    """All pictures, of terminals of this size."""
    def draws(terminal, name, title):
        (out / f"{name}{ending}.svg").write_text(drawn(terminal, title), encoding="utf-8")

    home.faults()
    home.waits("all is registered", lambda status: status["queue"]["ready"] == 0 and status["projects"]["pending"] == 0
               and status["projects"]["registered"] >= len(PROJECTS))
    draws(status(home, columns, lines), "status", "coditect-sync status: all is well")
    projects = Terminal(home, columns, lines)
    projects.begins(str(home.programs / "coditect-sync"), "projects")
    projects.hears(5)
    draws(projects, "projects", "coditect-sync projects")

    top = Terminal(home, columns, lines)
    top.begins(str(home.programs / "coditect-sync"), "top")
    top.until("flush")
    top.hears(6)
    for wave, count in enumerate((3, 6, 2)):
        for number in range(count):
            home.project("work", f"card{ending}-{wave}{number}")
        top.hears(5)
    home.faults({"status": {"code": 503}})
    for number in range(9):
        home.project("work", f"engraving{ending}-{number}")
        top.hears(1.2)
    top.hears(6)
    draws(status(home, columns, lines), "status-offline", "coditect-sync status: the cloud cannot be reached")
    home.faults({"latency": {"ms": 150}})
    top.types("f")
    top.hears(4)
    top.settles()
    draws(top, "top", "coditect-sync top")
    top.types("q")
    top.hears(2)
    top.ends()

    home.waits("nothing waits", lambda status: status["queue"]["ready"] == 0 and status["queue"]["in_flight"] == 0)
    home.asks("pause")
    for number in range(CARDS):
        home.project("work", f"deck{ending}-{number:03}")
    home.waits("all wait", lambda status: status["queue"]["ready"] >= CARDS)
    bar = Terminal(home, columns, lines)
    bar.begins(str(home.programs / "coditect-sync"), "queue", "flush", "--wait")
    bar.until(f"0 of {CARDS}")
    home.faults({"latency": {"ms": 1500}})
    home.asks("resume")
    while f" 0 of {CARDS}" in (shown := "\n".join(bar.screen.display)):
        bar.hears(0.1)
    if "[=" not in shown:
        sys.exit(f"make.py: all was sent at once: {shown}")
    draws(bar, "flush", "coditect-sync queue flush --wait")
    home.faults()
    bar.hears(30)
    bar.ends()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="renew the pictures here")
    parser.add_argument("--look", type=Path, help="write pictures of all sizes here")
    arguments = parser.parse_args()
    sizes = [(80, 24, "")] if arguments.out else [(60, 20, "-60"), (80, 24, "-80"), (160, 45, "-160")]
    out = arguments.out or arguments.look
    out.mkdir(parents=True, exist_ok=True)
    home = Home(arguments.programs.resolve())
    try:
        home.waits("the daemon answers", lambda status: True)
        for columns, lines, ending in sizes:
            take(home, out, columns, lines, ending)
    finally:
        home.ends()


if __name__ == "__main__":
    main()
