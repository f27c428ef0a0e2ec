"""The table of built-in games. Values name the class, so that listing games loads none of them."""

BUILT_IN = {
    "2048": "twenty48:Twenty48",
    "breakthrough": "breakthrough:Breakthrough",
    "chess": "chess:Chess",
    "connect4": "connect4:Connect4",
    "go19x19": "go:Go19x19",
    "go9x9": "go:Go9x9",
    "gomoku": "gomoku:Gomoku",
    "hex": "hex:Hex",
    "kuhn_poker": "kuhn_poker:KuhnPoker",
    "leduc_poker": "leduc_poker:LeducPoker",
    "othello": "othello:Othello",
    "tictactoe": "tictactoe:TicTacToe",
}
