"""Seaquest in plain Python, written from docs/rules/seaquest.md alone.

It is slow and simple on purpose: the games of the project are compared with it. The events of a step stand
in the order of the rules, one method for each.
"""

from typing import Any

import numpy as np

SIZE = 10
LANES = 8
FULL_OXYGEN = 160
OXYGEN_PER_LIGHT = 16
MOST_ABOARD = 6
HIGHEST_LEVEL = 8

LEFT, UP, RIGHT, DOWN, FIRE = 1, 2, 3, 4, 5  # 0 is to wait

Cell = tuple[int, int]


def moved(cells: set[Cell], columns: int) -> set[Cell]:
    """The cells after a move by so many columns, without those that have left the board."""
    return {(row, column + columns) for row, column in cells if 0 <= column + columns < SIZE}


class SeaquestReference:
    """One game of Seaquest; chance is handed in from outside."""

    def __init__(self) -> None:
        """A game at its start."""
        self.reset()

    def reset(self) -> None:
        """The start."""
        self.row = 0
        self.column = 5
        self.facing_right = True
        self.oxygen = FULL_OXYGEN
        self.aboard = 0
        self.level = 0
        self.reload = 0
        self.swim = 4
        self.clock = 0
        self.swims_right = [True] * LANES  # lane 1 first
        self.fish: set[Cell] = set()
        self.submarines: set[Cell] = set()
        self.enemy_bullets: set[Cell] = set()
        self.divers: set[Cell] = set()
        self.bullets_right: set[Cell] = set()
        self.bullets_left: set[Cell] = set()
        self.over = False
        self.reward = 0

    def step(
        self, action: int, enemy: tuple[int, bool, bool] | None, diver: tuple[int, bool] | None
    ) -> tuple[float, bool]:
        """Play an action; `enemy` and `diver` are the arrivals. Gives (reward, terminated)."""
        self.reward = 0
        row_before = self.row
        self._act(action)
        self._use_air(row_before)
        self._collide()
        self._own_bullets_fly()
        self._enemies_swim()
        self._enemies_fire()
        self._collide()
        self._divers_swim()
        self._count()
        if not self.over:
            if enemy is not None:
                self._enemy_arrives(*enemy)
            if diver is not None:
                self._diver_arrives(*diver)
        return float(self.reward), self.over

    def enemy_probability(self) -> float:
        """The probability that an enemy arrives at the end of the step made last."""
        if self.over:
            return 0.0
        return (3 + self.level) / 64

    def state(self) -> dict[str, Any]:
        """All there is to know about the position."""
        return {
            "row": self.row,
            "column": self.column,
            "facing_right": self.facing_right,
            "oxygen": self.oxygen,
            "aboard": self.aboard,
            "level": self.level,
            "reload": self.reload,
            "swim": self.swim,
            "clock": self.clock,
            "swims_right": list(self.swims_right),
            "fish": sorted(self.fish),
            "submarines": sorted(self.submarines),
            "enemy_bullets": sorted(self.enemy_bullets),
            "divers": sorted(self.divers),
            "bullets_right": sorted(self.bullets_right),
            "bullets_left": sorted(self.bullets_left),
        }

    def observation(self) -> np.ndarray:
        """The ten planes, float32[row, column, plane]."""
        gauge_row = SIZE - 1
        planes: list[set[Cell]] = [
            {self._front()},
            {self._back()},
            self.bullets_right | self.bullets_left,
            self._trails(),
            self.enemy_bullets,
            self.fish,
            self.submarines,
            {(gauge_row, column) for column in range(self._lit_cells())},
            {(gauge_row, column) for column in range(SIZE - self.aboard, SIZE)},
            self.divers,
        ]
        result = np.zeros((SIZE, SIZE, len(planes)), dtype=np.float32)
        for plane, cells in enumerate(planes):
            for row, column in cells:
                result[row, column, plane] = 1
        return result

    # The events of a step.

    def _act(self, action: int) -> None:
        """Event 1: the submarine acts."""
        if action == LEFT:
            self.column = max(self.column - 1, 0)
            self.facing_right = False
        elif action == RIGHT:
            self.column = min(self.column + 1, SIZE - 1)
            self.facing_right = True
        elif action == UP:
            self.row = max(self.row - 1, 0)
        elif action == DOWN:
            self.row = min(self.row + 1, LANES)
        elif action == FIRE and self.row >= 1 and self.reload == 0:
            if self.facing_right:
                self.bullets_right.add(self._front())
            else:
                self.bullets_left.add(self._front())
            self.reload = 5

    def _use_air(self, row_before: int) -> None:
        """Event 2: air is refilled at the surface and used below it."""
        if row_before == 1 and self.row == 0:
            self._surface()
        elif self.row >= 1:
            self.oxygen -= 1
            if self.oxygen == 0:
                self.over = True

    def _surface(self) -> None:
        """The submarine comes up: divers leave it, the game grows harder, the air is refilled."""
        if self.aboard == 0:
            self.over = True
        elif self.aboard == MOST_ABOARD:
            self.reward += self._lit_cells()
            self.aboard = 0
        else:
            self.aboard -= 1
        self.level = min(self.level + 1, HIGHEST_LEVEL)
        self.oxygen = FULL_OXYGEN

    def _collide(self) -> None:
        """Events 3 and 7: an enemy or an enemy bullet on a cell of the submarine ends the game."""
        dangers = self.fish | self.submarines | self.enemy_bullets
        if self._front() in dangers or self._back() in dangers:
            self.over = True

    def _own_bullets_fly(self) -> None:
        """Event 4: own bullets move, then hits are counted."""
        self.bullets_right = moved(self.bullets_right, 1)
        self.bullets_left = moved(self.bullets_left, -1)
        self._count_hits()

    def _count_hits(self) -> None:
        """Remove enemies that share a cell with own bullets, and these bullets; each such enemy is a reward of 1."""
        enemies = self.fish | self.submarines
        struck = enemies & (self.bullets_right | self.bullets_left)
        self.reward += len(struck)
        self.fish -= struck
        self.submarines -= struck
        self.bullets_right -= struck
        self.bullets_left -= struck

    def _enemies_swim(self) -> None:
        """Event 5: all enemies swim when the counter has run out; hits are counted in either case."""
        if self.swim == 0:
            self.fish = self._swum(self.fish)
            self.submarines = self._swum(self.submarines)
            self.swim = 4 - self.level // 2
        else:
            self.swim -= 1
        self._count_hits()

    def _enemies_fire(self) -> None:
        """Event 6: the enemy submarines of one lane fire, then all enemy bullets move."""
        for row, column in self.submarines:
            if row == self.clock + 1:
                self.enemy_bullets.add((row, column))
        self.enemy_bullets = self._swum(self.enemy_bullets)

    def _divers_swim(self) -> None:
        """Event 8: divers swim every fourth step, then those on the submarine's cells are picked up."""
        if self.clock % 4 == 3:
            self.divers = self._swum(self.divers)
        for cell in (self._front(), self._back()):
            if cell in self.divers and self.aboard < MOST_ABOARD:
                self.divers.remove(cell)
                self.aboard += 1

    def _count(self) -> None:
        """Event 9: clock and reload."""
        self.clock = (self.clock + 1) % 8
        if self.reload != 0:
            self.reload -= 1

    def _enemy_arrives(self, lane: int, is_submarine: bool, from_right: bool) -> None:
        """Event 10, its first half."""
        entry = self._enter(lane, from_right)
        blocked = self.fish | self.submarines | {self._front(), self._back()}
        if entry not in blocked:
            if is_submarine:
                self.submarines.add(entry)
            else:
                self.fish.add(entry)

    def _diver_arrives(self, lane: int, from_right: bool) -> None:
        """Event 10, its second half; a diver who is there already makes the arrival fail."""
        self.divers.add(self._enter(lane, from_right))

    def _enter(self, lane: int, from_right: bool) -> Cell:
        """Give a deserted lane the direction away from the side; the lane's entry cell."""
        swimmers = self.fish | self.submarines | self.enemy_bullets | self.divers
        deserted = all(row != lane for row, _ in swimmers)
        if deserted:
            self.swims_right[lane - 1] = not from_right
        return (lane, 0) if self.swims_right[lane - 1] else (lane, SIZE - 1)

    # Helpers.

    def _front(self) -> Cell:
        """The cell of the submarine's front."""
        return self.row, self.column

    def _back(self) -> Cell:
        """The cell of the submarine's back."""
        return self.row, self.column - 1 if self.facing_right else self.column + 1

    def _lit_cells(self) -> int:
        """The oxygen divided by 16, rounded up."""
        return (self.oxygen + OXYGEN_PER_LIGHT - 1) // OXYGEN_PER_LIGHT

    def _direction(self, lane: int) -> int:
        """The columns by which a swimmer in this lane moves: 1 to the right, -1 to the left."""
        return 1 if self.swims_right[lane - 1] else -1

    def _swum(self, cells: set[Cell]) -> set[Cell]:
        """The cells after one move in the direction of their lanes, without those that have left the board."""
        result: set[Cell] = set()
        for row, column in cells:
            result |= moved({(row, column)}, self._direction(row))
        return result

    def _trails(self) -> set[Cell]:
        """The cells on the board behind each fish, each enemy submarine and each diver."""
        result: set[Cell] = set()
        for row, column in self.fish | self.submarines | self.divers:
            result |= moved({(row, column)}, -self._direction(row))
        return result
