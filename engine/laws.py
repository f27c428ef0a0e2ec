"""The laws of the Game contract: each is one small function that holds it against what random play has met.

A broken one raises `ConformanceError` with what was wrong, where, and what the contract asks. `LAWS` names them all.
"""

import collections
import dataclasses
import functools
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from . import bits, codec, keys, validation
from .game import ChanceGame, Game, HiddenInformationGame, State
from .random_play import ConformanceError, Sample, row_of, same, transitions, vmapped
from .transition import EngineState, legal_actions, observe, start, transition

_CLOSELY = 3  # states looked at one by one, by the laws which cannot take a batch
_PICTURES = 10  # states that are drawn
_DRAWS = 4096  # of chance, for its frequencies
_UNTYPICAL = "no such action\n"


def _live_states_have_moves(sample: Sample[State]) -> None:
    words, every = vmapped(sample.game.legal_words)(sample.live.game), bits.full(sample.game.spec.num_actions)
    sample.require_rows(np.any(words, axis=0), "legal actions", "a live state has no legal action")
    beyond = [np.asarray(word) & ~all_set for word, all_set in zip(words, every, strict=True)]
    sample.require_rows(~np.any(beyond, axis=0), "legal actions", "a bit is set beyond the last action")


def _players_take_turns(sample: Sample[State]) -> None:
    spec = sample.game.spec
    mover = np.asarray(vmapped(sample.game.player)(sample.live.game))
    known = (mover >= 0) & (mover < spec.num_players)
    sample.require_rows(known, "turns", f"player is not in 0..{spec.num_players - 1}")
    if spec.alternating:
        after = np.asarray(vmapped(sample.game.player)(sample.moved.state.game))
        in_turn = after == (mover + 1) % spec.num_players
        message = "the spec says alternating, but the turn does not go to the next player"
        sample.require_rows(in_turn | np.asarray(sample.moved.state.over), "turns", message)


def _rewards_are_fair(sample: Sample[State]) -> None:
    """Rewards are finite; between two players they sum to zero, and without chance a whole game's lie in [-1, 1].

    Search takes values to be in [-1, 1]; a game of cards may pay in chips.
    """
    reward = np.asarray(sample.moved.reward)
    sample.require_rows(np.isfinite(reward), "rewards", "a reward is not finite")
    if sample.game.spec.num_players == 2:
        sample.require_rows(np.abs(reward.sum(axis=1)) < 1e-6, "rewards", "the two rewards do not sum to zero")
    if sample.game.spec.num_players == 2 and not sample.game.spec.stochastic:
        largest = float(np.abs(sample.total_reward).max())
        sample.require(largest <= 1 + 1e-6, "rewards", f"a game paid {largest} in all, expected at most 1")


def _over_is_absorbing(sample: Sample[State]) -> None:
    game, width = sample.game, sample.game.spec.num_actions
    for action in {0, width - 1}:
        moved = transitions(game, sample.final, jnp.full((sample.num_games,), action, jnp.int32))
        flagged = moved.terminated | moved.truncated | moved.illegal
        still = same(moved.state, sample.final).all() and not flagged.any()
        sample.require(still, "absorption", f"action {action} changes a state that is over")
        sample.require((moved.reward == 0).all(), "absorption", f"action {action} pays in a state that is over")


def _illegal_actions_end(sample: Sample[State]) -> None:
    """The board stays, the mover loses, the others share the gain; so too for an action outside 0..A-1."""
    game, players = sample.game, sample.game.spec.num_players
    legal = _legal(game, sample.live)
    mover = np.asarray(vmapped(game.player)(sample.live.game))
    due = np.where(np.arange(players) == mover[:, None], -1.0, 1.0 / max(players - 1, 1))
    first_illegal = np.where(legal.all(axis=1), game.spec.num_actions, legal.argmin(axis=1))
    for actions in (first_illegal, np.full_like(first_illegal, -1), np.full_like(first_illegal, game.spec.num_actions)):
        moved = transitions(game, sample.live, jnp.asarray(actions, jnp.int32))
        over = np.asarray(moved.illegal & moved.terminated & moved.state.over & moved.state.over_by_illegal)
        sample.require_rows(over, "illegal actions", "an illegal action did not end the game as illegal")
        sample.require_rows(same(moved.state.game, sample.live.game), "illegal actions", "it changed the board")
        fair = np.isclose(np.asarray(moved.reward), due)
        sample.require_rows(fair, "illegal actions", "the mover's reward is not -1, or the others do not share 1")


def _compiled_equals_eager(sample: Sample[State]) -> None:
    compiled_once = jax.jit(functools.partial(_everything, sample.game))
    for row in sample.spread(_CLOSELY):
        state, action = row_of(sample.live, row), sample.actions[row]
        compiled = compiled_once(state, action)
        with jax.disable_jit():
            eager = _everything(sample.game, state, action)
        _require_equal(sample, compiled, eager, "compilation", f"state {row} differs with and without jit")


def _rows_are_independent(sample: Sample[State]) -> None:
    """A game in a batch goes as it goes alone."""
    one = jax.jit(functools.partial(_everything, sample.game))
    together = vmapped(functools.partial(_everything, sample.game))(sample.live, sample.actions)
    for row in sample.spread(_CLOSELY):
        alone = one(row_of(sample.live, row), sample.actions[row])
        _require_equal(sample, row_of(together, row), alone, "batching", f"state {row} differs in a batch and alone")


def _play_is_deterministic(sample: Sample[State]) -> None:
    again = transitions(sample.game, sample.live, sample.actions)
    _require_equal(sample, again, sample.moved, "determinism", "the same moves led to another result")
    roots = keys.root_keys(sample.seed, 2)
    begin = vmapped(functools.partial(start, sample.game))
    first, second = begin(roots), begin((roots[0][::-1], roots[1][::-1]))
    swapped = jax.tree.map(lambda leaf: leaf[::-1], second)
    _require_equal(sample, first, swapped, "determinism", "the start depends on more than the key")


def _symmetries_commute(sample: Sample[State]) -> None:
    """Mapping and moving give the same in either order, and the mapped state looks alike to its player."""
    game, spec = sample.game, sample.game.spec
    legal = _legal(game, sample.live)
    for number, symmetry in enumerate(game.symmetries()):
        name, image = f"symmetry {number}", np.asarray(symmetry.actions)
        permutes = sorted(image.tolist()) == list(range(spec.num_actions))
        sample.require(permutes, "symmetry", f"{name}: actions {symmetry.actions} are no permutation")
        mapped = dataclasses.replace(sample.live, game=vmapped(symmetry.state)(sample.live.game))
        legal_there = _legal(game, mapped)
        follows = legal_there[:, image] == legal
        sample.require_rows(follows, "symmetry", f"{name}: legal actions do not follow the state")
        here, there = _observed(game, sample.live), _observed(game, mapped)
        alike = _columns(here) == _columns(there)
        sample.require(alike, "symmetry", f"{name}: the mapped observation is no rearrangement of the observation")
        if spec.stochastic:  # the same random words fall otherwise on the mapped state
            continue
        moved = transitions(game, mapped, jnp.asarray(image, jnp.int32)[sample.actions])
        expected = dataclasses.replace(sample.moved.state, game=vmapped(symmetry.state)(sample.moved.state.game))
        sample.require_rows(same(moved.state, expected), "symmetry", f"{name}: mapping and moving do not commute")
        result = same((moved.reward, moved.terminated), (sample.moved.reward, sample.moved.terminated))
        sample.require_rows(result, "symmetry", f"{name}: the mapped game ends or pays otherwise")


def _labels_are_readable(sample: Sample[State]) -> None:
    """Whatever was legal has its own label, which reads back; nonsense is refused."""
    game = sample.game
    seen = np.flatnonzero(_legal(game, sample.live).any(axis=0)).tolist()
    labels = [game.action_label(action) for action in seen]
    sample.require(len(set(labels)) == len(labels), "labels", f"two actions share a label among {labels}")
    for action, label in zip(seen, labels, strict=True):
        back = game.parse_action(label)
        sample.require(back == action, "labels", f"action {action} is written {label!r}, which reads as {back}")
    try:
        found = game.parse_action(_UNTYPICAL)
    except ValueError:
        return
    sample.require(False, "labels", f"parse_action({_UNTYPICAL!r}) gave {found}, expected a ValueError")


def _pictures_are_clickable(sample: Sample[State]) -> None:
    """The picture is well-formed SVG without script; its clickable elements are actions, every legal one among them.

    Elements with data-from or data-to choose a move in two clicks; a game that has them is spared the second half.
    """
    for row in sample.spread(_PICTURES):
        state = row_of(sample.live, row)
        try:
            elements = list(ElementTree.fromstring(sample.game.draw(state.game)).iter())
        except ElementTree.ParseError as error:
            raise ConformanceError(sample.game.spec.env_id, "pictures", f"draw is not well-formed: {error}") from error
        sample.require(elements[0].tag.endswith("svg"), "pictures", f"draw is a {elements[0].tag}, expected an svg")
        script = [element for element in elements if element.tag.endswith("script")]
        sample.require(not script, "pictures", "draw holds a script")
        targets = {element.get("data-action") for element in elements} - {None}
        legal = set(map(str, np.flatnonzero(legal_actions(sample.game, state)).tolist()))
        strange = targets - set(map(str, range(sample.game.spec.num_actions)))
        sample.require(not strange, "pictures", f"data-action {sorted(map(str, strange))} are no actions")
        by_two_clicks = any(element.get("data-from") or element.get("data-to") for element in elements)
        missing = f"no element carries data-action for the legal {sorted(legal - targets)} in"
        clickable = by_two_clicks or legal <= targets
        sample.require(clickable, "pictures", f"{missing}\n{sample.game.text(state.game)}")
        sample.require(sample.game.text(state.game).strip(), "pictures", "text is empty")


def _bytes_round_trip(sample: Sample[State]) -> None:
    spec = sample.game.spec
    num = len(sample.actions)
    for claim, holds in validation.held(sample.game, sample.live).items():
        sample.require_rows(holds, "encodings", f"the game claims that a state of its own cannot be ({claim})")
    words = codec.pack_state(sample.live)
    data = codec.encode(spec, spec.encodings[0], words)
    sample.require(len(data) == num * spec.state_bytes, "encodings", f"a state takes {len(data) / num} bytes")
    back = codec.unpack_state(sample.game, codec.decode(spec, spec.encodings[0], data, num))
    _require_equal(sample, back, sample.live, "encodings", "a state differs after encode and decode")
    seen = np.asarray(_observed(sample.game, sample.live))
    for encoding in spec.encodings[2:]:
        try:
            data = codec.encode(spec, encoding, seen)
        except codec.CodecError as error:
            known = f"spec.observation_limit is {spec.observation_limit}"
            raise ConformanceError(spec.env_id, "encodings", f"{known}, but {error}") from error
        exact = np.array_equal(codec.decode(spec, encoding, data, num), seen)
        sample.require(exact, "encodings", f"an observation differs after {encoding}")


def _hidden_stays_hidden(sample: Sample[State]) -> None:
    """What a player sees, and may do in turn, does not change when what is hidden from that player changes.

    The hook: a game whose spec says `hidden_information` offers `redeal` (see `HiddenInformationGame`).
    """
    game = sample.game
    if not game.spec.hidden_information:
        return
    if not isinstance(game, HiddenInformationGame):
        raise ConformanceError(game.spec.env_id, "secrecy", "a game with hidden information must offer redeal")
    deals = keys.root_keys(sample.seed, len(sample.actions))
    states = sample.live.game
    mover = vmapped(game.player)(states)
    legal = vmapped(game.legal_words)(states)
    for player in range(game.spec.num_players):
        who = jnp.full(mover.shape, player, jnp.int32)
        other = vmapped(game.redeal)(states, who, deals)
        sample.require_rows(vmapped(game.player)(other) == mover, "secrecy", "a new deal changes whose turn it is")
        alike = same(vmapped(game.observe)(states, who), vmapped(game.observe)(other, who))
        sample.require_rows(alike, "secrecy", f"player {player}'s observation shows what is hidden from them")
        alike = same(vmapped(game.legal_words)(other), legal) | (np.asarray(mover) != player)
        sample.require_rows(alike, "secrecy", f"player {player}'s legal actions show what is hidden from them")


def _chance_can_be_listed(sample: Sample[State]) -> None:
    """`init` and `step` draw from the outcomes that the game lists, each as often as it says."""
    game, spec = sample.game, sample.game.spec
    if not spec.num_chance_outcomes:
        return
    if not isinstance(game, ChanceGame):
        raise ConformanceError(spec.env_id, "chance", "a game with num_chance_outcomes must be a ChanceGame")
    draws = keys.root_keys(sample.seed, _DRAWS)
    starts = game.start_outcomes()
    _require_frequencies(
        sample, "init", starts, vmapped(game.start)(jnp.arange(starts.shape[0])), vmapped(game.init)(draws)
    )
    listed = jax.jit(
        lambda after: (
            game.chance_outcomes(after),
            jax.vmap(lambda outcome: game.apply_chance(after, outcome))(jnp.arange(spec.num_chance_outcomes)),
        )
    )
    drawn = jax.jit(lambda state, action: jax.vmap(lambda key: game.step(state, action, key))(draws))
    for row in sample.spread(_CLOSELY):
        state, action = row_of(sample.live.game, row), sample.actions[row]
        chances, results = listed(game.afterstate(state, action))
        _require_frequencies(sample, f"step from state {row}", chances, results, drawn(state, action))


def _require_frequencies(sample: Sample[Any], what: str, chances: Array, results: Any, drawn: Any) -> None:
    """Each of `drawn` (K rows) is one of `results` (C rows), and each comes as often as `chances` (f32[C]) say."""
    expected = np.asarray(chances, np.float64)
    proper = (expected >= 0).all() and abs(expected.sum() - 1) < 1e-5
    sample.require(proper, "chance", f"{what}: the probabilities {expected} do not sum to 1")
    words = [_rows_as_bytes(tree) for tree in (results, drawn)]
    possible: dict[bytes, float] = {}  # different outcomes may lead to the same
    for result, chance in zip(words[0], expected, strict=True):
        possible[result] = possible.get(result, 0.0) + chance
    seen = collections.Counter(words[1])
    unlisted = [result for result in seen if possible.get(result, 0.0) == 0.0]
    sample.require(not unlisted, "chance", f"{what}: {len(unlisted)} results are drawn that are not listed as possible")
    for result, chance in possible.items():
        off, spread = seen[result] - _DRAWS * chance, math.sqrt(_DRAWS * chance * (1 - chance))
        message = f"{what}: a result of probability {chance:.4f} came {seen[result]} times in {_DRAWS}"
        sample.require(abs(off) <= 6 * spread + 2, "chance", message)


def _rows_as_bytes(tree: Any) -> list[bytes]:
    """Each row of a pytree's arrays as one string of bytes."""
    flat = [np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(tree)]
    return [b"".join(leaf[row].tobytes() for leaf in flat) for row in range(len(flat[0]))]


def _everything(game: Game[State], state: EngineState[State], action: Array) -> Any:
    """All a game says of one state and one move."""
    seen = [game.observe(state.game, jnp.int32(player)) for player in range(game.spec.num_players)]
    return transition(game, state, action), seen, game.legal_words(state.game), game.player(state.game)


@functools.partial(jax.jit, static_argnums=0)
def _observed(game: Game[State], states: EngineState[State]) -> Array:
    return jax.vmap(functools.partial(observe, game))(states)


def _legal(game: Game[State], states: EngineState[State]) -> np.ndarray:
    """bool[N, A]."""
    return np.asarray(_legal_actions(game, states))


@functools.partial(jax.jit, static_argnums=0)
def _legal_actions(game: Game[State], states: EngineState[State]) -> Array:
    return jax.vmap(functools.partial(legal_actions, game))(states)


def _require_equal(sample: Sample[Any], a: Any, b: Any, law: str, message: str) -> None:
    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True):
        sample.require(np.array_equal(x, y), law, f"{message}, at {jax.tree_util.keystr(path)}: {x} and {y}")


def _columns(observations: Array) -> list[bytes]:
    """Each element's values over all states, in an order that does not depend on where the element stands."""
    return sorted(column.tobytes() for column in np.asarray(observations).reshape(len(observations), -1).T)


LAWS: dict[str, Callable[[Sample[Any]], None]] = {
    "legal actions": _live_states_have_moves,
    "turns": _players_take_turns,
    "rewards": _rewards_are_fair,
    "absorption": _over_is_absorbing,
    "illegal actions": _illegal_actions_end,
    "compilation": _compiled_equals_eager,
    "batching": _rows_are_independent,
    "determinism": _play_is_deterministic,
    "symmetry": _symmetries_commute,
    "labels": _labels_are_readable,
    "pictures": _pictures_are_clickable,
    "encodings": _bytes_round_trip,
    "secrecy": _hidden_stays_hidden,
    "chance": _chance_can_be_listed,
}
