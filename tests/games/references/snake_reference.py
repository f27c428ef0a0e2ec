"""Snake in plain Python, written from docs/rules/snake.md alone.

It is slow and simple on purpose: the games of the project are compared with it.
"""

from typing import Any

import numpy as np

SIZE = 10

Cell = tuple[int, int]

# Up, right, down, left as (rows, columns) the head moves.
MOVES: list[Cell] = [(-1, 0), (0, 1), (1, 0), (0, -1)]


def cell_of(number: int) -> Cell:
    """The cell with this number."""
    return number // SIZE, number % SIZE


def on_board(cell: Cell) -> bool:
    """Whether the cell lies on the board."""
    row, column = cell
    return 0 <= row < SIZE and 0 <= column < SIZE


class SnakeReference:
    """One game of Snake; chance is handed in from outside."""

    def __init__(self) -> None:
        """A game that waits for reset()."""
        self.snake: list[Cell] = []
        self.food: Cell | None = None

    def reset(self, food: int) -> None:
        """A new game with the food on cell number `food`."""
        self.snake = [(5, 4), (5, 3), (5, 2)]
        self.food = cell_of(food)

    def step(self, action: int, food: int) -> tuple[float, bool]:
        """Play a legal action; `food` is the cell for new food. Gives (reward, terminated)."""
        target = self._target(action)
        if not on_board(target):
            return 0.0, True
        if target == self.food:
            self.snake = [target, *self.snake]
            if len(self.snake) == SIZE * SIZE:
                self.food = None
                return 1.0, True
            self.food = cell_of(food)
            return 1.0, False
        without_tail = self.snake[:-1]
        if target in without_tail:
            return 0.0, True
        self.snake = [target, *without_tail]
        return 0.0, False

    def chance_cells(self, action: int) -> list[int]:
        """Rising numbers of the cells on which the action may cause new food to be placed."""
        target = self._target(action)
        if target != self.food:
            return []
        grown = [target, *self.snake]
        # A snake that fills the board leaves no cell, so that the list is empty when the game is won.
        return [number for number in range(SIZE * SIZE) if cell_of(number) not in grown]

    def legal_actions(self) -> list[int]:
        """Rising numbers of the actions that do not move the head onto the second cell of the path."""
        return [action for action in range(len(MOVES)) if self._target(action) != self.snake[1]]

    def state(self) -> dict[str, Any]:
        """The snake from head to tail, and the food (None once the game is won)."""
        return {"snake": list(self.snake), "food": self.food}

    def observation(self) -> np.ndarray:
        """The six planes, float32[row, column, plane]."""
        planes = np.zeros((SIZE, SIZE, 6), dtype=np.float32)
        head_row, head_column = self.snake[0]
        planes[head_row, head_column, 0] = 1
        tail_row, tail_column = self.snake[-1]
        planes[tail_row, tail_column, 1] = 1
        for row, column in self.snake:
            planes[row, column, 2] = 1
        if self.food is not None:
            food_row, food_column = self.food
            planes[food_row, food_column, 3] = 1
        for index in range(len(self.snake) - 1):
            row, column = self.snake[index]
            next_row, next_column = self.snake[index + 1]
            if row == next_row:
                planes[row, min(column, next_column), 4] = 1
            else:
                planes[min(row, next_row), column, 5] = 1
        return planes

    def _target(self, action: int) -> Cell:
        """The cell onto which the action would move the head; it may lie outside the board."""
        row, column = self.snake[0]
        rows, columns = MOVES[action]
        return row + rows, column + columns
