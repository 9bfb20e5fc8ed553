/* Forward pass: input drive, states, logits. */
#ifndef LMRNN_FORWARD_H
#define LMRNN_FORWARD_H

#include "gather.h"

/* drive = W_in[:, rings] x for the active inputs of time steps [t0, t1). */
static __attribute__((noinline)) void drive_chunk(Block *b, int64_t t0, int64_t t1) {
    const int64_t first = b->active_start[t0], count = b->active_start[t1] - first, C = b->chunk_stride;
    const REAL *weights = b->p->values.input, *rows = b->active_rows + first * RINGS;
    for (int64_t i0 = 0; i0 < count; i0 += 16)
        for (int c = 0; c < RINGS; c++)
            for (int64_t i = i0; i < i0 + 16; i++)
                b->active_columns[c * C + i] = i < count ? rows[i * RINGS + c] : 0;
    for (int64_t n = 0; n < b->neurons; n += 4) {
        const REAL *w[4];
        for (int r = 0; r < 4; r++) w[r] = weights + (n + r < b->neurons ? n + r : n) * CHANNELS + 1;
        for (int64_t i = 0; i < count; i += 2 * LANES) {
            vec sum[4][2] = {{{0}}};
            for (int c = 0; c < RINGS; c++) {
                const REAL *x = b->active_columns + c * C + i;
                vec x0 = load(x), x1 = load(x + LANES);
                HOLD(x0);
                HOLD(x1);
                UNROLL for (int r = 0; r < 4; r++) {
                    sum[r][0] += w[r][c] * x0;
                    sum[r][1] += w[r][c] * x1;
                }
            }
            UNROLL for (int r = 0; r < 4; r++) {
                store(b->drive + (n + r) * C + i, sum[r][0]);
                store(b->drive + (n + r) * C + i + LANES, sum[r][1]);
            }
        }
    }
}

/* What one time step's rows share. */
typedef struct {
    const REAL *before, *fixation, *drive, *noise, *base;
    REAL *after, *slope;
    uint64_t active;
    int64_t width, chunk_stride;
    int first; /* the first vector of this panel */
    const REAL *input;
    REAL leak;
} Step;

/* h = (1 - leak) h + leak f(z), and f'(z) where the backward pass cannot take it from h. */
INLINE void activate(const Step *s, int64_t at, vec z, const int nonlinearity) {
    vec f, slope = {0};
    if (nonlinearity == RELU) {
        f = relu(z);
        slope = keep(z > (vec){0}, spread(1));
    } else if (nonlinearity == TANH) {
        f = vtanh(z);
        slope = 1 - f * f;
    } else { /* the identity above 20, as torch.nn.functional.softplus has it */
        vec e = keep(z <= spread(20), vexp(-absolute(z))), low = e / (1 + e);
        f = relu(z) + log1p_unit(e);
        slope = choose(z < (vec){0}, low, 1 - low);
    }
    if (s->leak != 1) {
        vec before = load(s->before + at);
        f = before + s->leak * (f - before);
    }
    store(s->after + at, f);
    if (s->slope) store(s->slope + at, slope);
}

INLINE void finish_row(const Step *s, int64_t n, vec *sum, const int vectors, const int nonlinearity) {
    const REAL *drive = s->drive + n * s->chunk_stride;
    drive += __builtin_popcountll(s->active & (((uint64_t)1 << (s->first * LANES)) - 1));
    UNROLL for (int v = 0; v < vectors; v++) {
        const int64_t at = n * s->width + (s->first + v) * LANES;
        const uint32_t bits = bits_of(s->active, s->first + v);
        vec z = sum[v] + s->input[n * CHANNELS] * load(s->fixation + (s->first + v) * LANES);
        if (bits) {
            z += expand(drive, bits);
            drive += __builtin_popcount(bits);
        }
        if (s->noise) z += load(s->noise + at);
        activate(s, at, z, nonlinearity);
    }
}

INLINE void forward_panel(const Block *b, const Step *s, const int vectors, const int nonlinearity) {
    const REAL *before = s->before + s->first * LANES, *base = s->base + s->first * LANES;
    Cursor c = begin(&b->p->rows, b->forward_weights);
    for (int64_t pair = 0; pair < b->p->rows.pairs; pair++, advance(&c)) {
        const int64_t n0 = c.rows[0], n1 = c.rows[1];
        vec first[4], second[4] = {{0}};
        UNROLL for (int v = 0; v < vectors; v++) first[v] = load(base + n0 * s->width + v * LANES);
        if (n1 >= 0) UNROLL for (int v = 0; v < vectors; v++) second[v] = load(base + n1 * s->width + v * LANES);
        gather(c, before, s->width, vectors, first, second);
        finish_row(s, n0, first, vectors, nonlinearity);
        if (n1 >= 0) finish_row(s, n1, second, vectors, nonlinearity);
    }
}

#define FORWARD(f)                                                   \
    static void forward_##f(const Block *b, const Step *s, int vectors) { \
        if (vectors == 4) forward_panel(b, s, 4, f);                 \
        else if (vectors == 3) forward_panel(b, s, 3, f);            \
        else if (vectors == 2) forward_panel(b, s, 2, f);            \
        else forward_panel(b, s, 1, f);                              \
    }
FORWARD(RELU)
FORWARD(SOFTPLUS)
FORWARD(TANH)

static void forward_step(Block *b, int64_t t, int64_t chunk_start) {
    const Problem *p = b->p;
    if (p->noise) transpose_in(b, (const REAL *)p->noise + t * p->batch * b->neurons, b->noise);
    Step s = {
        .before = b->h + t * b->stride, .after = b->h + (t + 1) * b->stride, .base = b->base,
        .slope = p->gradients && (p->nonlinearity == SOFTPLUS || p->leak != 1) ? b->slope + t * b->stride : 0,
        .fixation = b->fixation + t * b->width, .noise = p->noise ? b->noise : 0,
        .drive = b->drive + b->active_start[t] - b->active_start[chunk_start], .active = b->active[t],
        .width = b->width, .chunk_stride = b->chunk_stride, .input = p->values.input, .leak = (REAL)p->leak,
    };
    for (s.first = 0; s.first < b->live[t]; s.first += 4) {
        const int vectors = b->live[t] - s.first < 4 ? b->live[t] - s.first : 4;
        if (p->nonlinearity == RELU) forward_RELU(b, &s, vectors);
        else if (p->nonlinearity == TANH) forward_TANH(b, &s, vectors);
        else forward_SOFTPLUS(b, &s, vectors);
    }
}

/* logits[c] = readout_bias[c] + sum over n of readout[c, n] h[n], six classes at a time. */
INLINE void read_classes(const Block *b, const REAL *h, REAL *logits, int first, const int vectors) {
    const REAL *bias = b->p->values.readout_bias;
    vec sum[6][4];
    UNROLL for (int c = 0; c < 6; c++)
        UNROLL for (int v = 0; v < vectors; v++) sum[c][v] = spread(first + c < CLASSES ? bias[first + c] : 0);
    for (int64_t n = 0; n < b->neurons; n++) {
        const REAL *w = b->readout + n * CLASS_ROWS + first;
        UNROLL for (int v = 0; v < vectors; v++) {
            vec x = load(h + n * b->width + v * LANES);
            HOLD(x);
            UNROLL for (int c = 0; c < 6; c++) sum[c][v] += w[c] * x;
        }
    }
    UNROLL for (int c = 0; c < 6; c++)
        UNROLL for (int v = 0; v < vectors; v++) store(logits + (first + c) * b->width + v * LANES, sum[c][v]);
}

static __attribute__((noinline)) void read_out(const Block *b, int64_t t) {
    for (int first = 0; first < b->live[t]; first += 4) {
        const REAL *h = b->h + (t + 1) * b->stride + first * LANES;
        REAL *logits = b->dlogits + t * CLASS_ROWS * b->width + first * LANES;
        const int vectors = b->live[t] - first < 4 ? b->live[t] - first : 4;
        for (int c = 0; c < CLASS_ROWS; c += 6) {
            if (vectors == 4) read_classes(b, h, logits, c, 4);
            else if (vectors == 3) read_classes(b, h, logits, c, 3);
            else if (vectors == 2) read_classes(b, h, logits, c, 2);
            else read_classes(b, h, logits, c, 1);
        }
    }
}

/* Replace the logits of time step t by the gradient of the summed loss, times `scale`; return the summed loss. */
static __attribute__((noinline)) double lose(const Block *b, int64_t t, REAL scale) {
    const int64_t S = b->width;
    double loss = 0;
    for (int v = 0; v < b->live[t]; v++) {
        REAL *logits = b->dlogits + t * CLASS_ROWS * S + v * LANES;
        const int32_t *labels = b->label + t * S + v * LANES;
        vec most = load(logits), sum = {0}, label, own = {0};
        for (int i = 0; i < LANES; i++) label[i] = (REAL)labels[i];
        for (int c = 1; c < CLASSES; c++) most = larger(most, load(logits + c * S));
        for (int c = 0; c < CLASSES; c++) {
            vec x = load(logits + c * S) - most, e = vexp(x);
            own += keep(label == spread((REAL)c), x);
            sum += e;
            store(logits + c * S, e);
        }
        vec counted = keep(label >= (vec){0}, spread(1)), factor = counted * scale / sum;
        for (int c = 0; c < CLASSES; c++) {
            vec target = keep(label == spread((REAL)c), spread(scale));
            store(logits + c * S, load(logits + c * S) * factor - target);
        }
        loss += (double)total(keep(label >= (vec){0}, vlog(sum) - own));
    }
    return loss;
}

#endif
