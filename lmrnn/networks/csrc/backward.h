/* Backward pass: the gradient by what the nonlinearity is applied to, `delta`, time step by time step. */
#ifndef LMRNN_BACKWARD_H
#define LMRNN_BACKWARD_H

#include "forward.h"

/* As Step in forward.h. */
typedef struct {
    const REAL *later, *after, *slope, *dlogits, *readout;
    const char *signs;
    REAL *delta, *carry, *packed;
    Places places;
    int64_t width, chunk_stride;
    REAL leak;
    int large;
} Back;

/* delta = leak f'(z) (the gradient by h), where f' comes from h itself (RELU, TANH) or was kept (SOFTPLUS: any). */
INLINE void finish_delta(const Back *s, int64_t n, vec *sum, const int vectors, const int from_state, const int large) {
    UNROLL for (int v = 0; v < vectors; v++) {
        const int64_t at = n * s->width + v * LANES;
        if (from_state == RELU) {
            if (large && s->signs) sum[v] = keep_signs(s->signs + at / 8, sum[v]);
            else sum[v] = keep_positive(load(s->after + at), sum[v]);
        } else if (from_state == TANH) {
            sum[v] *= 1 - load(s->after + at) * load(s->after + at);
        } else {
            if (s->carry) {
                vec whole = sum[v] + load(s->carry + at);
                sum[v] = whole * s->leak;
                store(s->carry + at, whole - sum[v]);
            }
            sum[v] *= load(s->slope + at);
        }
        store(s->delta + at, sum[v]);
    }
    if (!s->places.any) return;
    REAL *packed = s->packed + n * s->chunk_stride;
    UNROLL for (int v = 0; v < vectors; v++) compress(packed + s->places.offset[v], s->places.bits[v], sum[v]);
}

INLINE Cursor backward_panel(const Back *step, Cursor c, int64_t pairs, const int vectors, const int from_state,
                             const int large) {
    const Back s = *step;
    for (; pairs > 0; pairs--, advance(&c)) {
        const int64_t n0 = c.rows[0], n1 = c.rows[1] >= 0 ? c.rows[1] : n0;
        const REAL *w0 = s.readout + n0 * CLASS_ROWS, *w1 = s.readout + n1 * CLASS_ROWS;
        if (large) prefetch_ahead(&c, s.delta, s.later, s.width, vectors);
        vec first[4] = {{0}}, second[4] = {{0}};
        for (int k = 0; k < CLASSES; k++)
            UNROLL for (int v = 0; v < vectors; v++) {
                vec x = load(s.dlogits + k * s.width + v * LANES);
                HOLD(x);
                first[v] += w0[k] * x;
                second[v] += w1[k] * x;
            }
        if (s.later) gather(c, s.later, s.width, vectors, first, second);
        finish_delta(&s, n0, first, vectors, from_state, large);
        if (n1 != n0) finish_delta(&s, n1, second, vectors, from_state, large);
    }
    return c;
}

#define BACKWARD(name, from_state, large)                                                \
    static Cursor backward_##name(const Back *s, Cursor c, int64_t pairs, int vectors) { \
        if (vectors == 4) return backward_panel(s, c, pairs, 4, from_state, large);      \
        if (vectors == 3) return backward_panel(s, c, pairs, 3, from_state, large);      \
        if (vectors == 2) return backward_panel(s, c, pairs, 2, from_state, large);      \
        return backward_panel(s, c, pairs, 1, from_state, large);                        \
    }
BACKWARD(relu, RELU, 0)
BACKWARD(relu_large, RELU, 1)
BACKWARD(tanh, TANH, s->large)
BACKWARD(any, SOFTPLUS, s->large)

/* Trials that end between t - 1 and t have no delta at t: for the time step t - 1 it counts as 0. */
static void clear_ended(const Block *b, int64_t t, int64_t n0, int64_t n1) {
    for (int64_t n = n0; t > 0 && b->live[t] < b->live[t - 1] && n < n1; n++)
        for (int v = b->live[t]; v < b->live[t - 1]; v++)
            store(b->delta + t * b->stride + n * b->width + v * LANES, (vec){0});
}

/* Delta of the rows from cursor `c` on at time step t; `packed` is where that of row 0 is packed. */
static Cursor backward_rows(Block *b, int64_t t, Cursor c, int64_t pairs, REAL *packed) {
    const Problem *p = b->p;
    const int later = t + 1 < b->steps;
    Cursor after = c;
    for (int panel = 0; panel < b->live[t]; panel += 4) {
        const int vectors = b->live[t] - panel < 4 ? b->live[t] - panel : 4, from = panel * LANES;
        const Back s = {
            .later = later ? b->delta + (t + 1) * b->stride + from : 0, .after = b->h + (t + 1) * b->stride + from,
            .slope = b->slope + t * b->stride + from, .dlogits = b->dlogits + t * CLASS_ROWS * b->width + from,
            .readout = b->readout, .delta = b->delta + t * b->stride + from, .leak = (REAL)p->leak,
            .carry = p->leak != 1 ? b->carry + from : 0, .places = places(b->active[t], panel), .packed = packed,
            .width = b->width, .chunk_stride = b->chunk_stride, .large = large(p),
            .signs = has_signs(p) ? b->signs + (t * b->neurons * b->width + from) / 8 : 0,
        };
        if (needs_slope(p)) after = backward_any(&s, c, pairs, vectors);
        else if (p->nonlinearity == RELU && s.large) after = backward_relu_large(&s, c, pairs, vectors);
        else if (p->nonlinearity == RELU) after = backward_relu(&s, c, pairs, vectors);
        else after = backward_tanh(&s, c, pairs, vectors);
    }
    return after;
}

/* d loss / d W_in[n0..n1, rings] += packed delta times active inputs from `first` on, channels side by side. */
static __attribute__((noinline)) void ring_gradient(const Block *b, int64_t n0, int64_t n1, int64_t first,
                                                    int64_t count) {
    REAL *grad = b->p->grads.input;
    for (int64_t n = n0; n < n1; n += 4)
        for (int c = 0; c < RINGS; c += 2 * LANES) {
            vec sum[4][2] = {{{0}}};
            const REAL *x = b->active_rows + first * RINGS + c, *d = b->drive + (n - n0) * b->chunk_stride;
            for (int64_t i = 0; i < count; i++, x += RINGS) {
                vec x0 = load(x), x1 = load(x + LANES);
                HOLD(x0);
                HOLD(x1);
                UNROLL for (int r = 0; r < 4; r++) {
                    sum[r][0] += d[r * b->chunk_stride + i] * x0;
                    sum[r][1] += d[r * b->chunk_stride + i] * x1;
                }
            }
            UNROLL for (int r = 0; r < 4; r++) {
                if (n + r >= n1) continue;
                REAL *to = grad + (n + r) * CHANNELS + 1 + c;
                store_loose(to, load_loose(to) + sum[r][0]);
                store_loose(to + LANES, load_loose(to + LANES) + sum[r][1]);
            }
        }
}

/* One strip's delta at time step t; that of the active inputs is packed from the place `before` on. */
static Cursor backward_strip(Block *b, int64_t t, Cursor c, int64_t before) {
    const int64_t n0 = c.rows[0], n1 = strip_end(b, n0);
    c = backward_rows(b, t, c, (n1 - n0 + 1) / 2, b->drive + before - n0 * b->chunk_stride);
    clear_ended(b, t, n0, n1);
    return c;
}

/* Delta of a small network's time steps [t0, t1), and what it adds to the gradient of the ring channels. */
static void backward_chunk(Block *b, int64_t t0, int64_t t1) {
    const int64_t first = b->active_start[t0];
    for (int64_t t = t1 - 1; t >= t0; t--)
        backward_strip(b, t, begin(&b->p->transpose, b->backward_weights), b->active_start[t] - first);
    if (b->p->gradients == 1) ring_gradient(b, 0, b->neurons, first, b->active_start[t1] - first);
}

static Cursor backward_strip_of_wave(Block *b, int64_t t, Cursor c, int starts) {
    const int64_t n0 = c.rows[0], n1 = strip_end(b, n0);
    (void)starts;
    c = backward_strip(b, t, c, 0);
    if (b->p->gradients == 1)
        ring_gradient(b, n0, n1, b->active_start[t], b->active_start[t + 1] - b->active_start[t]);
    return c;
}

/* The same of a large network's. */
static void backward_wave(Block *b, int64_t t0, int64_t t1) {
    wave(b, &b->p->transpose, b->backward_weights, t1 - 1, -1, t1 - t0, backward_strip_of_wave);
}

#endif
