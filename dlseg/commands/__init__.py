"""The command line of the library: train, evaluate, predict, export, crf, doctor."""
