"""The table of built-in games. Values name the class, so that listing games loads none of them."""

BUILT_IN = {
    "2048": "twenty48:Twenty48",
    "asterix": "asterix:Asterix",
    "backgammon": "backgammon:Backgammon",
    "breakout": "breakout:Breakout",
    "breakthrough": "breakthrough:Breakthrough",
    "cartpole": "cartpole:CartPole",
    "chess": "chess:Chess",
    "connect4": "connect4:Connect4",
    "freeway": "freeway:Freeway",
    "go19x19": "go:Go19x19",
    "go9x9": "go:Go9x9",
    "gomoku": "gomoku:Gomoku",
    "hex": "hex:Hex",
    "kuhn_poker": "kuhn_poker:KuhnPoker",
    "leduc_poker": "leduc_poker:LeducPoker",
    "othello": "othello:Othello",
    "seaquest": "seaquest:Seaquest",
    "snake": "snake:Snake",
    "space_invaders": "space_invaders:SpaceInvaders",
    "tictactoe": "tictactoe:TicTacToe",
}
