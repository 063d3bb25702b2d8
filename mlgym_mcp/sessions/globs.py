"""Matching paths against a glob, in time that no pattern can blow up."""

from fnmatch import fnmatchcase


def matches(pattern: str, path: str) -> bool:
    """Whether `path` matches: a pattern without `/` is for names, `**` is any number of folders."""
    wanted, parts = pattern.strip("/").split("/"), path.split("/")
    if len(wanted) == 1 and wanted[0] != "**":
        return fnmatchcase(parts[-1], wanted[0])
    reached = {0}
    for part in parts:
        reached = _advanced(wanted, _skipped(wanted, reached), part)
    return len(wanted) in _skipped(wanted, reached)


def _skipped(wanted: list[str], reached: set[int]) -> set[int]:
    """Positions reachable without a further part: `**` may stand for nothing."""
    found = set(reached)
    for start in sorted(reached):
        at = start
        while at < len(wanted) and wanted[at] == "**":
            at += 1
            found.add(at)
    return found


def _advanced(wanted: list[str], reached: set[int], part: str) -> set[int]:
    found: set[int] = set()
    for at in reached:
        if at < len(wanted) and wanted[at] == "**":
            found.add(at)
        elif at < len(wanted) and fnmatchcase(part, wanted[at]):
            found.add(at + 1)
    return found
