"""How findings are shown: by `doctor` and by `tasks check`.

Above: those two. Below: the screen. It looks at nothing itself.
"""

from collections.abc import Sequence

from mlgym_mcp.cli.screen import show_json, show_table
from mlgym_mcp.types.finding import Finding


def show_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """A list of objects as JSON, or a table with each fix under its finding."""
    if as_json:
        show_json(list(findings))
        return
    rows: list[tuple[str, str, str]] = []
    for finding in findings:
        rows.append((finding.check, finding.state, finding.detail))
        if finding.fix and finding.state != "ok":
            rows.append(("", "", f"-> {finding.fix}"))
    show_table(("what", "state", "found"), rows)
