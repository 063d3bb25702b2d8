"""Proximal policy optimisation (Schulman et al., 2017), the whole training compiled by JAX.

Several seeds train at once (`vmap`), each with many environments (`vmap`), and all updates of a
chunk run in one `lax.scan`. Between chunks the progress is printed and the clock is looked at.
"""

import time
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
    """The learning rate goes from one to the other in a straight line."""

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
        total = settings.updates * settings.epochs * settings.minibatches
        rate = optax.linear_schedule(settings.rate, settings.final_rate, total)
        self.optimiser = optax.chain(
            optax.clip_by_global_norm(settings.max_norm), optax.adam(rate, eps=1e-5)
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

    def improve(self, learner: Learner, _: None) -> tuple[Learner, jax.Array]:
        """Collect experience, then climb; also the sum and number of finished returns."""
        learner, (batch, finished) = jax.lax.scan(self._step, learner, None, self.settings.steps)
        last = critic(learner.weights, learner.observations)
        advantages = self._advantages(batch, last)
        learner, _ = jax.lax.scan(
            partial(self._epoch, batch, advantages), learner, None, self.settings.epochs
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
        self, batch: Moment, advantages: jax.Array, learner: Learner, _: None
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
            return (optax.apply_updates(weights, change), state), None

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
    """Train all seeds at once, and write `folder`/<n>.safetensors now and then.

    It stops before `seconds` are over, compiling aside, with what it has learnt until then.
    """
    training = Training(settings)
    keys = jax.random.split(jax.random.key(seed), seeds)
    learners = jax.jit(jax.vmap(training.begin))(keys)
    length = max(1, settings.updates // CHUNKS)

    @partial(jax.jit, donate_argnums=0)
    def chunk(learners: Learner) -> tuple[Learner, jax.Array]:
        def one(learner: Learner) -> tuple[Learner, jax.Array]:
            learner, finished = jax.lax.scan(training.improve, learner, None, length)
            return learner, finished.sum(0)

        return jax.vmap(one)(learners)

    compiled = chunk.lower(learners).compile()
    started = time.monotonic()
    size = length * settings.envs * settings.steps
    for number in range(1, -(-settings.updates // length) + 1):
        learners, finished = compiled(learners)
        means = (finished[:, 0] / jnp.maximum(finished[:, 1], 1)).round(2).tolist()
        took = time.monotonic() - started
        save(learners.weights, folder, seeds)
        print(
            f"{number * size:>9} steps a seed, {took:6.0f} s,"
            f" {seeds * number * size / took:8.0f} steps/s, returns {means}",
            flush=True,
        )
        if took * (number + 1) / number > seconds:
            print(f"stopped after {took:.0f} s: time is over", flush=True)
            break


def save(weights: Weights, folder: Path, seeds: int) -> None:
    """Write the weights of every seed, which have one more axis than one seed's."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(seeds):
        arrays = {name: np.asarray(x[index]) for name, x in weights.items()}
        save_file(arrays, folder / f"{index}.safetensors")
