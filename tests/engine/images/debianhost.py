"""A machine with a Debian archive, and programs that stand for apt and mmdebstrap."""

import os
from pathlib import Path

from pipelines.engine.images.packages.bootstrap import Bootstrap
from pipelines.engine.images.packages.debian import Debian
from pipelines.engine.images.packages.mirror import Mirror
from pipelines.engine.images.packages.programs import Programs
from pipelines.engine.images.reference import Reference

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCES = f"""\
Types: deb
# a mirror
URIs: http://mirror.test/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {KEYRING}

Types: deb
URIs: http://mirror.test/security
Suites: bookworm-security
Components: main
"""


def release(codename="bookworm", index="a" * 64, origin="Debian", date="11 Jul 2026 10:16:37"):
    return (
        f"Origin: {origin}\nCodename: {codename}\nVersion: 12.15\nDate: Sat, {date} UTC\n"
        f"MD5Sum:\n {'c' * 32} 1 main/binary-amd64/Packages\nSHA256:\n"
        f" {index} 100 main/binary-amd64/Packages\n {'b' * 64} 9 main/binary-amd64/Packages.xz\n"
        f" {'d' * 64} 9 contrib/binary-amd64/Packages\n"
    )


APT_GET = """#!/bin/sh
lists=$(sed -n 's/^Dir::State::Lists "\\(.*\\)";/\\1/p' "$3")
cp {top}/archive/* "$lists/"
"""
APT_CONFIG = """#!/bin/sh
case $1 in
shell) echo "list='{top}/none'"; echo "parts='{top}/sources/'";;
dump) echo 'Acquire::http::Proxy "http://proxy.test";'; echo 'Acquire::Languages "none";';;
esac
"""
MMDEBSTRAP = """#!/bin/sh
for word; do into=$sources; sources=$word; done
mkdir -p "$into/var/lib/apt/lists" "$into/etc/apt/sources.list.d" "$into/usr/sbin"
mkdir -p "$into/etc/apt/apt.conf.d" "$into/etc/dpkg/dpkg.cfg.d" "$into/usr/share/doc/x"
cp {top}/archive/* "$into/var/lib/apt/lists"
echo "$*" > "$into/said"
echo "$SOURCE_DATE_EPOCH" > "$into/epoch"
cp "$sources" "$into/used"
echo text > "$into/usr/share/doc/x/readme"
"""


# Says what it was asked for, in the order that the newest comes first.
APT_CACHE = """#!/bin/sh
shift 3
for name; do
  case $name in
  python3) echo " python3 | 3.11.2-1+b1 | http://mirror.test bookworm/main";;
  python3.11) echo "python3.11 | 3.11.2-6+deb12u6 | http://mirror.test bookworm/main"
    echo "python3.11 | 3.11.1-1 | http://mirror.test bookworm/main";;
  esac
done
"""


class Only(Programs):
    """Finds the programs of one directory, which themselves find the machine's."""

    def __init__(self, directory: Path) -> None:
        super().__init__(os.environ)
        self._found = Programs({"PATH": str(directory)})

    def find(self, name: str) -> str | None:
        return self._found.find(name)


class Host:
    """A machine with an archive, and programs that stand for apt and mmdebstrap."""

    def __init__(self, top: Path) -> None:
        self.top = top
        for name in ("bin", "archive", "sources"):
            (top / name).mkdir()
        (top / "sources/debian.sources").write_text(SOURCES)
        self.program("apt-get", APT_GET)
        self.program("apt-config", APT_CONFIG)
        self.program("apt-cache", APT_CACHE)
        self.program("mmdebstrap", MMDEBSTRAP)
        for name in ("bookworm", "bookworm-updates", "bookworm-security"):
            self.publish(name)

    def program(self, name: str, text: str) -> None:
        path = self.top / "bin" / name
        path.write_text(text.replace("{top}", str(self.top)))
        path.chmod(0o755)

    def publish(self, codename: str, **fields: str) -> None:
        (self.top / f"archive/x_{codename}_InRelease").write_text(release(codename, **fields))

    def debian(self) -> Debian:
        programs = Only(self.top / "bin")
        return Debian(Mirror(programs), Bootstrap(programs, (), single=False), self.top / "own")

    def pin(self, tag: str = "bookworm"):
        ref = Reference.parse(f"debian:{tag}")
        return self.debian().pin(ref, "linux/amd64").info(ref, "linux/amd64")
