/* Backward pass: the gradient by what the nonlinearity is applied to, `delta`, time step by time step. */
#ifndef LMRNN_BACKWARD_H
#define LMRNN_BACKWARD_H

#include "forward.h"

/* As Step in forward.h. */
typedef struct {
    const REAL *later, *after, *slope, *dlogits, *readout;
    REAL *delta, *carry, *packed;
    Places places;
    int64_t width, chunk_stride;
    REAL leak;
} Back;

/* delta = leak f'(z) (the gradient by h), where f' comes from h itself (RELU, TANH) or was kept (SOFTPLUS: any). */
INLINE void finish_delta(const Back *s, int64_t n, vec *sum, const int vectors, const int from_state) {
    UNROLL for (int v = 0; v < vectors; v++) {
        const int64_t at = n * s->width + v * LANES;
        if (from_state == RELU) {
            sum[v] = keep_positive(load(s->after + at), sum[v]);
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

INLINE void backward_panel(const Block *b, const Back *step, const int vectors, const int from_state) {
    const Back s = *step;
    Cursor c = begin(&b->p->transpose, b->backward_weights);
    for (int64_t pair = b->p->transpose.pairs; pair > 0; pair--, advance(&c)) {
        const int64_t n0 = c.rows[0], n1 = c.rows[1] >= 0 ? c.rows[1] : n0;
        const REAL *w0 = s.readout + n0 * CLASS_ROWS, *w1 = s.readout + n1 * CLASS_ROWS;
        vec first[4] = {{0}}, second[4] = {{0}};
        for (int k = 0; k < CLASSES; k++)
            UNROLL for (int v = 0; v < vectors; v++) {
                vec x = load(s.dlogits + k * s.width + v * LANES);
                HOLD(x);
                first[v] += w0[k] * x;
                second[v] += w1[k] * x;
            }
        if (s.later) gather(c, s.later, s.width, vectors, first, second);
        finish_delta(&s, n0, first, vectors, from_state);
        if (n1 != n0) finish_delta(&s, n1, second, vectors, from_state);
    }
}

#define BACKWARD(name, from_state)                                         \
    static void backward_##name(const Block *b, const Back *s, int vectors) { \
        if (vectors == 4) backward_panel(b, s, 4, from_state);             \
        else if (vectors == 3) backward_panel(b, s, 3, from_state);        \
        else if (vectors == 2) backward_panel(b, s, 2, from_state);        \
        else backward_panel(b, s, 1, from_state);                          \
    }
BACKWARD(relu, RELU)
BACKWARD(tanh, TANH)
BACKWARD(any, SOFTPLUS)

/* Trials that end between t and t + 1 have no delta at t + 1: it counts as 0. */
static void clear_ended(const Block *b, int64_t t) {
    for (int64_t n = 0; n < b->neurons; n++)
        for (int v = b->live[t + 1]; v < b->live[t]; v++)
            store(b->delta + (t + 1) * b->stride + n * b->width + v * LANES, (vec){0});
}

static void backward_step(Block *b, int64_t t, int64_t chunk_start) {
    const Problem *p = b->p;
    const int later = t + 1 < b->steps;
    if (later && b->live[t + 1] < b->live[t]) clear_ended(b, t);
    for (int panel = 0; panel < b->live[t]; panel += 4) {
        const int vectors = b->live[t] - panel < 4 ? b->live[t] - panel : 4, from = panel * LANES;
        const Back s = {
            .later = later ? b->delta + (t + 1) * b->stride + from : 0, .after = b->h + (t + 1) * b->stride + from,
            .slope = b->slope + t * b->stride + from, .dlogits = b->dlogits + t * CLASS_ROWS * b->width + from,
            .readout = b->readout, .delta = b->delta + t * b->stride + from, .leak = (REAL)p->leak,
            .carry = p->leak != 1 ? b->carry + from : 0, .places = places(b->active[t], panel),
            .packed = b->drive + b->active_start[t] - b->active_start[chunk_start],
            .width = b->width, .chunk_stride = b->chunk_stride,
        };
        if (needs_slope(p)) backward_any(b, &s, vectors);
        else if (p->nonlinearity == RELU) backward_relu(b, &s, vectors);
        else backward_tanh(b, &s, vectors);
    }
}

#endif
