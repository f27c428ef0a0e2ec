"""The table of built-in games. Values name the class, so that listing games loads none of them."""

BUILT_IN = {
    "connect4": "connect4:Connect4",
    "gomoku": "gomoku:Gomoku",
    "hex": "hex:Hex",
    "othello": "othello:Othello",
    "tictactoe": "tictactoe:TicTacToe",
}
