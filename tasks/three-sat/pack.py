"""Make the archive of SATLIB formulas that the full variant is made from, byte for byte.

    git clone https://github.com/HusamChekfa/ECE51216-Project
    git -C ECE51216-Project checkout afcdff662285b026845555dddee6cdab7cabbab1
    python pack.py ECE51216-Project/SAT MIRROR/sat/satlib_uniform_random_3sat.tar.xz

MIRROR is a folder of your choice; name it in MLGYM_MCP_MIRRORS.
"""

import hashlib
import io
import lzma
import sys
import tarfile
from pathlib import Path

SHA256 = "b5ab0e507dcfbb5c2f8ad694362baa573a21f7c8538bc7e50ea0e5b0a213ac0a"
CLAUSES = {20: 91, 50: 218, 75: 325, 100: 430, 125: 538}
CLAUSES |= {150: 645, 175: 753, 200: 860, 225: 960, 250: 1065}
FIRST = 100
"""So many of each family; one of the 1900 is not there."""


def names() -> list[str]:
    """The files in the order of the archive."""
    found: list[str] = []
    for size, clauses in CLAUSES.items():
        for kind in ("uf", "uuf") if size > 20 else ("uf",):
            family = f"{kind}{size}-{clauses}"
            found += [f"{family}/{kind}{size}-0{n}.cnf" for n in range(1, FIRST + 1)]
    return found


def packed(folder: Path) -> bytes:
    """The compressed archive of those files that are there."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in names():
            if (folder / name).is_file():
                content = (folder / name).read_bytes()
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return lzma.compress(plain.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def main() -> None:
    """Write the archive, if it is the pinned one."""
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    archive = packed(folder)
    digest = hashlib.sha256(archive).hexdigest()
    if digest != SHA256:
        sys.exit(f"{folder} gives an archive with sha256 {digest}; expected {SHA256}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(archive)
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
