/* The kernel for one instruction set (compiler flags) and one precision (REAL). */
#include "gradients.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(f) JOIN(f, VARIANT)

static void clear(void *values, int64_t count) { memset(values, 0, (size_t)count * sizeof(REAL)); }

static void clear_gradients(const Problem *p) {
    clear(p->grads.input, p->neurons * CHANNELS);
    clear(p->grads.rule, p->neurons * p->tasks);
    clear(p->grads.readout, p->neurons * CLASSES);
    clear(p->grads.readout_bias, CLASSES);
}

static __attribute__((noinline)) void arrange_readout(const Block *b) {
    const REAL *from = b->p->values.readout;
    for (int64_t n = 0; n < b->neurons; n++) {
        for (int c = 0; c < CLASSES; c++) b->readout[n * CLASS_ROWS + c] = from[c * b->neurons + n];
        b->readout[n * CLASS_ROWS + CLASSES] = 0;
    }
}

static void start_block(Block *b) {
    const Problem *p = b->p;
    if (b->size < b->width && !picks_rule(p)) clear(b->base, b->neurons * b->width); /* else it is all written at t = 0 */
    if (p->initial_state) transpose_in(b, p->initial_state, b->h, 0, b->neurons);
    b->steps = p->lengths[b->members[0]];
    read_inputs(b);
    read_rules(b);
}

static void write_states(const Block *b, int64_t t) {
    const Problem *p = b->p;
    const int64_t running = trials_at(b, t);
    const REAL *h = b->h + (t + 1) * b->stride;
    if (p->states) transpose_out(b, h, (REAL *)p->states + t * p->batch * b->neurons, b->neurons, running);
}

static double finish_step(Block *b, int64_t t, REAL scale) {
    const Problem *p = b->p;
    write_states(b, t);
    if (p->logits)
        transpose_out(b, b->dlogits + t * CLASS_ROWS * b->width, (REAL *)p->logits + t * p->batch * CLASSES, CLASSES,
                      trials_at(b, t));
    return p->gradients ? step_loss(b, t, scale) : 0;
}

static double run_forward(Block *b, REAL scale) {
    double loss = 0;
    for (int64_t start = 0, end; start < b->steps; start = end) {
        end = chunk_end(b, start);
        if (large(b->p)) forward_wave(b, start, end);
        else forward_chunk(b, start, end);
        for (int64_t t = start; t < end; t++) loss += finish_step(b, t, scale);
    }
    return loss;
}

static int64_t chunk_start(const Block *b, int64_t t) {
    int64_t start = 0;
    for (int64_t end = chunk_end(b, 0); end <= t; end = chunk_end(b, start)) start = end;
    return start;
}

static void run_backward(Block *b) {
    int64_t listed = 0;
    for (int64_t t = 0; t < b->steps; t++) listed += b->live[t];
    if (b->p->leak != 1) clear(b->carry, b->neurons * b->width);
    for (int64_t end = b->steps, start; end > 0; end = start) {
        start = chunk_start(b, end - 1);
        if (large(b->p)) backward_wave(b, start, end);
        else backward_chunk(b, start, end);
    }
    if (b->p->gradients == 1) weight_gradients(b, listed);
}

static __attribute__((noinline)) void finish_gradients(const Block *b) {
    const Problem *p = b->p;
    REAL *recurrent = p->grads.recurrent, *bias = p->grads.bias;
    const REAL *rule = p->grads.rule;
    for (int64_t e = 0; e < p->rows.synapses; e++) recurrent[p->rows.order[e]] = b->weight_gradient[e];
    for (int64_t n = 0; n < p->neurons; n++) {
        bias[n] = 0;
        for (int64_t k = 0; k < p->tasks; k++) bias[n] += rule[n * p->tasks + k];
    }
}

/* Trials of the batch, longest first; equal lengths stay in order. Returns how many have a possible length. */
static int64_t sort_by_length(const Problem *p, int64_t *members) {
    int64_t placed = 0;
    for (int64_t length = p->steps; length > 0; length--)
        for (int64_t s = 0; s < p->batch; s++)
            if (p->lengths[s] == length) members[placed++] = s;
    return placed;
}

static int64_t block_width(int64_t trials) { return trials >= WIDTH ? WIDTH : (trials + LANES - 1) / LANES * LANES; }

static int64_t members_bytes(const Problem *p) { return (p->batch * 8 + 63) / 64 * 64; }

int64_t NAME(bytes)(const Problem *p) {
    Block b;
    return (int64_t)(intptr_t)lay_out(&b, p, block_width(p->batch), (char *)members_bytes(p), 0);
}

static int rules_exist(const Problem *p) {
    int fine = 1;
    for (int64_t i = 0; i < p->steps * p->batch; i++) fine &= (uint64_t)p->rules[i] < (uint64_t)p->tasks;
    return fine;
}

/* Run the problem; return 0, or a negative number: workspace too small, a length or a rule out of range. */
int NAME(run)(Problem *p) {
    if (NAME(bytes)(p) > p->workspace_bytes) return -1;
    int64_t *members = p->workspace, counted = 0;
    Block b;
    lay_out(&b, p, block_width(p->batch), (char *)p->workspace + members_bytes(p), 1);
    if (sort_by_length(p, members) != p->batch) return -2;
    if (!rules_exist(p)) return -3;
    for (int64_t i = 0; p->gradients && i < p->steps * p->batch; i++) counted += p->labels[i] >= 0;
    const REAL scale = counted ? (REAL)1 / (REAL)counted : 0;
    arrange(&p->rows, p->values.recurrent, b.forward_weights);
    arrange_readout(&b);
    if (p->gradients) {
        arrange(&p->transpose, p->values.recurrent, b.backward_weights);
        clear(b.weight_gradient, p->rows.synapses);
        if (p->gradients == 1) clear_gradients(p);
    }
    double loss = 0;
    for (int64_t first = 0; first < p->batch; first += WIDTH) {
        b.members = members + first;
        b.size = p->batch - first < WIDTH ? p->batch - first : WIDTH;
        start_block(&b);
        loss += run_forward(&b, scale);
        if (p->gradients) run_backward(&b);
    }
    if (p->gradients == 1) finish_gradients(&b);
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(p->workspace, (size_t)p->workspace_bytes);
#endif
    p->loss = counted ? loss / (double)counted : NAN;
    return 0;
}
