#!/usr/bin/env python3
"""Prints every crate that the plaudit binary is made of, its licence, and the licences' texts, each once."""

import hashlib
import json
import subprocess
from pathlib import Path

NAMES = ("license", "licence", "copying", "notice", "copyright", "unlicense")


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, capture_output=True, text=True).stdout


def main():
    tree = cargo("tree", "--locked", "--package", "plaudit", "--edges", "normal", "--prefix", "none", "--format", "{p}")
    used = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    packages = json.loads(cargo("metadata", "--locked", "--format-version", "1"))["packages"]
    packages = [package for package in packages if (package["name"], "v" + package["version"]) in used and package["source"]]
    texts = {}
    print("The plaudit binary is made of these crates:\n")
    for package in sorted(packages, key=lambda package: package["name"]):
        print(f"{package['name']} {package['version']}  {package['license']}  {package['repository'] or ''}".rstrip())
        for path in sorted(Path(package["manifest_path"]).parent.iterdir()):
            if path.is_file() and path.name.lower().startswith(NAMES):
                text = path.read_text(errors="replace").strip()
                names = texts.setdefault(hashlib.sha256(text.encode()).digest(), (text, []))[1]
                names.append(package["name"])
    for text, names in sorted(texts.values(), key=lambda entry: entry[1]):
        print(f"\n{'=' * 100}\n{', '.join(sorted(set(names)))}\n{'=' * 100}\n\n{text}")


main()
