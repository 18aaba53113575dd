#!/usr/bin/env python3
"""Says what is linked into the programs: a bill of materials in CycloneDX's format, and the licences' texts.

Asks cargo alone. What is needed for building only (build scripts, macros) and for tests is not linked and not named. The
same commit gives the same bytes: the time is that of SOURCE_DATE_EPOCH, the serial number is made from the content.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

try:
    import tomllib
except ImportError:  # before Python 3.11
    tomllib = None

NOTICES = re.compile(r"^(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)([-._].*)?$", re.IGNORECASE)
# What comes inside a crate as source of another project, with the file that has its version.
BUNDLED = {
    "libsqlite3-sys": ("SQLite", "sqlite3/sqlite3.h", r'#define SQLITE_VERSION\s+"([^"]+)"', "blessing", "https://sqlite.org"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, help="the platform, as cargo names it")
    parser.add_argument("--version", required=True, help="the version of the whole")
    parser.add_argument("--sbom", required=True, type=Path, help="where to write the bill of materials")
    parser.add_argument("--licences", required=True, type=Path, help="where to write the licences' texts")
    parser.add_argument("programs", nargs="+", help="the packages whose programs are handed out")
    args = parser.parse_args()

    metadata = asked(["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", args.target])
    packages = {package["id"]: package for package in metadata["packages"]}
    needs = linked(metadata, packages, args.programs, enabled(args))
    sums = checksums(Path(metadata["workspace_root"]) / "Cargo.lock")
    document = bill(packages, needs, sums, args)
    args.sbom.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    args.licences.write_text(texts(packages, needs), encoding="utf-8")
    print(f"{len(needs)} packages are linked in", file=sys.stderr)


def asked(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def enabled(args):
    """The names and versions that the programs' features bring; `cargo metadata` names what is merely possible too."""
    command = ["cargo", "tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    command += ["--target", args.target] + [f"--package={program}" for program in args.programs]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout.splitlines()
    return {tuple(line.split(" ")[:2]) for line in lines if line}


def linked(metadata, packages, programs, enabled):
    """What each linked package needs in its turn, by id, from the programs on."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    waiting = [package["id"] for package in packages.values() if package["name"] in programs and ours(package)]
    if len(waiting) != len(programs):
        sys.exit(f"linked.py: not all of these are packages here: {', '.join(programs)}")
    needs = {}
    while waiting:
        at = waiting.pop()
        if at in needs:
            continue
        of_programs = [dep["pkg"] for dep in nodes[at]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
        needs[at] = sorted(need for need in of_programs if title(packages[need]) in enabled)
        waiting += needs[at]
    return dict(sorted(needs.items(), key=lambda item: (packages[item[0]]["name"], packages[item[0]]["version"])))


def ours(package):
    return package["source"] is None


def title(package):
    return package["name"], f"v{package['version']}"


def checksums(lock):
    """The checksum of each package that cargo downloaded, by name and version."""
    text = lock.read_text(encoding="utf-8")
    if tomllib:
        found = tomllib.loads(text)["package"]
    else:
        found = [dict(re.findall(r'^(\w+) = "(.*)"$', part, re.MULTILINE)) for part in text.split("[[package]]")[1:]]
    return {(package["name"], package["version"]): package["checksum"] for package in found if "checksum" in package}


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def bill(packages, needs, sums, args):
    components = []
    graph = []
    for at, below in needs.items():
        package = packages[at]
        component = {
            "type": "application" if package["name"] in args.programs else "library",
            "bom-ref": reference(package),
            "name": package["name"],
            "version": package["version"],
            "description": " ".join((package["description"] or "").split()),
            "licenses": [{"expression": package["license"].replace("/", " OR ")}] if package["license"] else [],
            "purl": reference(package),
        }
        if (package["name"], package["version"]) in sums:
            component["hashes"] = [{"alg": "SHA-256", "content": sums[package["name"], package["version"]]}]
        if package["repository"]:
            component["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
        components.append(component)
        references = sorted({reference(packages[need]) for need in below})
        if package["name"] in BUNDLED:
            inside = bundled(package)
            components.append(inside)
            references.append(inside["bom-ref"])
            graph.append({"ref": inside["bom-ref"]})
        graph.append({"ref": reference(package), "dependsOn": references})
    whole = {
        "type": "application",
        "bom-ref": "coditect-sync",
        "name": "coditect-sync",
        "version": args.version,
        "licenses": [{"expression": "Apache-2.0 OR MIT"}],
    }
    programs = [reference(packages[at]) for at in needs if packages[at]["name"] in args.programs]
    graph.insert(0, {"ref": "coditect-sync", "dependsOn": sorted(programs)})
    when = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when)),
            "component": whole,
            "properties": [{"name": "coditect:target", "value": args.target}],
        },
        "components": components,
        "dependencies": graph,
    }
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
    return document


def bundled(package):
    name, file, pattern, licence, home = BUNDLED[package["name"]]
    text = (Path(package["manifest_path"]).parent / file).read_text(encoding="utf-8", errors="replace")
    version = re.search(pattern, text).group(1)
    return {
        "type": "library",
        "bom-ref": f"pkg:generic/{name.lower()}@{version}",
        "name": name,
        "version": version,
        "licenses": [{"license": {"id": licence}}],
        "purl": f"pkg:generic/{name.lower()}@{version}",
        "externalReferences": [{"type": "website", "url": home}],
    }


def texts(packages, needs):
    """The notices that licences ask to be kept, each once, after the packages that have it."""
    by_text = {}
    for at in needs:
        package = packages[at]
        if ours(package):
            continue
        folder = Path(package["manifest_path"]).parent
        notices = sorted(file for file in folder.iterdir() if file.is_file() and NOTICES.match(file.name))
        heading = f"{package['name']} {package['version']} ({package['license']})"
        for notice in notices:
            text = notice.read_text(encoding="utf-8", errors="replace").strip()
            by_text.setdefault(text, []).append(heading)
        if not notices:
            by_text.setdefault("No text comes with it; the licence is the one named above.", []).append(heading)
    parts = ["What is linked into the programs of coditect-sync, and on which terms.\n"]
    for text, headings in sorted(by_text.items(), key=lambda item: item[1]):
        parts.append("-" * 80 + "\n" + "\n".join(sorted(set(headings))) + "\n\n" + text + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
