/* Up to 64 trials that are computed together, their memory, and the inputs in the kernel's layout.
 *
 * States lie as (time step, neuron, trial), trials contiguous: one neuron's states of a time step fill a few
 * vectors. Trials are sorted by length, longest first, so that a time step needs only its first `live` vectors.
 */
#ifndef LMRNN_BLOCK_H
#define LMRNN_BLOCK_H

#include "problem.h"
#include "vector.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

/* From time step `t` on (and before the trial's next change), trial `s` has rule `k`. */
typedef struct {
    int32_t t, s, k;
} Change;

typedef struct {
    const Problem *p;
    int64_t neurons, width, stride, steps, size, chunk, chunk_stride, strip, together;
    const int64_t *members; /* which trials of the batch, longest first */
    int32_t *live;          /* (steps,) vectors that hold trials still running */
    int64_t ends[WIDTH];    /* of each vector: the time step at which its last trial has ended */
    int32_t *label;         /* (steps, width), -1 = not in the loss */
    int32_t *task;          /* (steps, width) the rule that holds; -1 = no trial */
    REAL *h;                /* (steps + 1, neurons, width), steps apart by `stride`; h[0] is the initial state if any */
    REAL *delta;            /* (steps, neurons, width): gradient by what the nonlinearity is applied to */
    REAL *slope;            /* (steps, neurons, width): derivative of the nonlinearity, where h does not give it */
    REAL *carry;            /* (neurons, width): gradient that the leak carries back */
    REAL *base;             /* (neurons, width): bias + rule of now, where it is not picked from the weights */
    char *signs;            /* (steps, neurons, width / 8 bytes): where h is > 0, if the backward pass takes it from there */
    REAL *noise;            /* (strip, width) of one time step */
    REAL *dlogits;          /* (steps, CLASS_ROWS, width) */
    REAL *fixation;         /* (steps, width): channel 0 */
    REAL *active_rows;      /* (active, RINGS): inputs with any ring channel on, in order of (time step, trial) */
    REAL *active_columns;   /* (together, RINGS, chunk_stride), of one chunk each */
    REAL *drive;            /* (strip, chunk_stride): what the ring channels of one chunk add; or gradients by it */
    int64_t *active_start;  /* (steps + 1,) */
    uint64_t *active;       /* (steps,) one bit a trial */
    Change *changes;        /* where a trial's rule begins, in order of time */
    int64_t *change_start;  /* (steps + 1,) */
    int64_t *offsets;       /* (3, steps * width / LANES): where every live vector lies in h and dlogits */
    REAL *forward_weights, *backward_weights, *readout; /* in order of use */
    REAL *weight_gradient;
} Block;

typedef struct {
    char *next;
    int guarded;
} Arena;

/* Room for an array, with a cache line after it that nothing may touch: the address sanitizer watches it. */
static void *take(Arena *a, int64_t bytes) {
    char *start = a->next;
    a->next += (bytes + 63) / 64 * 64 + 64;
#ifdef __SANITIZE_ADDRESS__
    if (a->guarded) __asan_poison_memory_region(start + bytes, (size_t)(a->next - start - bytes));
#endif
    return start;
}

/* Whether the derivative of the nonlinearity must be kept: for relu and tanh without leak, h gives it. */
static int needs_slope(const Problem *p) { return p->gradients && (p->nonlinearity == SOFTPLUS || p->leak != 1); }

/* Whether the states of a time step are more than the caches near the core hold: then reading less is worth some work. */
static int large(const Problem *p) { return p->strip > 0; }

/* Whether the backward pass takes the derivative from h's signs: a 32nd of what it would read of h itself. */
static int has_signs(const Problem *p) {
    return HAVE_SIGNS && large(p) && p->gradients && p->nonlinearity == RELU && p->leak == 1;
}

/* Whether bias + rule is picked from the weights at every time step, rather than kept for every neuron and trial. */
static int picks_rule(const Problem *p) { return IS_FLOAT && large(p) && p->tasks <= TABLE; }

/* Lay a block's arrays out from `start`; return the end. Not `guarded`, only the size is asked for. */
static char *lay_out(Block *b, const Problem *p, int64_t width, char *start, int guarded) {
    Arena a = {start, guarded};
    const int64_t N = p->neurons, T = p->steps, real = sizeof(REAL), cells = N * width;
    b->p = p;
    b->neurons = N;
    b->width = width;
    /* An odd number of cache lines more, so that a neuron's time steps fall into different sets of the first-level cache;
     * and many, so that in the second-level cache they do not crowd the sets of its neighbours. */
    b->stride = cells + 37 * 64 / real;
    /* A small network takes the inputs of several time steps together. A large one takes them time step by time step,
     * and strip of rows by strip, so that what is computed for a strip is used while it is in the cache. A very large
     * one takes several time steps of a strip soon after each other: what the strip reads is then still near.
     * A multiple of 16: every row of `drive` must begin at a vector's boundary. */
    b->chunk = large(p) ? WIDTH : 256 * 256 / (N > 256 ? N : 256) / 16 * 16;
    b->strip = large(p) ? p->strip : N;
    b->together = large(p) ? p->together : 1;
    b->chunk_stride = (b->chunk > WIDTH ? b->chunk : WIDTH) + 48;
    b->live = take(&a, T * 4);
    b->label = take(&a, T * width * 4);
    b->task = take(&a, T * width * 4);
    b->active_start = take(&a, (T + 1) * 8);
    b->active = take(&a, T * 8);
    b->changes = take(&a, T * width * sizeof(Change));
    b->change_start = take(&a, (T + 1) * 8);
    b->offsets = take(&a, 3 * T * (width / LANES) * 8);
    b->forward_weights = take(&a, p->rows.synapses * real);
    b->backward_weights = take(&a, p->transpose.synapses * real);
    b->weight_gradient = take(&a, p->rows.synapses * real);
    b->readout = take(&a, N * CLASS_ROWS * real);
    b->dlogits = take(&a, T * CLASS_ROWS * width * real);
    b->fixation = take(&a, T * width * real);
    b->active_rows = take(&a, (T * width + 1) * RINGS * real);
    b->active_columns = take(&a, b->together * RINGS * b->chunk_stride * real);
    b->drive = take(&a, (b->strip + 4) * b->chunk_stride * real);
    b->base = take(&a, picks_rule(p) ? 0 : cells * real);
    b->signs = take(&a, has_signs(p) ? T * cells / 8 : 0);
    b->noise = take(&a, (p->noise ? b->strip * width : 0) * real);
    b->carry = take(&a, (p->leak != 1 ? cells : 0) * real);
    b->slope = take(&a, needs_slope(p) ? T * b->stride * real : 0);
    b->h = take(&a, (T + 1) * b->stride * real);
    b->delta = take(&a, p->gradients ? T * b->stride * real : 0);
    return a.next;
}

/* Copy neurons [first, end) of `from`, (trial, neuron), into (neuron - first, width); further trials become 0. */
static __attribute__((noinline)) void transpose_in(const Block *b, const REAL *from, REAL *to, int64_t first, int64_t end) {
    const int64_t S = b->width;
    for (int64_t s0 = 0; s0 < S; s0 += 16)
        for (int64_t n0 = first; n0 < end; n0 += 16)
            for (int64_t s = s0; s < (s0 + 16 < S ? s0 + 16 : S); s++) {
                const REAL *row = s < b->size ? from + b->members[s] * b->neurons : 0;
                for (int64_t n = n0; n < (n0 + 16 < end ? n0 + 16 : end); n++) to[(n - first) * S + s] = row ? row[n] : 0;
            }
}

static __attribute__((noinline)) void transpose_out(const Block *b, const REAL *from, REAL *to, int64_t rows, int64_t trials) {
    const int64_t S = b->width;
    for (int64_t s0 = 0; s0 < trials; s0 += 16)
        for (int64_t n0 = 0; n0 < rows; n0 += 16)
            for (int64_t s = s0; s < (s0 + 16 < trials ? s0 + 16 : trials); s++)
                for (int64_t n = n0; n < (n0 + 16 < rows ? n0 + 16 : rows); n++)
                    to[b->members[s] * rows + n] = from[n * S + s];
}

/* Where the strip ends that begins with row n0. */
static int64_t strip_end(const Block *b, int64_t n0) {
    return n0 + b->strip < b->neurons ? n0 + b->strip : b->neurons;
}

static int64_t trials_at(const Block *b, int64_t t) {
    int64_t running = b->size;
    while (running > 0 && b->p->lengths[b->members[running - 1]] <= t) running--;
    return running;
}

/* Read labels and inputs into the kernel's layout. Rings are silent outside the stimuli: only inputs with a ring
 * channel on are packed and multiplied; channel 0 (fixation) is on at most time steps and is kept whole. */
static __attribute__((noinline)) void read_inputs(Block *b) {
    const Problem *p = b->p;
    const REAL *x = p->observations;
    int64_t packed = 0, listed = 0;
    memset(b->ends, 0, sizeof b->ends);
    const int64_t listed_most = b->steps * (b->width / LANES);
    for (int64_t t = 0; t < b->steps; t++) {
        const int64_t running = trials_at(b, t);
        b->live[t] = (int32_t)((running + LANES - 1) / LANES);
        b->active_start[t] = packed;
        b->active[t] = 0;
        for (int64_t s = 0; s < b->width; s++) {
            REAL *fixation = b->fixation + t * b->width + s;
            *fixation = 0;
            b->label[t * b->width + s] = -1;
            if (s >= running) continue;
            const int64_t at = t * p->batch + b->members[s];
            const REAL *row = x + at * CHANNELS;
            b->label[t * b->width + s] = (int32_t)p->labels[at];
            *fixation = row[0];
            int on = 0;
            for (int c = 1; c < CHANNELS; c++) on |= row[c] != 0;
            if (!on) continue;
            memcpy(b->active_rows + packed++ * RINGS, row + 1, RINGS * sizeof(REAL));
            b->active[t] |= (uint64_t)1 << s;
        }
        for (int v = 0; v < b->live[t]; v++, listed++) {
            b->ends[v] = t + 1;
            b->offsets[listed] = t * b->stride + v * LANES;
            b->offsets[listed_most + listed] = t * CLASS_ROWS * b->width + v * LANES;
            b->offsets[2 * listed_most + listed] = t * b->width + v * LANES;
        }
    }
    b->active_start[b->steps] = packed;
}

/* Where the time steps end that begin at t and are computed together, or whose active inputs are multiplied together. */
static int64_t chunk_end(const Block *b, int64_t t) {
    if (large(b->p)) return t + b->together < b->steps ? t + b->together : b->steps;
    const int64_t first = b->active_start[t];
    int64_t end = t + 1;
    while (end < b->steps && b->active_start[end + 1] - first <= b->chunk) end++;
    return end;
}

/* The rule of every trial at every time step, and where it changes. A trial that has ended keeps its last one. */
static __attribute__((noinline)) void read_rules(Block *b) {
    const int64_t S = b->width;
    int64_t changed = 0;
    for (int64_t t = 0; t < b->steps; t++) {
        int32_t *task = b->task + t * S;
        b->change_start[t] = changed;
        for (int64_t s = 0, running = trials_at(b, t); s < S; s++) {
            task[s] = t ? task[s - S] : -1;
            const int32_t k = s < running ? (int32_t)b->p->rules[t * b->p->batch + b->members[s]] : task[s];
            if (k == task[s]) continue;
            task[s] = k;
            b->changes[changed++] = (Change){(int32_t)t, (int32_t)s, k};
        }
    }
    b->change_start[b->steps] = changed;
}

/* base[n, s] = bias[n] + rule[n, rule of s at t] for neurons [n0, n1); only trials whose rule changes at t are written. */
static __attribute__((noinline)) void update_base(const Block *b, int64_t t, int64_t n0, int64_t n1) {
    const REAL *rule = b->p->values.rule, *bias = b->p->values.bias;
    const Change *change = b->changes + b->change_start[t], *end = b->changes + b->change_start[t + 1];
    for (int64_t n = n0; change < end && n < n1; n++)
        for (const Change *c = change; c < end; c++)
            b->base[n * b->width + c->s] = bias[n] + rule[n * b->p->tasks + c->k];
}

#endif
