"""Step the environments, ask the policy in its player what to do, and add up the rewards.

States, chance and rewards stay here; the player sees observations and a key for its own chance.
Five checkpoints play five seeds' episodes each, all of one checkpoint at once. No checkpoint meets
an episode that an earlier one met, so that nothing is gained by remembering.

reward_mean: mean over all episodes of the undiscounted sum of rewards up to the episode's end or
`steps` steps, whichever is first. reward_deviation: the standard deviation of those sums.
checkpoint_deviation: the standard deviation of the five checkpoints' means.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import drawless  # noqa: F401 - before gymnax, which then starts sooner
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
from harness.arrays import Expected, ask
from harness.player import Player
from harness.setting import Setting
from harness.verdict import invalid

SEEDS = 5
LARGEST_ACTION = 1e3
"""Beyond it a number is no action, although every environment would cut it to its own bounds."""


def grade(
    submission: Path, private: Path, player: Player, seed: int, setting: Setting
) -> tuple[dict[str, float], dict[str, Any]]:
    """The mean return of five checkpoints."""
    rules = json.loads((private / "rules.json").read_text())
    names = checkpoints(submission / "checkpoints", rules["checkpoints"])
    arena = Arena(rules, setting.simulations)
    rehearse(player, arena, names)
    returns = []
    for number, name in enumerate(names):
        player.call("begin", name)
        returns.append(arena.play(player, seed, number))
    means = [float(each.mean()) for each in returns]
    every = np.concatenate(returns)
    metrics = {
        "reward_mean": float(every.mean()),
        "reward_deviation": float(every.std()),
        "checkpoint_deviation": float(np.std(means)),
    }
    details = {"episodes": every.size, "calls": player.calls, "checkpoint_means": means}
    return metrics, details


def rehearse(player: Player, arena: "Arena", names: list[str]) -> None:
    """Every checkpoint loads, and answers beginnings of episodes that are not scored."""
    with player.rehearsal():
        for name in names:
            player.call("begin", name)
            arena.begin(player)


def checkpoints(folder: Path, count: int) -> list[str]:
    """The names of that many files, in order; they are told apart, and never opened as more."""
    names, digests = [], {}
    for number in range(count):
        found = [
            name for name in (f"{number}.safetensors", f"{number}.npz") if (folder / name).is_file()
        ]
        if len(found) != 1:
            raise invalid(
                f"checkpoints/: expected one of {number}.safetensors and {number}.npz,"
                f" found {len(found)}"
            )
        names += found
        with (folder / found[0]).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
        first = digests.setdefault(digest, found[0])
        if first != found[0]:
            raise invalid(f"checkpoints/: {found[0]} and {first} are the same file")
    return names


class Arena:
    """All episodes of one checkpoint, side by side."""

    def __init__(self, rules: dict[str, Any], episodes: int) -> None:
        self._steps, self._actions = rules["steps"], rules["actions"]
        self._count = SEEDS * episodes
        env, params = gymnax.make(rules["environment"])

        @jax.jit
        def start(roots: jax.Array) -> tuple[Any, ...]:
            keys = jax.vmap(lambda root: jax.random.split(root, episodes))(roots).reshape(-1)
            observations, states = jax.vmap(env.reset, (0, None))(keys, params)
            return keys, states, observations.astype(jnp.float32)

        @jax.jit
        def step(
            keys: jax.Array, number: jax.Array, states: Any, actions: jax.Array, alive: jax.Array
        ) -> tuple[Any, ...]:
            fresh = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
            observations, states, rewards, ended, late, _ = jax.vmap(env.step, (0, 0, 0, None))(
                fresh, states, actions, params
            )
            rewards = jnp.where(alive, rewards, 0.0)
            alive = alive & ~ended & ~late
            return states, observations.astype(jnp.float32), rewards, alive

        self._start, self._step = start, step

    def begin(self, player: Player) -> None:
        """One question about new episodes, which nobody will see again."""
        chance = np.random.default_rng()
        roots, key = chance.integers(2**32, size=(SEEDS, 2), dtype="u4"), words(0, "rehearsal")
        self._ask(player, np.asarray(self._begun(roots)[2]), key)

    def play(self, player: Player, seed: int, number: int) -> np.ndarray:
        """The return of each episode of one checkpoint."""
        roots = np.stack([words(seed, "episodes", number, k) for k in range(SEEDS)])
        keys, states, observations = self._begun(roots)
        alive = jnp.ones(self._count, bool)
        returns = np.zeros(self._count)
        for moment in range(1, self._steps + 1):
            key = words(seed, "policy", number, moment)
            actions = self._ask(player, np.asarray(observations), key)
            states, observations, rewards, alive = self._step(keys, moment, states, actions, alive)
            returns += np.asarray(rewards)
            if not alive.any():
                break
        return returns

    def _begun(self, roots: np.ndarray) -> tuple[Any, ...]:
        return self._start(jax.random.wrap_key_data(jnp.asarray(roots)))

    def _ask(self, player: Player, observations: np.ndarray, key: np.ndarray) -> np.ndarray:
        if not self._actions:
            expected = Expected("float32", (self._count, 1))
            actions = ask(player, "act", observations, key, expected=expected)
            if np.abs(actions).max() > LARGEST_ACTION:
                few = f"answered numbers over {LARGEST_ACTION}"
                raise player.verdict("invalid", few, few)
            return actions
        expected = Expected("int32", (self._count,))
        actions = ask(player, "act", observations, key, expected=expected)
        if actions.min() < 0 or actions.max() >= self._actions:
            wanted = f"expected 0 to {self._actions - 1}"
            full = f"answered actions from {actions.min()} to {actions.max()}; {wanted}"
            raise player.verdict("invalid", f"answered other actions; {wanted}", full)
        return actions


def words(seed: int, *of: str | int) -> np.ndarray:
    """A key of 64 bits: who knows one, or sees what comes of it, cannot tell another."""
    digest = hashlib.sha256(repr((seed, *of)).encode()).digest()
    return np.frombuffer(digest[:8], "<u4")
