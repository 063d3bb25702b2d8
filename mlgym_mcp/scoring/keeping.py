"""Submissions in the store of artefacts: put there once, laid out for every grading.

Above: the scorer. Below: the copy-out and the artefacts. It blocks, so it runs in a thread.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

from mlgym_mcp.scoring.intake import is_file_name, take_out
from mlgym_mcp.scoring.scratch import disk_blamed
from mlgym_mcp.store import Artefacts
from mlgym_mcp.types.grade import Submission, SubmittedFile
from mlgym_mcp.types.task import SubmissionSpec


def locate(spec: SubmissionSpec, path: Path) -> tuple[Path, str]:
    """Where to start, and what to look for: the path is the submission, or a workspace with it."""
    whole = path.absolute()
    is_folder = whole.is_dir() and not whole.is_symlink()
    if is_folder and (is_file_name(spec) or (whole / spec.path).exists()):
        return whole, spec.path
    return whole.parent, whole.name


def keep(
    artefacts: Artefacts, spec: SubmissionSpec, root: Path, wanted: str, scratch: Path
) -> Submission:
    """Copy a submission out and into the artefacts; on the disk when this returns.

    Raises:
        SubmissionRejected: It cannot be taken.
        ServerError: The disk is full.
    """
    files: list[SubmittedFile] = []
    with disk_blamed(scratch):
        taken = take_out(root, wanted, spec, scratch)
    for one in taken:
        sha256, size = artefacts.put(one.copy)
        files.append(SubmittedFile(path=one.name, sha256=sha256, size=size))
    manifest = json.dumps([[f.path, f.size, f.sha256] for f in files])
    total = hashlib.sha256(manifest.encode()).hexdigest()
    return Submission(sha256=total, files=tuple(files), size=sum(f.size for f in files))


def lay_out(artefacts: Artefacts, submission: Submission, folder: Path) -> None:
    """Lay the stored files out under their names; sandboxes get the folder read-only.

    Raises:
        NotFound: A file is no longer in the store.
        ServerError: The disk is full.
    """
    with disk_blamed(folder):
        folder.mkdir()
        for file in submission.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            _place(artefacts.path(file.sha256), target)
        # Docker's sandboxes of a root server run under another user id, whatever the umask is here
        for inner in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            inner.chmod(0o755)


def _place(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
        target.chmod(0o444)
