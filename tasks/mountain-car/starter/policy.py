"""A policy of two small networks, and how the judge uses it: `load`, then `act` step by step.

The judge reads a checkpoint and hands its arrays to `load`. All else here serves training.
"""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp

Weights = dict[str, jax.Array]
SCALE = jnp.array([1.0, 15.0])
"""Brings the speed (at most 0.07) to order one, as the position is."""


class Policy:
    """What one checkpoint does."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights = weights
        self._choose = jax.jit(lambda w, o: jnp.clip(actor(w, o), -1, 1))

    def act(self, observations: Any, key: Any) -> Any:
        """One force, -1 to 1, for each observation: the mean, which needs no chance."""
        del key
        return self._choose(self._weights, observations)


def load(weights: dict[str, Any]) -> Policy:
    """The policy of a checkpoint's arrays."""
    return Policy(weights)


def initial(key: jax.Array, inputs: int, layers: tuple[int, ...]) -> Weights:
    """Orthogonal weights, small ones for the last layer of the actor."""
    weights: Weights = {"log_deviation": jnp.zeros(1)}
    for tower, outputs, last in (("actor", 1, 0.01), ("critic", 1, 1.0)):
        sizes = [inputs, *layers, outputs]
        for number, (rows, columns) in enumerate(pairwise(sizes)):
            key, fresh = jax.random.split(key)
            scale = 2**0.5 if number < len(layers) else last
            make = jax.nn.initializers.orthogonal(scale)
            weights[f"{tower}.{number}.w"] = make(fresh, (rows, columns))
            weights[f"{tower}.{number}.b"] = jnp.zeros(columns)
    return weights


def _tower(weights: Weights, name: str, observations: jax.Array) -> jax.Array:
    x = observations * SCALE
    count = sum(key.startswith(f"{name}.") for key in weights) // 2
    for number in range(count):
        x = x @ weights[f"{name}.{number}.w"] + weights[f"{name}.{number}.b"]
        if number < count - 1:
            x = jnp.tanh(x)
    return x


def actor(weights: Weights, observations: jax.Array) -> jax.Array:
    """(n, 2) -> (n, 1): the mean of the force."""
    return _tower(weights, "actor", observations)


def critic(weights: Weights, observations: jax.Array) -> jax.Array:
    """(n, 2) -> (n,): the return to come."""
    return _tower(weights, "critic", observations)[..., 0]


def sample(weights: Weights, outputs: jax.Array, key: jax.Array) -> jax.Array:
    """(n, 1) -> (n, 1): forces drawn from the normal distribution."""
    return outputs + jnp.exp(weights["log_deviation"]) * jax.random.normal(key, outputs.shape)


def log_chance(weights: Weights, outputs: jax.Array, actions: jax.Array) -> jax.Array:
    """(n, 1), (n, 1) -> (n,): the logarithm of the forces' density."""
    logs = weights["log_deviation"]
    distance = (actions - outputs) * jnp.exp(-logs)
    return (-0.5 * distance**2 - logs - 0.5 * jnp.log(2 * jnp.pi))[..., 0]


def spread(weights: Weights, outputs: jax.Array) -> jax.Array:
    """(n, 1) -> (n,): the entropy."""
    entropy = weights["log_deviation"] + 0.5 * jnp.log(2 * jnp.pi * jnp.e)
    return jnp.broadcast_to(entropy, outputs.shape)[..., 0]
