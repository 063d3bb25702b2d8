"""The judge's and the player's program inside their sandboxes: standard library, and numpy in `arrays`.

The server mounts this folder into fresh sandboxes and starts `judging` or `playing` there. A
judge author imports `harness.table`, `harness.verdict` and `harness.loading` from it.
"""
