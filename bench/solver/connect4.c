/* Perfect Connect Four (6 rows x 7 columns): the exact score of every column.
 *
 * The one idea: a position is two 64-bit words, and "is the score above k?" is a cheap question
 * when k is far from zero, because only a short game can answer it.  So the exact score is
 * closed in from both ends by null-window searches that look ever further ahead, all sharing
 * one table of proven bounds.
 *
 * stdin:  one position a line, as the 1-based columns played so far ("4453"; empty = start)
 * stdout: moves<TAB>s1,...,s7, '.' for a full column
 * Score:  0 draw; +k the player to move wins with k of its 21 discs unplayed; -k it loses so.
 * Options: --weak (signs only), --stats (positions, nodes and seconds, on stderr).
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { COLS = 7, ROWS = 6, STEP = ROWS + 1, CELLS = COLS * ROWS, DISCS = CELLS / 2 };

/* Cell (column c, row r from the bottom) is bit 7c + r; row 6 stays empty, so that no line of
 * four can run from the top of one column into the bottom of the next. */
typedef uint64_t Bits;
static const Bits FLOOR = 0x40810204081ULL;
#define BOARD (FLOOR * 0x3f)
static const int CENTRE_FIRST[COLS] = {3, 2, 4, 1, 5, 0, 6};

static Bits column(int c) { return 0x3fULL << (STEP * c); }

typedef struct {
    Bits own; /* discs of the player to move */
    Bits all; /* discs of both */
    int played;
} Position;

static Position after(Position p, Bits move) {
    return (Position){p.own ^ p.all, p.all | move, p.played + 1};
}

/* One free cell next to each column's discs; a full column's lies outside BOARD. */
static Bits landing(Bits all) { return (all + FLOOR) & BOARD; }

/* Cells (taken or not) that complete a line of four with three discs of x, in direction d. */
static inline Bits completing(Bits x, int d) {
    const Bits pair = x & (x << d), above = pair << d, below = pair >> 2 * d;
    return (above & ((x << 3 * d) | (x >> d))) | (below & ((x >> 3 * d) | (x << d)));
}

static inline Bits threats(Bits x, Bits all) {
    Bits cells = (x << 1) & (x << 2) & (x << 3);
    cells |= completing(x, STEP) | completing(x, STEP - 1) | completing(x, STEP + 1);
    return cells & BOARD & ~all;
}

/* Score, for the player to move, of winning with the move made after `played` others. */
static int win_at(int played) { return DISCS - played / 2; }

/* ---- table of proven bounds ---------------------------------------------------------------
 * Two entries a bucket: the first keeps the costliest result of the current line, the second
 * always takes the newest.  Bounds hold for ever, so nothing is cleared between lines; `age`
 * only lets the results of an earlier line be replaced first. */
enum { INDEX_BITS = 22, TAG_BITS = 27, BIAS = DISCS + 2 };

typedef struct {
    uint64_t tag : TAG_BITS, low : 6, high : 6, work : 6, age : 19;
} Entry; /* high == 0: empty */

typedef struct {
    Entry slot[2];
} Bucket;

static Bucket *table;
static unsigned age_now;
static uint64_t nodes;

/* own + all names a position in 49 bits: each column's sum tells its height and its discs.
 * Multiplying by an odd number is one-to-one there, so bucket index + tag is still exact. */
static uint64_t scramble(const Position *p) {
    return ((p->own + p->all) * 0x9e3779b97f4a7c15ULL) & ((1ULL << (INDEX_BITS + TAG_BITS)) - 1);
}

static Bucket *bucket_of(uint64_t hash) { return &table[hash >> TAG_BITS]; }

static const Entry *lookup(uint64_t hash) {
    const Bucket *b = bucket_of(hash);
    const uint64_t tag = hash & ((1u << TAG_BITS) - 1);
    for (int i = 0; i < 2; i++)
        if (b->slot[i].tag == tag && b->slot[i].high) return &b->slot[i];
    return NULL;
}

static void remember(uint64_t hash, int low, int high, uint64_t cost) {
    Bucket *b = bucket_of(hash);
    Entry e = {.tag = hash & ((1u << TAG_BITS) - 1), .low = low + BIAS, .high = high + BIAS,
               .work = 63 - __builtin_clzll(cost | 1), .age = age_now};
    Entry *first = &b->slot[0], *second = &b->slot[1];
    if (first->tag == e.tag || !first->high) {
        *first = e;
    } else if (first->age != e.age || first->work <= e.work) {
        *second = *first;
        *first = e;
    } else {
        *second = e;
    }
}

/* Later in the game the search below a move costs less than asking the table for it. */
enum { PEEK_BEFORE = 30 };

/* ---- search ------------------------------------------------------------------------------ */

/* Moves after which the opponent cannot win at once; the player to move has no win either. */
static Bits safe_moves(const Position *p) {
    const Bits danger = threats(p->own ^ p->all, p->all);
    Bits moves = landing(p->all);
    const Bits forced = moves & danger;
    if (forced) {
        if (forced & (forced - 1)) return 0;
        moves = forced;
    }
    return moves & ~(danger >> 1);
}

/* Lists the moves, those that leave most threats on the board first, the centre before the
 * edge among equals. */
static int ordered(const Position *p, Bits moves, Bits list[COLS]) {
    int rank[COLS], n = 0;
    for (int i = 0; i < COLS; i++) {
        const Bits move = moves & column(CENTRE_FIRST[i]);
        if (!move) continue;
        const Bits made = threats(p->own | move, p->all | move);
        const int score = __builtin_popcountll(made);
        int at = n++;
        for (; at && rank[at - 1] < score; at--) {
            rank[at] = rank[at - 1];
            list[at] = list[at - 1];
        }
        rank[at] = score;
        list[at] = move;
    }
    return n;
}

/* Starts loading the table's answers for the positions after these moves: the memory is slow,
 * and there is the ordering of the moves to do meanwhile. */
static void load_ahead(const Position *p, Bits moves) {
    for (; moves; moves &= moves - 1) {
        const Position next = after(*p, moves & -moves);
        __builtin_prefetch(bucket_of(scramble(&next)));
    }
}

/* The best lower bound that the table alone gives, looking one move ahead. */
static int known_already(const Position *p, const Bits list[], int n) {
    int low = -DISCS;
    for (int i = 0; i < n; i++) {
        const Position next = after(*p, list[i]);
        const Entry *seen = lookup(scramble(&next));
        if (seen && BIAS - (int)seen->high > low) low = BIAS - (int)seen->high;
    }
    return low;
}

/* Is the score above alpha?  Returns a proven lower bound > alpha, or an upper bound <= alpha.
 * The player to move must have no winning move at hand. */
static int search(Position p, int alpha) {
    nodes++;
    Bits moves = safe_moves(&p);
    if (!moves) return p.played == CELLS ? 0 : -win_at(p.played + 1);
    if (p.played >= CELLS - 2) return 0;
    int low = -win_at(p.played + 3), high = win_at(p.played + 2);
    if (low > alpha) return low;
    if (high <= alpha) return high;
    if (!(moves & (moves - 1))) return -search(after(p, moves), -alpha - 1);

    const uint64_t hash = scramble(&p), start = nodes;
    const Entry *known = lookup(hash);
    if (known) {
        low = (int)known->low - BIAS;
        high = (int)known->high - BIAS;
        if (low > alpha) return low;
        if (high <= alpha) return high;
    }
    load_ahead(&p, moves);
    Bits list[COLS];
    const int n = ordered(&p, moves, list);
    int best = low;
    if (p.played < PEEK_BEFORE) {
        const int sure = known_already(&p, list, n);
        if (sure > alpha) return sure;
    }
    for (int i = 0; i < n; i++) {
        const Position next = after(p, list[i]);
        const int score = -search(next, -alpha - 1);
        if (score > best) best = score;
        if (best > alpha) {
            remember(hash, best, high, nodes - start);
            return best;
        }
    }
    remember(hash, low, best, nodes - start);
    return best;
}

static bool can_win(const Position *p) { return landing(p->all) & threats(p->own, p->all); }

/* Narrows [low, high] by one search, unless they already tell whether the score is above. */
static void ask(const Position *p, int alpha, int *low, int *high) {
    if (alpha < *low || alpha >= *high) return;
    const int score = search(*p, alpha);
    if (score > alpha) *low = score;
    else *high = score;
}

/* The exact score, or only its sign.  Asking about quick wins and losses first answers an easy
 * position soon, and the bounds it leaves in the table serve the deeper searches too. */
static int solve(Position p, bool weak) {
    if (can_win(&p)) return weak ? 1 : win_at(p.played);
    int low = weak ? -1 : -win_at(p.played + 1), high = weak ? 1 : win_at(p.played + 2);
    for (int far = weak ? 0 : high - 2; far > 0; far -= 3) {
        ask(&p, far, &low, &high);
        ask(&p, -far - 1, &low, &high);
    }
    while (low < high) ask(&p, low + (high - low) / 2, &low, &high);
    return weak ? (low > 0) - (low < 0) : low;
}

/* ---- input and output -------------------------------------------------------------------- */

static bool parse(const char *text, Position *p) {
    *p = (Position){0};
    for (; *text; text++) {
        const int c = *text - '1';
        if (c < 0 || c >= COLS) return false;
        const Bits move = landing(p->all) & column(c);
        if (!move || move & threats(p->own, p->all)) return false;
        *p = after(*p, move);
    }
    return true;
}

static void print_scores(const char *text, const Position *p, bool weak) {
    printf("%s\t", text);
    for (int c = 0; c < COLS; c++) {
        if (c) putchar(',');
        const Bits move = landing(p->all) & column(c);
        if (!move) putchar('.');
        else if (move & threats(p->own, p->all)) printf("%d", weak ? 1 : win_at(p->played));
        else printf("%d", -solve(after(*p, move), weak));
    }
    putchar('\n');
    fflush(stdout);
}

static void make_table(void) {
    const size_t size = sizeof(Bucket) << INDEX_BITS;
    table = aligned_alloc(1 << 21, size);
    if (!table) exit(1);
    madvise(table, size, MADV_HUGEPAGE); /* random reads: fewer, larger pages miss less */
    memset(table, 0, size);
}

int main(int argc, char **argv) {
    bool weak = false, stats = false;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--weak")) weak = true;
        else if (!strcmp(argv[i], "--stats")) stats = true;
        else return fprintf(stderr, "usage: %s [--weak] [--stats] < moves\n", argv[0]), 2;
    }
    make_table();
    char line[256];
    long count = 0;
    for (; fgets(line, sizeof line, stdin); count++, age_now++) {
        line[strcspn(line, "\r\n")] = 0;
        Position p;
        if (!parse(line, &p)) return fprintf(stderr, "not a running game: %s\n", line), 1;
        print_scores(line, &p, weak);
    }
    if (stats)
        fprintf(stderr, "%ld positions, %.3g nodes, %.2f s\n", count, (double)nodes,
                (double)clock() / CLOCKS_PER_SEC);
    return 0;
}
