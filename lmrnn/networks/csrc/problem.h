/* What one call of the kernel is given: pointers and sizes. networks/kernel.py mirrors this structure in ctypes. */
#ifndef LMRNN_PROBLEM_H
#define LMRNN_PROBLEM_H

#include <stdint.h>

/* kernel.py refuses a library whose CHANNELS, CLASSES and MOST_TOGETHER are not its own. */
enum { CHANNELS = 33, RINGS = 32, CLASSES = 17, CLASS_ROWS = 18, WIDTH = 64 };
enum { RELU = 0, SOFTPLUS = 1, TANH = 2 };
enum { MOST_TOGETHER = 5 };

/* A sparse matrix by pairs of rows. A pair's columns come in three runs: those both rows have (two weights each,
 * interleaved), those only the first has, those only the second has. `order` says where each weight, in the order
 * of use, lies in the vector of synapses. A pair whose second row is -1 is a single row.
 *
 * A large network's rows are computed strip by strip. Of time steps that are computed together, each begins `shift`
 * strips after the first strip of the one before it, and goes round; its strip number k, counted from there and from 0,
 * needs none of the one before it after number k + lag, with shift <= lag. */
typedef struct {
    int64_t pairs, synapses, shift, lag;
    const int32_t *rows;    /* (pairs, 2) */
    const int32_t *counts;  /* (pairs, 3) */
    const int32_t *columns; /* runs of all pairs, end to end */
    const int64_t *order;   /* (synapses,) */
    const int32_t *fresh;        /* the columns in order of their first use */
    const int32_t *fresh_counts; /* (pairs,): how many of them each pair is the first to use */
} Pairs;

/* Six parameters, or their gradients, of the precision the kernel is called in. */
typedef struct {
    void *recurrent;    /* (synapses,) */
    void *input;        /* (neurons, CHANNELS) */
    void *rule;         /* (neurons, tasks) */
    void *bias;         /* (neurons,) */
    void *readout;      /* (CLASSES, neurons) */
    void *readout_bias; /* (CLASSES,) */
} Parameters;

typedef struct {
    int64_t neurons, tasks, steps, batch;
    int64_t nonlinearity;
    int64_t strip;     /* rows in a strip, a multiple of 4; 0 = the network is small, and computed whole */
    int64_t together;  /* time steps that are computed together where there are strips, 1 to MOST_TOGETHER */
    int64_t gradients; /* 0 = forward pass only, 1 = also the gradients, 2 = only the two passes, for measurements */
    double leak;
    Pairs rows;      /* by postsynaptic neuron: columns are presynaptic */
    Pairs transpose; /* by presynaptic neuron: columns are postsynaptic */
    Parameters values, grads;
    const void *observations;  /* (steps, batch, CHANNELS) */
    const int64_t *rules;      /* (steps, batch), 0 <= rule < tasks */
    const int64_t *labels;     /* (steps, batch), -1 = not in the loss */
    const int64_t *lengths;    /* (batch,), 1 <= length <= steps: later time steps are not computed */
    const void *initial_state; /* (batch, neurons) or null = 0 */
    const void *noise;         /* (steps, batch, neurons) or null = none */
    void *logits;              /* (steps, batch, CLASSES) or null; entries after a trial's end are left alone */
    void *states;              /* (steps, batch, neurons) or null; likewise */
    double loss;               /* out: mean cross-entropy over the time steps with a label */
    void *workspace;           /* 64-byte aligned */
    int64_t workspace_bytes;
} Problem;

#endif
