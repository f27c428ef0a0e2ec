"""Cart and pole in four words: the float32 bits of position, velocity, angle and angular velocity.

The equations are those of Gymnasium's CartPole-v1 (Barto, Sutton and Anderson, "Neuronlike adaptive elements that can
solve difficult learning control problems", 1983), integrated by one Euler step of 0.02 s; where Gymnasium computes in
float64, this is float32. Sine and cosine are short polynomials, good to the last bit within the angles of a live game,
and no product is contracted with the addition that follows: so compiled, eager, alone or in a batch, a CPU gives the
same bits. Another device agrees within rounding.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits
from ..engine.game import Step, Symmetry
from ..engine.keys import Key
from ..engine.spec import GameSpec
from .labels import parse_label

LEFT, RIGHT = range(2)
POSITION_LIMIT = 2.4  # metres from the middle
ANGLE_LIMIT = 12 * math.pi / 180
_LABELS = ("left", "right")
_GRAVITY, _TIME_STEP, _FORCE = 9.8, 0.02, 10.0
_POLE_MASS, _TOTAL_MASS, _HALF_LENGTH = 0.1, 1.1, 0.5
_MOMENT = _POLE_MASS * _HALF_LENGTH
_START_STEP = 0.05 / (1 << 16)
_HUGE = np.float32(1e30)
# While a game lasts it crosses the track, or the angle between the limits, in no less than a step; and what a step
# beyond the limits can make of that.
_FASTEST, _FASTEST_SPIN = 250.0, 25.0  # metres and radians a second: 4.8 m and 24 degrees in 0.02 s, and a push
_MORE = 1.0  # by one more push
_FARTHEST, _LARGEST_ANGLE = POSITION_LIMIT + _FASTEST * _TIME_STEP, ANGLE_LIMIT + _FASTEST_SPIN * _TIME_STEP


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CartPoleState:
    """Bits of float32 numbers, since a state is words."""

    position: Array  # u32[], metres, to the right
    velocity: Array  # u32[], metres a second
    angle: Array  # u32[], radians from upright, to the right
    spin: Array  # u32[], radians a second


class CartPole:
    """One player pushes the cart left or right. Each push earns 1; the cart too far out or the pole too low ends it."""

    spec = GameSpec(
        env_id="cartpole",
        version="1.0.0",
        num_players=1,
        num_actions=2,
        observation_shape=(4,),
        observation_limit=0,
        max_steps=500,
        state_bytes=28,
        preferred_batch=65536,
        stochastic=True,
    )

    def init(self, key: Key) -> CartPoleState:
        """Each number uniform in (-0.05, 0.05): the middle of one of 65,536 equal parts, by half a random word each."""
        halves = (key[0] & 0xFFFF, key[0] >> 16, key[1] & 0xFFFF, key[1] >> 16)
        return CartPoleState(*(_to_word(_start(half)) for half in halves))

    def step(self, state: CartPoleState, action: Array, key: Key) -> Step[CartPoleState]:
        del key  # chance is in the start alone
        position, velocity = _to_float(state.position), _to_float(state.velocity)
        angle, spin = _to_float(state.angle), _to_float(state.spin)
        sine, cosine = _sine_and_cosine(angle)

        force = jnp.where(action == RIGHT, np.float32(_FORCE), np.float32(-_FORCE))
        pushed = _product(force + _product(_product(_product(spin, spin), sine), _MOMENT), 1 / _TOTAL_MASS)
        inertia = np.float32(_HALF_LENGTH * 4 / 3) - _product(
            _product(cosine, cosine), _HALF_LENGTH * _POLE_MASS / _TOTAL_MASS
        )
        turn = (_product(sine, _GRAVITY) - _product(cosine, pushed)) / inertia
        acceleration = pushed - _product(_product(turn, cosine), _MOMENT / _TOTAL_MASS)

        position = position + _product(velocity, _TIME_STEP)  # Euler's explicit step: all rates are those before it
        velocity = velocity + _product(acceleration, _TIME_STEP)
        angle = angle + _product(spin, _TIME_STEP)
        spin = spin + _product(turn, _TIME_STEP)
        fallen = (jnp.abs(position) > np.float32(POSITION_LIMIT)) | (jnp.abs(angle) > np.float32(ANGLE_LIMIT))
        after = CartPoleState(*(_to_word(number) for number in (position, velocity, angle, spin)))
        return Step(after, jnp.ones((1,), jnp.float32), fallen)

    def observe(self, state: CartPoleState, player: Array) -> Array:
        """f32[4]: position, velocity, angle, angular velocity."""
        del player
        return jnp.stack([_to_float(word) for word in (state.position, state.velocity, state.angle, state.spin)])

    def legal_words(self, state: CartPoleState) -> bits.Words:
        return (jnp.full_like(state.angle, 0b11),)

    def player(self, state: CartPoleState) -> Array:
        return (state.angle & 0).astype(jnp.int32)

    def invariants(self, state: CartPoleState) -> Mapping[str, Array]:
        """No comparison holds of what is not a number."""
        position, velocity, angle, spin = (jnp.abs(number) for number in self.observe(state, jnp.int32(0)))
        on_track, upright = position <= np.float32(POSITION_LIMIT), angle <= np.float32(ANGLE_LIMIT)
        more = jnp.where(on_track & upright, np.float32(0), np.float32(_MORE))
        return {
            "position: not a number, or farther out than a game goes": position <= np.float32(_FARTHEST + _MORE),
            "velocity: not a number, or faster than a game allows": velocity <= np.float32(_FASTEST) + more,
            "angle: not a number, or larger than a game goes": angle <= np.float32(_LARGEST_ANGLE + _MORE),
            "spin: not a number, or faster than a game allows": spin <= np.float32(_FASTEST_SPIN) + more,
            "meta: the game goes on though the cart is too far out": on_track,
            "meta: the game goes on though the pole is too low": upright,
        }

    def symmetries(self) -> Sequence[Symmetry[CartPoleState]]:
        """None that rearranges the observation: the mirror of left and right changes the signs of all four numbers."""
        return []

    def action_label(self, action: int) -> str:
        return _LABELS[action]

    def parse_action(self, text: str) -> int:
        return parse_label(_LABELS, text, "push")

    def draw(self, state: CartPoleState) -> str:
        position, _, angle, _ = (float(number) for number in self.observe(state, jnp.int32(0)))
        return _picture(position, angle)

    def text(self, state: CartPoleState) -> str:
        position, velocity, angle, spin = (float(number) for number in self.observe(state, jnp.int32(0)))
        degrees, turning = math.degrees(angle), math.degrees(spin)
        return f"cart {position:+.3f} m, {velocity:+.3f} m/s   pole {degrees:+.2f} degrees, {turning:+.2f} degrees/s"


def _to_float(word: Array) -> Array:
    return jax.lax.bitcast_convert_type(word, jnp.float32)


def _to_word(number: Array) -> Array:
    return jax.lax.bitcast_convert_type(number, jnp.uint32)


def _start(half: Array) -> Array:
    """f32[] from a number in 0..65535."""
    middle = 2 * half.astype(jnp.int32) - 0xFFFF
    return middle.astype(jnp.float32) * np.float32(_START_STEP)


def _product(a: Array, b: Array | float) -> Array:
    """a * b, rounded: a compiler cannot see that the bound is never met, and so does not fuse what is added to it."""
    return jnp.minimum(a * (np.float32(b) if isinstance(b, float) else b), _HUGE)


def _sine_and_cosine(angle: Array) -> tuple[Array, Array]:
    """Taylor's series: within 12 degrees what is left out is less than a quarter of the last bit."""
    square = _product(angle, angle)
    sine = _product(square, 1 / 120) - np.float32(1 / 6)
    cosine = np.float32(1 / 24) - _product(square, 1 / 720)
    cosine = _product(square, cosine) - np.float32(0.5)
    return angle + _product(_product(angle, square), sine), 1 + _product(square, cosine)


_SCALE, _WIDTH, _HEIGHT, _TRACK, _BAR = 80, 400, 200, 150, 32
_STYLE = (
    "<style>.field{fill:#fff}.track{stroke:#8a94a3;stroke-width:2}.cart{fill:#3b4350}.pole{stroke:#d55e00;"
    "stroke-width:9;stroke-linecap:round}.axle{fill:#fff}.button{fill:#eef1f5;stroke:#c5ccd6}"
    ".word{font:14px system-ui,sans-serif;text-anchor:middle;fill:#3b4350}.hit{fill:transparent;cursor:pointer}"
    "@media(prefers-color-scheme:dark){.field{fill:#12151a}.cart{fill:#8a94a3}.axle{fill:#12151a}.word{fill:#c3cad4}"
    ".button{fill:#262b33;stroke:#444c58}}</style>"
)


def _picture(position: float, angle: float) -> str:
    """An SVG: the track of five metres, the cart, the pole of one metre, and a button for each push."""
    x, y = _WIDTH / 2 + _SCALE * position, _TRACK - 20
    tip_x, tip_y = x + _SCALE * math.sin(angle), y - _SCALE * math.cos(angle)
    whole, half = _HEIGHT + _BAR, _WIDTH // 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {whole}" width="{_WIDTH}" height="{whole}" '
        f'role="img">{_STYLE}<rect class="field" width="{_WIDTH}" height="{_HEIGHT}"/>'
        f'<path class="track" d="M0 {_TRACK}H{_WIDTH}"/>'
        f'<rect class="cart" x="{x - 25:.1f}" y="{y}" width="50" height="20" rx="3"/>'
        f'<path class="pole" d="M{x:.1f} {y}L{tip_x:.1f} {tip_y:.1f}"/>'
        f'<circle class="axle" cx="{x:.1f}" cy="{y}" r="3"/>'
    ]
    for action, label in enumerate(_LABELS):
        place = f'x="{half * action + 1}" y="{_HEIGHT + 2}" width="{half - 2}" height="{_BAR - 4}" rx="4"'
        word = f'<text class="word" x="{half * action + half // 2}" y="{_HEIGHT + 21}">push {label}</text>'
        parts.append(f'<rect class="button" {place}/>{word}<rect class="hit" data-action="{action}" {place}/>')
    return "".join(parts) + "</svg>"
