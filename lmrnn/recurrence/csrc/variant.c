typedef int lmrnn_empty;
