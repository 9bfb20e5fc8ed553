/* Forward pass: input drive, states, logits. */
#ifndef LMRNN_FORWARD_H
#define LMRNN_FORWARD_H

#include "wave.h"

/* Active inputs of time steps [t0, t1), one channel's side by side. */
static void pack_columns(const Block *b, int64_t t0, int64_t t1, REAL *columns) {
    const int64_t first = b->active_start[t0], count = b->active_start[t1] - first;
    const REAL *rows = b->active_rows + first * RINGS;
    for (int64_t i0 = 0; i0 < count; i0 += 16)
        for (int c = 0; c < RINGS; c++)
            for (int64_t i = i0; i < i0 + 16; i++)
                columns[c * b->chunk_stride + i] = i < count ? rows[i * RINGS + c] : 0;
}

/* drive = W_in[n0..n1, rings] x for `count` packed inputs. */
static __attribute__((noinline)) void drive_rows(Block *b, int64_t n0, int64_t n1, int64_t count, const REAL *columns) {
    const int64_t C = b->chunk_stride;
    const REAL *weights = b->p->values.input;
    for (int64_t n = n0; n < n1; n += 4) {
        const REAL *w[4];
        for (int r = 0; r < 4; r++) w[r] = weights + (n + r < n1 ? n + r : n) * CHANNELS + 1;
        for (int64_t i = 0; i < count; i += 2 * LANES) {
            vec sum[4][2] = {{{0}}};
            for (int c = 0; c < RINGS; c++) {
                const REAL *x = columns + c * C + i;
                vec x0 = load(x), x1 = load(x + LANES);
                HOLD(x0);
                HOLD(x1);
                UNROLL for (int r = 0; r < 4; r++) {
                    sum[r][0] += w[r][c] * x0;
                    sum[r][1] += w[r][c] * x1;
                }
            }
            UNROLL for (int r = 0; r < 4; r++) {
                store(b->drive + (n - n0 + r) * C + i, sum[r][0]);
                store(b->drive + (n - n0 + r) * C + i + LANES, sum[r][1]);
            }
        }
    }
}

/* What the rows of one time step share; pointers begin at the first of the up to four vectors computed together. */
typedef struct {
    const REAL *before, *fixation, *drive, *noise, *base, *input, *bias, *rule;
    const int32_t *task; /* null: `base` has bias + rule */
    REAL *after, *slope;
    char *signs;
    Places places;
    int64_t width, chunk_stride, tasks;
    REAL leak;
    int large;
} Step;

/* h = (1 - leak) h + leak f(z), and f'(z) where the backward pass cannot take it from h. */
INLINE void activate(const Step *s, int64_t at, vec z, const int nonlinearity) {
    vec f, slope = {0};
    if (nonlinearity == RELU) {
        f = relu(z);
        slope = keep_positive(z, broadcast(1));
    } else if (nonlinearity == TANH) {
        f = vtanh(z);
        slope = 1 - f * f;
    } else { /* the identity above 20, as torch.nn.functional.softplus has it */
        vec e = keep(z <= broadcast(20), vexp(-absolute(z))), low = e / (1 + e);
        f = relu(z) + log1p_unit(e);
        slope = choose(z < (vec){0}, low, 1 - low);
    }
    if (s->leak != 1) {
        vec before = s->before ? load(s->before + at) : (vec){0};
        f = before + s->leak * (f - before);
    }
    store(s->after + at, f);
    if (s->signs) store_signs(s->signs + at / 8, f);
    if (s->slope) store(s->slope + at, slope);
}

/* `plain`: relu without leak and noise, the usual case, has no questions to ask in the innermost loop. */
INLINE void finish_row(const Step *s, int64_t n, vec *sum, const int vectors, const int nonlinearity, const int plain,
                       const int large) {
    if (s->places.any) {
        const REAL *drive = s->drive + n * s->chunk_stride;
        UNROLL for (int v = 0; v < vectors; v++) sum[v] += expand(drive + s->places.offset[v], s->places.bits[v]);
    }
    UNROLL for (int v = 0; v < vectors; v++) {
        const int64_t at = n * s->width + v * LANES;
        if (plain) {
            const vec h = relu(sum[v]);
            store(s->after + at, h);
            if (large && s->signs) store_signs(s->signs + at / 8, h);
        } else {
            if (s->noise) sum[v] += load(s->noise + at);
            activate(s, at, sum[v], nonlinearity);
        }
    }
}

INLINE void start_row(const Step *s, int64_t n, const word *task, vec *sum, const int vectors, const int large) {
    const REAL weight = s->input[n * CHANNELS];
    if (large && s->task) {
        const Table rule = read_table((const float *)s->rule + n * s->tasks, s->tasks);
        const single bias = (single)broadcast(s->bias[n]);
        UNROLL for (int v = 0; v < vectors; v++) sum[v] = (vec)add_picked(bias, rule, task[v]);
    } else {
        UNROLL for (int v = 0; v < vectors; v++) sum[v] = load(s->base + n * s->width + v * LANES);
    }
    UNROLL for (int v = 0; v < vectors; v++) sum[v] += weight * load(s->fixation + v * LANES);
}

INLINE Cursor forward_panel(const Step *step, Cursor c, int64_t pairs, const int vectors, const int nonlinearity,
                            const int plain, const int large) {
    const Step s = *step; /* a copy, which the stores to the states cannot change */
    word task[4] = {{0}};
    if (large && s.task) UNROLL for (int v = 0; v < vectors; v++) task[v] = *(const word *)(s.task + v * LANES);
    for (; pairs > 0; pairs--, advance(&c)) {
        const int64_t n0 = c.rows[0], n1 = c.rows[1];
        vec first[4], second[4] = {{0}};
        if (large) prefetch_ahead(&c, s.after, s.before, s.width, vectors);
        start_row(&s, n0, task, first, vectors, large);
        if (n1 >= 0) start_row(&s, n1, task, second, vectors, large);
        if (s.before) gather(c, s.before, s.width, vectors, first, second);
        finish_row(&s, n0, first, vectors, nonlinearity, plain, large);
        if (n1 >= 0) finish_row(&s, n1, second, vectors, nonlinearity, plain, large);
    }
    return c;
}

#define FORWARD(name, nonlinearity, plain, large)                                             \
    static Cursor forward_##name(const Step *s, Cursor c, int64_t pairs, int vectors) {       \
        if (vectors == 4) return forward_panel(s, c, pairs, 4, nonlinearity, plain, large);   \
        if (vectors == 3) return forward_panel(s, c, pairs, 3, nonlinearity, plain, large);   \
        if (vectors == 2) return forward_panel(s, c, pairs, 2, nonlinearity, plain, large);   \
        return forward_panel(s, c, pairs, 1, nonlinearity, plain, large);                     \
    }
FORWARD(plain, RELU, 1, 0)
FORWARD(plain_large, RELU, 1, 1)
FORWARD(relu, RELU, 0, s->large)
FORWARD(softplus, SOFTPLUS, 0, s->large)
FORWARD(tanh, TANH, 0, s->large)

/* States of the rows from cursor `c` on at time step t; returns the cursor after them. `drive` and `noise` are those of
 * row 0. */
static Cursor forward_rows(Block *b, int64_t t, Cursor c, int64_t pairs, const REAL *drive, const REAL *noise) {
    const Problem *p = b->p;
    const REAL *before = t == 0 && !p->initial_state ? 0 : b->h + t * b->stride; /* null: all states are 0 */
    Cursor after = c;
    for (int panel = 0; panel < b->live[t]; panel += 4) {
        const int vectors = b->live[t] - panel < 4 ? b->live[t] - panel : 4, from = panel * LANES;
        const Step s = {
            .before = before ? before + from : 0, .after = b->h + (t + 1) * b->stride + from, .base = b->base + from,
            .task = picks_rule(p) ? b->task + t * b->width + from : 0, .rule = p->values.rule, .tasks = p->tasks,
            .signs = has_signs(p) ? b->signs + (t * b->neurons * b->width + from) / 8 : 0, .bias = p->values.bias,
            .large = large(p), .slope = needs_slope(p) ? b->slope + t * b->stride + from : 0,
            .noise = p->noise ? noise + from : 0, .fixation = b->fixation + t * b->width + from, .drive = drive,
            .places = places(b->active[t], panel), .width = b->width, .chunk_stride = b->chunk_stride,
            .input = p->values.input, .leak = (REAL)p->leak,
        };
        if (p->nonlinearity == TANH) after = forward_tanh(&s, c, pairs, vectors);
        else if (p->nonlinearity == SOFTPLUS) after = forward_softplus(&s, c, pairs, vectors);
        else if (p->leak == 1 && !p->noise && s.large) after = forward_plain_large(&s, c, pairs, vectors);
        else if (p->leak == 1 && !p->noise) after = forward_plain(&s, c, pairs, vectors);
        else after = forward_relu(&s, c, pairs, vectors);
    }
    return after;
}

/* Trials that have ended share a vector with those that go on, and would grow there without bound, up to an infinity that
 * no factor of 0 takes out of a sum: their states count as 0, and so do lanes without a trial. */
static void clear_after_end(const Block *b, int64_t t, int64_t n0, int64_t n1) {
    const int64_t last = (b->live[t] - 1) * LANES, running = trials_at(b, t) - last;
    if (running >= LANES) return;
    REAL *h = b->h + (t + 1) * b->stride + last, *slope = needs_slope(b->p) ? b->slope + t * b->stride + last : 0;
    mask on;
    for (int i = 0; i < LANES; i++) on[i] = i < running ? -1 : 0;
    for (int64_t n = n0; n < n1; n++) {
        store(h + n * b->width, keep(on, load(h + n * b->width)));
        if (slope) store(slope + n * b->width, keep(on, load(slope + n * b->width)));
    }
}

/* logits[c] = readout_bias[c] + sum over n of readout[c, n] h[n], six classes at a time; rows n0 to n1 of the sum. */
INLINE void read_classes(const Block *b, const REAL *h, REAL *logits, int64_t n0, int64_t n1, int starts, int first,
                         const int vectors) {
    const REAL *bias = b->p->values.readout_bias;
    vec sum[6][4];
    UNROLL for (int c = 0; c < 6; c++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[c][v] = starts ? broadcast(first + c < CLASSES ? bias[first + c] : 0)
                               : load(logits + (first + c) * b->width + v * LANES);
    for (int64_t n = n0; n < n1; n++) {
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

static __attribute__((noinline)) void read_rows(const Block *b, int64_t t, int64_t n0, int64_t n1, int starts) {
    for (int first = 0; first < b->live[t]; first += 4) {
        const REAL *h = b->h + (t + 1) * b->stride + first * LANES;
        REAL *logits = b->dlogits + t * CLASS_ROWS * b->width + first * LANES;
        const int vectors = b->live[t] - first < 4 ? b->live[t] - first : 4;
        for (int c = 0; c < CLASS_ROWS; c += 6) {
            if (vectors == 4) read_classes(b, h, logits, n0, n1, starts, c, 4);
            else if (vectors == 3) read_classes(b, h, logits, n0, n1, starts, c, 3);
            else if (vectors == 2) read_classes(b, h, logits, n0, n1, starts, c, 2);
            else read_classes(b, h, logits, n0, n1, starts, c, 1);
        }
    }
}

/* One strip's states at time step t, and what they add to the logits, which start with it or are there already. The drive
 * is there from the place `before` on, or is computed from the packed inputs in `columns`. */
static Cursor forward_strip(Block *b, int64_t t, Cursor c, int starts, int64_t before, const REAL *columns) {
    const Problem *p = b->p;
    const int64_t n0 = c.rows[0], n1 = strip_end(b, n0);
    if (columns) drive_rows(b, n0, n1, b->active_start[t + 1] - b->active_start[t], columns);
    if (p->noise) transpose_in(b, (const REAL *)p->noise + t * p->batch * b->neurons, b->noise, n0, n1);
    if (!picks_rule(p)) update_base(b, t, n0, n1);
    c = forward_rows(b, t, c, (n1 - n0 + 1) / 2, b->drive + before - n0 * b->chunk_stride, b->noise - n0 * b->width);
    clear_after_end(b, t, n0, n1);
    if (p->logits || p->gradients) read_rows(b, t, n0, n1, starts);
    return c;
}

/* States and logits of a small network's time steps [t0, t1), whose inputs are multiplied together. */
static void forward_chunk(Block *b, int64_t t0, int64_t t1) {
    const int64_t first = b->active_start[t0];
    pack_columns(b, t0, t1, b->active_columns);
    drive_rows(b, 0, b->neurons, b->active_start[t1] - first, b->active_columns);
    for (int64_t t = t0; t < t1; t++)
        forward_strip(b, t, begin(&b->p->rows, b->forward_weights), 1, b->active_start[t] - first, 0);
}

static REAL *columns_of(const Block *b, int64_t t) {
    return b->active_columns + t % b->together * RINGS * b->chunk_stride;
}

static Cursor forward_strip_of_wave(Block *b, int64_t t, Cursor c, int starts) {
    return forward_strip(b, t, c, starts, 0, columns_of(b, t));
}

/* States and logits of a large network's time steps [t0, t1). */
static void forward_wave(Block *b, int64_t t0, int64_t t1) {
    for (int64_t t = t0; t < t1; t++) pack_columns(b, t, t + 1, columns_of(b, t));
    wave(b, &b->p->rows, b->forward_weights, t0, 1, t1 - t0, forward_strip_of_wave);
}

/* Replace the logits of time step t by the gradient of the summed loss, times `scale`; return the summed loss. */
static __attribute__((noinline)) double step_loss(const Block *b, int64_t t, REAL scale) {
    const int64_t S = b->width;
    double loss = 0;
    for (int v = 0; v < b->live[t]; v++) {
        REAL *logits = b->dlogits + t * CLASS_ROWS * S + v * LANES;
        const int32_t *labels = b->label + t * S + v * LANES;
        vec most = load(logits), sum = {0}, label, own = {0};
        for (int i = 0; i < LANES; i++) label[i] = (REAL)labels[i];
        for (int c = 1; c < CLASSES; c++) most = max(most, load(logits + c * S));
        for (int c = 0; c < CLASSES; c++) {
            vec x = load(logits + c * S) - most, e = vexp(x);
            own += keep(label == broadcast((REAL)c), x);
            sum += e;
            store(logits + c * S, e);
        }
        vec counted = keep(label >= (vec){0}, broadcast(1)), factor = counted * scale / sum;
        for (int c = 0; c < CLASSES; c++) {
            vec target = keep(label == broadcast((REAL)c), broadcast(scale));
            store(logits + c * S, load(logits + c * S) * factor - target);
        }
        loss += (double)horizontal_sum(keep(label >= (vec){0}, vlog(sum) - own));
    }
    return loss;
}

#endif
