"""Downloads the trainers' packages that trainers.txt pins and unpacks their Python files: fetch_trainers.py FOLDER

Without their dependencies, and several versions of one package side by side, so nothing is installed. The wheels hold
plain Python whatever their tags say; those for Linux and Python 3.11 are asked for, which every listed version has."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WHEELS = ["--only-binary=:all:", "--implementation=cp", "--python-version=3.11", "--abi=cp311", "--abi=none",
          "--platform=manylinux_2_35_x86_64", "--platform=manylinux1_x86_64", "--platform=any"]


def fetch(line, folder):
    name = line.split()[0].replace("==", "-")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        place = Path(place)
        (place / "wanted.txt").write_text(line + "\n")
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--require-hashes", *WHEELS, "--dest", place, "--requirement", place / "wanted.txt",
             *os.environ.get("PLUMB_PIP_ARGS", "").split()], check=True)
        (wheel,) = place.glob("*.whl")
        unpack(wheel, place / "unpacked")
        shutil.rmtree(folder / name, ignore_errors=True)
        (place / "unpacked").rename(folder / name)


def unpack(wheel, target):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            head, _, rest = member.partition(".data/purelib/")
            path = rest or head
            if path.endswith(".py"):
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                (target / path).write_bytes(archive.read(member))


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (Path(__file__).parent / "trainers.txt").read_text().splitlines()
    wanted = [line for line in wanted if line and not line.startswith("#")]
    for old in folder.iterdir():
        shutil.rmtree(old)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda line: fetch(line, folder), wanted))


main()
