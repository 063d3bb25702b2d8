"""Names and an honest table that the attacks share."""

from mlgym_mcp.scoring import Scorer

GAME = "short-game"
SECONDS = 60.0
SEED = 1
"""Chance is drawn once: another seed is out of a tolerance now and then, rightly."""


async def honest_table(scorer: Scorer) -> bytes:
    """The same price for every test house: r2 near 0."""
    folders = await scorer.data(scorer.catalog.task("house-prices"), "mini")
    assert folders is not None
    lines = (folders.public / "test.csv").read_text().splitlines()[1:]
    rows = [f"{line.partition(',')[0]},180000.0" for line in lines]
    return "\n".join(["Id,SalePrice", *rows, ""]).encode()
