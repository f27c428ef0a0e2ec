/* Replay as a C programmer would write it for one thread: the floor that the calls of `bench replay` are held against.
 *
 * The work is ours: rows gathered into a fresh batch, and the levels of sums of replay/sums.py, one after the other in
 * one array. Neither locks nor checks, no pytrees, no choice of sampler.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { FAN_OUT = 16 };

typedef struct {
    float *numbers;     /* of all levels, each padded to whole blocks; the last is the total */
    const long *begins; /* where each level begins */
    long levels;
} Sums;

/* splitmix64 */
static inline uint64_t next(uint64_t *state) {
    uint64_t word = *state += 0x9E3779B97F4A7C15ULL;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ULL;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBULL;
    return word ^ (word >> 31);
}

/* Slots among the `size` from `oldest` on, each as likely as the others. */
void draw_uniform(uint64_t *random, long oldest, long size, long capacity, int32_t *slots, long draws) {
    for (long i = 0; i < draws; i++) {
        long slot = oldest + (long)((next(random) >> 32) * (uint64_t)size >> 32);
        slots[i] = (int32_t)(slot < capacity ? slot : slot - capacity);
    }
}

/* batch[draws][steps][row]: from each slot on the row there, the one `stride` rows on, and so forth. */
void gather(const float *items, const int32_t *slots, float *batch, long draws, long steps, long stride, long capacity,
            long row) {
    for (long i = 0; i < draws; i++)
        for (long step = 0; step < steps; step++) {
            long slot = slots[i] + step * stride;
            const float *item = items + (slot < capacity ? slot : slot - capacity) * row;
            memcpy(batch + (i * steps + step) * row, item, row * sizeof(float));
        }
}

/* Stratified draws in proportion to the numbers; weights[i] is (size * probability) ** -beta over the largest. */
void draw_prioritised(Sums *sums, uint64_t *random, long size, float beta, int32_t *slots, float *weights, long draws) {
    float total = sums->numbers[sums->begins[sums->levels - 1]], targets[draws], most = 0;
    for (long i = 0; i < draws; i++) {
        targets[i] = (i + (next(random) >> 40) * 0x1p-24f) * (total / draws);
        slots[i] = 0;
    }
    for (long level = sums->levels - 2; level >= 0; level--) { /* level by level, so that many blocks are on their way */
        const float *numbers = sums->numbers + sums->begins[level];
        for (long i = 0; i < draws; i++) {
            const float *block = numbers + (long)slots[i] * FAN_OUT;
            float upto[FAN_OUT], sum = 0, before = 0;
            int32_t child = 0;
            for (int k = 0; k < FAN_OUT; k++) upto[k] = sum += block[k];
            float target = fminf(targets[i], sum * (1 - 0x1p-23f));
            for (int k = 0; k < FAN_OUT - 1; k++) {
                before = upto[k] <= target ? upto[k] : before;
                child += upto[k] <= target;
            }
            slots[i] = slots[i] * FAN_OUT + child;
            targets[i] = target - before;
        }
    }
    for (long i = 0; i < draws; i++) {
        weights[i] = powf(size * (sums->numbers[slots[i]] / total), -beta);
        most = fmaxf(most, weights[i]);
    }
    for (long i = 0; i < draws; i++) weights[i] /= most;
}

static void sum_blocks(Sums *sums, long level, const int32_t *blocks, long touched) {
    const float *below = sums->numbers + sums->begins[level - 1];
    float *above = sums->numbers + sums->begins[level];
    for (long i = 0; i < touched; i++) {
        float sum = 0;
        for (int k = 0; k < FAN_OUT; k++) sum += below[(long)blocks[i] * FAN_OUT + k];
        above[blocks[i]] = sum;
    }
}

/* Sets the numbers of some slots to priority ** exponent; of two for one slot the later counts. `slots` is used up. */
void update(Sums *sums, int32_t *slots, const float *priorities, float exponent, float *largest, long updates) {
    for (long i = 0; i < updates; i++) {
        sums->numbers[slots[i]] = powf(priorities[i], exponent);
        *largest = fmaxf(*largest, priorities[i]);
    }
    for (long level = 1; level < sums->levels; level++) {
        for (long i = 0; i < updates; i++) slots[i] /= FAN_OUT;
        sum_blocks(sums, level, slots, updates);
    }
}

/* Sets the numbers of a run of slots to one number. */
void set_run(Sums *sums, long first, long length, float number) {
    for (long i = 0; i < length; i++) sums->numbers[first + i] = number;
    long last = first + length - 1;
    for (long level = 1; level < sums->levels; level++) {
        first /= FAN_OUT, last /= FAN_OUT;
        for (int32_t block = (int32_t)first; block <= last; block++) sum_blocks(sums, level, &block, 1);
    }
}
