"""A server process to be killed: opens a session for ann and does what its arguments say."""

import sys
from pathlib import Path

import anyio

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sessions import RunRequest, StartRequest, open_sessions

SLEEP = "echo half; echo kept > file; exec sleep 98765"

SLOW = """import time
print("playing", flush=True)
time.sleep(5)


def row_strategy(history):
    return 0
"""
"""So long that a grading is surely killed before it is over."""


def say(word: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def playing(home: Path) -> bool:
    """Whether a submission is loaded: its player does that when its judge asks for it."""

    def said() -> list[str]:
        return [log.read_text() for log in home.glob("grading/g-*/player/outputs/*.log")]

    return any("playing" in text for text in await anyio.to_thread.run_sync(said))


async def main(mode: str) -> None:
    """Serve until killed."""
    settings = Settings()
    async with open_sessions(settings) as sessions:
        opened = await sessions.start("ann", StartRequest(task="battle-of-sexes", variant="mini"))
        say(opened.session)
        if mode == "run":
            request = RunRequest(command=SLEEP, wait_seconds=1, request_id="long")
            await sessions.run("ann", opened.session, request)
        if mode == "grade":
            await sessions.create("ann", opened.session, "strategy.py", SLOW)
        if mode in ("submit", "grade"):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sessions.submit, "ann", opened.session, "once")
                while (await sessions.status("ann", opened.session)).state != "submitted":
                    await anyio.lowlevel.checkpoint()
                while mode == "grade" and not await playing(settings.home):
                    await anyio.lowlevel.checkpoint()
                say("there")
                await anyio.sleep_forever()
        say("there")
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
