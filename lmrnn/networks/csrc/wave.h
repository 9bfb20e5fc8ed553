/* The order in which a large network is computed: strips of rows, several time steps together.
 *
 * The states and weights of a very large network are more than the caches hold. Time step after time step, all of them
 * would come from afar each time. So a time step follows the one before it as closely as the synapses allow: what it
 * reads is still near. On a torus the first strip needs the last: each time step begins where it finds its neighbours
 * on both sides computed, and goes round.
 */
#ifndef LMRNN_WAVE_H
#define LMRNN_WAVE_H

#include "gather.h"

/* Strips of one time step that are computed before it is the next one's turn. */
enum { IN_A_ROW = 8 };

/* Computes the strip at a cursor for time step t, and says whether it is the first of it; returns what follows. */
typedef Cursor Compute(Block *b, int64_t t, Cursor c, int starts);

/* Time steps t, t + direction, ... (`count` of them, at most MOST_TOGETHER). */
static void wave(Block *b, const Pairs *pairs, const REAL *weights, int64_t t, int64_t direction, int64_t count,
                 Compute *compute) {
    const int64_t strips = (b->neurons + b->strip - 1) / b->strip;
    int64_t done[MOST_TOGETHER] = {0};
    Cursor at[MOST_TOGETHER + 1]; /* a time step leaves the next one's first strip there when it comes past */
    at[0] = begin(pairs, weights);
    for (int64_t front = IN_A_ROW; done[count - 1] < strips; front += IN_A_ROW)
        for (int64_t i = 0, until = front; i < count && until > 0; i++, until = done[i - 1] - pairs->lag) {
            if (until > strips || (i && done[i - 1] == strips)) until = strips;
            for (; done[i] < until; done[i]++) {
                if ((done[i] + i * pairs->shift) % strips == 0) at[i] = begin(pairs, weights);
                if (done[i] == pairs->shift) at[i + 1] = at[i];
                at[i] = compute(b, t + i * direction, at[i], done[i] == 0);
            }
        }
}

#endif
