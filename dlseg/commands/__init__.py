"""The command line of the library: train, evaluate, predict, export, crf, doctor."""

from dlseg.commands.doctor import examine, examine_data
