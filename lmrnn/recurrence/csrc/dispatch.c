const char *lmrnn_variant(void) { return "none"; }
