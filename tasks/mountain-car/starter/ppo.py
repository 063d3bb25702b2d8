"""Proximal policy optimisation (Schulman et al., 2017), the whole training compiled by JAX.

Each seed trains with many environments (`vmap`), and all updates of a chunk run in one `lax.scan`.
The seeds share what was compiled and run side by side in threads: on CPUs that is faster than one
program for all of them. Between chunks the progress is printed and the clock is looked at.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from policy import Weights, actor, critic, initial, log_chance, sample, spread
from safetensors.numpy import save_file

CHUNKS = 200
"""How often a training tells how far it is, and saves what it has."""


@dataclass(frozen=True)
class Settings:
    """One training; the defaults are common ones."""

    environment: str
    total_steps: int
    """Environment steps of each seed."""

    envs: int = 64
    steps: int = 32
    """Steps of each environment between two updates."""

    epochs: int = 4
    minibatches: int = 4
    rate: float = 5e-4
    final_rate: float = 5e-4
    """The learning rate goes from one to the other as the steps, or the time, come to an end."""

    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    entropy: float = 0.01
    value: float = 0.5
    max_norm: float = 0.5
    layers: tuple[int, ...] = (256, 256)
    reward_scale: float = 1.0
    """Rewards are multiplied by it while training, so that values are of order one."""

    @property
    def updates(self) -> int:
        """How often the weights are improved from fresh experience."""
        return max(1, self.total_steps // (self.envs * self.steps))


class Moment(NamedTuple):
    """One step of every environment, or with one more axis, many."""

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    done: jax.Array
    value: jax.Array
    log_chance: jax.Array


class Learner(NamedTuple):
    """Everything that changes while one seed trains."""

    weights: Weights
    optimiser: Any
    states: Any
    observations: jax.Array
    running: jax.Array
    """The return so far of each environment's episode."""

    key: jax.Array


class Training:
    """One seed's training as pure functions: `begin` makes a learner, `improve` updates it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.env, self.params = gymnax.make(settings.environment)
        self.optimiser = optax.chain(
            optax.clip_by_global_norm(settings.max_norm), optax.scale_by_adam(eps=1e-5)
        )

    def begin(self, key: jax.Array) -> Learner:
        """Fresh weights and fresh episodes."""
        key, for_weights, for_envs = jax.random.split(key, 3)
        keys = jax.random.split(for_envs, self.settings.envs)
        observations, states = jax.vmap(self.env.reset, (0, None))(keys, self.params)
        inputs = observations[0].size
        weights = initial(for_weights, inputs, self.settings.layers)
        running = jnp.zeros(self.settings.envs)
        return Learner(weights, self.optimiser.init(weights), states, observations, running, key)

    def improve(self, rate: jax.Array, learner: Learner, _: None) -> tuple[Learner, jax.Array]:
        """Collect experience, then climb; also the sum and number of finished returns."""
        learner, (batch, finished) = jax.lax.scan(self._step, learner, None, self.settings.steps)
        last = critic(learner.weights, learner.observations)
        advantages = self._advantages(batch, last)
        learner, _ = jax.lax.scan(
            partial(self._epoch, rate, batch, advantages), learner, None, self.settings.epochs
        )
        return learner, finished.sum(0)

    def _step(self, learner: Learner, _: None) -> tuple[Learner, tuple[Moment, jax.Array]]:
        key, for_actions, for_envs = jax.random.split(learner.key, 3)
        outputs = actor(learner.weights, learner.observations)
        actions = sample(learner.weights, outputs, for_actions)
        keys = jax.random.split(for_envs, self.settings.envs)
        observations, states, rewards, ended, late, _ = jax.vmap(self.env.step, (0, 0, 0, None))(
            keys, learner.states, actions, self.params
        )
        done = jnp.logical_or(ended, late)
        running = learner.running + rewards
        finished = jnp.array([(running * done).sum(), done.sum()])
        moment = Moment(
            learner.observations,
            actions,
            rewards * self.settings.reward_scale,
            done,
            critic(learner.weights, learner.observations),
            log_chance(learner.weights, outputs, actions),
        )
        after = learner._replace(
            states=states, observations=observations, running=running * (1 - done), key=key
        )
        return after, (moment, finished)

    def _advantages(self, batch: Moment, last: jax.Array) -> jax.Array:
        """Generalised advantage estimation (Schulman et al., 2016), from the end to the start."""

        def back(carry: tuple[jax.Array, jax.Array], moment: Moment) -> tuple[Any, jax.Array]:
            advantage, following = carry
            goes_on = self.settings.gamma * (1 - moment.done)
            error = moment.reward + goes_on * following - moment.value
            advantage = error + goes_on * self.settings.lam * advantage
            return (advantage, moment.value), advantage

        _, advantages = jax.lax.scan(back, (jnp.zeros_like(last), last), batch, reverse=True)
        return advantages

    def _epoch(
        self, rate: jax.Array, batch: Moment, advantages: jax.Array, learner: Learner, _: None
    ) -> tuple[Learner, None]:
        """See every moment once, in shuffled minibatches."""
        count = self.settings.envs * self.settings.steps
        key, for_order = jax.random.split(learner.key)
        order = jax.random.permutation(for_order, count).reshape(self.settings.minibatches, -1)
        flat = jax.tree.map(lambda x: x.reshape(count, *x.shape[2:]), (batch, advantages))

        def climb(carry: tuple[Weights, Any], chosen: jax.Array) -> tuple[Any, None]:
            weights, state = carry
            part = jax.tree.map(lambda x: x[chosen], flat)
            gradient = jax.grad(self._loss)(weights, *part)
            change, state = self.optimiser.update(gradient, state)
            weights = jax.tree.map(lambda old, way: old - rate * way, weights, change)
            return (weights, state), None

        carry = (learner.weights, learner.optimiser)
        (weights, state), _ = jax.lax.scan(climb, carry, order)
        return learner._replace(weights=weights, optimiser=state, key=key), None

    def _loss(self, weights: Weights, batch: Moment, advantages: jax.Array) -> jax.Array:
        clip = self.settings.clip
        outputs = actor(weights, batch.observation)
        ratio = jnp.exp(log_chance(weights, outputs, batch.action) - batch.log_chance)
        gain = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        surrogate = jnp.minimum(ratio * gain, jnp.clip(ratio, 1 - clip, 1 + clip) * gain)
        value = critic(weights, batch.observation)
        target = advantages + batch.value
        clipped = batch.value + jnp.clip(value - batch.value, -clip, clip)
        error = jnp.maximum((value - target) ** 2, (clipped - target) ** 2)
        return (
            -surrogate.mean()
            + self.settings.value * 0.5 * error.mean()
            - self.settings.entropy * spread(weights, outputs).mean()
        )


def train(
    settings: Settings, folder: Path, seeds: int = 5, seed: int = 0, seconds: float = 1500.0
) -> None:
    """Train all seeds, each in a thread, and write `folder`/<n>.safetensors now and then.

    It stops before `seconds` are over, compiling aside, with what it has learnt until then.
    """
    training = Training(settings)
    begin = jax.jit(training.begin)
    learners = [begin(key) for key in jax.random.split(jax.random.key(seed), seeds)]
    length = max(1, settings.updates // CHUNKS)
    chunks = -(-settings.updates // length)

    @partial(jax.jit, donate_argnums=0)
    def chunk(learner: Learner, rate: jax.Array) -> tuple[Learner, jax.Array]:
        improve = partial(training.improve, rate)
        learner, finished = jax.lax.scan(improve, learner, None, length)
        return learner, finished.sum(0)

    compiled = chunk.lower(learners[0], jnp.float32(0)).compile()
    started, took = time.monotonic(), 0.0
    size = length * settings.envs * settings.steps
    with ThreadPoolExecutor(seeds) as pool:
        for number in range(1, chunks + 1):
            done = min(1.0, max((number - 1) / chunks, took / seconds))
            rate = jnp.float32(settings.rate + done * (settings.final_rate - settings.rate))
            after = list(pool.map(compiled, learners, [rate] * seeds))
            learners = [learner for learner, _ in after]
            save(learners, folder)
            took = time.monotonic() - started
            means = [round(float(total / max(count, 1)), 2) for _, (total, count) in after]
            print(
                f"{number * size:>9} steps a seed, {took:6.0f} s,"
                f" {seeds * number * size / took:8.0f} steps/s, returns {means}",
                flush=True,
            )
            if took * (number + 1) / number > seconds:
                print(f"stopped after {took:.0f} s: time is over", flush=True)
                break


def save(learners: list[Learner], folder: Path) -> None:
    """Write the weights of every seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, learner in enumerate(learners):
        arrays = {name: np.asarray(x) for name, x in learner.weights.items()}
        save_file(arrays, folder / f"{index}.safetensors")
