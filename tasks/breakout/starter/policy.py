"""A policy of two small networks, and how the judge uses it: `load`, then `act` step by step.

The judge reads a checkpoint and hands its arrays to `load`. All else here serves training.
"""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp

Weights = dict[str, jax.Array]
ACTIONS = 3


class Policy:
    """What one checkpoint does."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights = weights
        self._choose = jax.jit(lambda w, o, key: sample(w, actor(w, o), key))

    def act(self, observations: Any, key: Any) -> Any:
        """One action, 0 to 2, for each observation."""
        return self._choose(self._weights, observations, jax.random.wrap_key_data(key))


def load(weights: dict[str, Any]) -> Policy:
    """The policy of a checkpoint's arrays."""
    return Policy(weights)


def initial(key: jax.Array, inputs: int, layers: tuple[int, ...]) -> Weights:
    """Orthogonal weights, small ones for the last layer of the actor."""
    weights: Weights = {}
    for tower, outputs, last in (("actor", ACTIONS, 0.01), ("critic", 1, 1.0)):
        sizes = [inputs, *layers, outputs]
        for number, (rows, columns) in enumerate(pairwise(sizes)):
            key, fresh = jax.random.split(key)
            scale = 2**0.5 if number < len(layers) else last
            make = jax.nn.initializers.orthogonal(scale)
            weights[f"{tower}.{number}.w"] = make(fresh, (rows, columns))
            weights[f"{tower}.{number}.b"] = jnp.zeros(columns)
    return weights


def _tower(weights: Weights, name: str, observations: jax.Array) -> jax.Array:
    x = observations.reshape(*observations.shape[:-3], -1)
    count = sum(key.startswith(f"{name}.") for key in weights) // 2
    for number in range(count):
        x = x @ weights[f"{name}.{number}.w"] + weights[f"{name}.{number}.b"]
        if number < count - 1:
            x = jax.nn.relu(x)
    return x


def actor(weights: Weights, observations: jax.Array) -> jax.Array:
    """(n, 10, 10, 4) -> (n, 3): the logarithm of each action's weight."""
    return _tower(weights, "actor", observations)


def critic(weights: Weights, observations: jax.Array) -> jax.Array:
    """(n, 10, 10, 4) -> (n,): the return to come."""
    return _tower(weights, "critic", observations)[..., 0]


def sample(weights: Weights, outputs: jax.Array, key: jax.Array) -> jax.Array:
    """(n, 3) -> (n,): actions drawn from the categorical distribution."""
    del weights
    return jax.random.categorical(key, outputs)


def log_chance(weights: Weights, outputs: jax.Array, actions: jax.Array) -> jax.Array:
    """(n, 3), (n,) -> (n,): the logarithm of the actions' probabilities."""
    del weights
    return jnp.take_along_axis(jax.nn.log_softmax(outputs), actions[..., None], -1)[..., 0]


def spread(weights: Weights, outputs: jax.Array) -> jax.Array:
    """(n, 3) -> (n,): the entropy."""
    del weights
    logs = jax.nn.log_softmax(outputs)
    return -(jnp.exp(logs) * logs).sum(-1)
