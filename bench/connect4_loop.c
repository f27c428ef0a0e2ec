/* Random Connect Four as a C programmer would loop it: the floor that the engine's random mode is held against.
 *
 * The one idea: a game is two 64-bit words, the mover's discs and all discs, and every line below is plain arithmetic
 * on them, so that the compiler turns the loop over games into vector instructions, eight games at a time with AVX-512.
 * The rules, the draw of a move (upper half of a xorshift word times the number of legal moves) and what is summed are
 * those of bench/compiled.py; cell (column c, row r) is bit 7c + r, and row 6 stays empty.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { COLUMNS = 7, ROWS = 6, STRIDE = ROWS + 1, MOST_THREADS = 64 };

typedef uint64_t Bits;

typedef struct {
    Bits *own, *all;      /* [games] */
    uint64_t *random;     /* [games], 32 bits used */
    int64_t *episodes, *consumed; /* [games] */
    long games, steps;
} Share;

static const Bits BOTTOMS = 0x40810204081ULL;
#define BOARD (BOTTOMS * 0x3f)

/* Cells from which four discs lie in a line, each `by` bits beyond the last. */
static inline Bits four(Bits discs, int by) {
    Bits pairs = discs & (discs >> by);
    return pairs & (pairs >> (2 * by));
}

static void play(Share *share) {
    Bits *restrict own = share->own, *restrict all = share->all;
    uint64_t *restrict random = share->random;
    int64_t *restrict episodes = share->episodes, *restrict consumed = share->consumed;
    const long games = share->games, steps = share->steps;
    for (long step = 0; step < steps; step++) {
#pragma GCC ivdep
        for (long game = 0; game < games; game++) {
            Bits mine = own[game], discs = all[game];
            uint64_t word = random[game];
            word ^= (word << 13) & 0xffffffffu;
            word ^= word >> 17;
            word ^= (word << 5) & 0xffffffffu;
            random[game] = word;

            Bits open = ~(discs >> (ROWS - 1)) & BOTTOMS; /* bit 7c where column c has room */
            uint64_t count = 0;
#pragma GCC unroll 7
            for (int column = 0; column < COLUMNS; column++) count += (open >> (STRIDE * column)) & 1;
            uint64_t rank = ((word >> 16) * count) >> 16;
            Bits chosen = 0;
            uint64_t seen = 0;
#pragma GCC unroll 7
            for (int column = 0; column < COLUMNS; column++) {
                uint64_t here = (open >> (STRIDE * column)) & 1;
                chosen |= (here & (uint64_t)(seen == rank)) << (STRIDE * column);
                seen += here;
            }
            Bits disc = (discs + chosen) & (chosen * 0x3f);
            mine |= disc;
            discs |= disc;

            Bits line = four(mine, 1) | four(mine, STRIDE) | four(mine, STRIDE - 1) | four(mine, STRIDE + 1);
            int64_t won = line != 0, ended = won | (discs == BOARD);
            /* The first player's discs are odd in number once they have moved; their reward r adds r - 2r. */
            uint64_t parity = discs;
            parity ^= parity >> 32; parity ^= parity >> 16; parity ^= parity >> 8;
            parity ^= parity >> 4; parity ^= parity >> 2; parity ^= parity >> 1;
            int64_t first = (int64_t)(parity & 1);
            episodes[game] += ended;
            consumed[game] += won * (1 - 2 * first);
            Bits keep = (Bits)(ended - 1);
            own[game] = (discs ^ mine) & keep;
            all[game] = discs & keep;
        }
    }
}

static void *run(void *share) {
    play(share);
    return NULL;
}

/* Plays `steps` moves in each of `games` games on `threads` threads; returns 0, or -1 where a thread cannot be started.
 * `own`, `all` and `random` go on from call to call; `totals` gets the episodes ended and the sum of rewards. */
int connect4_play(Bits *own, Bits *all, uint64_t *random, long games, long steps, int threads, int64_t *totals) {
    Share shares[MOST_THREADS];
    pthread_t handles[MOST_THREADS];
    int failed = 0;
    int64_t *sums = calloc((size_t)games * 2, sizeof *sums);
    if (!sums || threads < 1 || threads > MOST_THREADS) { free(sums); return -1; }
    int started = 0;
    for (; started < threads; started++) {
        long begin = games * started / threads, end = games * (started + 1) / threads;
        shares[started] = (Share){own + begin, all + begin, random + begin, sums + begin, sums + games + begin,
                                  end - begin, steps};
        if (pthread_create(&handles[started], NULL, run, &shares[started])) { failed = 1; break; }
    }
    for (int index = 0; index < started; index++) pthread_join(handles[index], NULL);
    totals[0] = totals[1] = 0;
    for (long game = 0; game < games; game++) { totals[0] += sums[game]; totals[1] += sums[games + game]; }
    free(sums);
    return failed ? -1 : 0;
}
