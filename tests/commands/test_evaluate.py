"""`dlseg evaluate`: a network is scored on the classes it knows, and on no others."""

import pytest

from dlseg.checks import CommandError
from dlseg.commands.evaluate import check_names


def test_names_of_classes_that_differ_are_counted_and_the_first_is_told():
    check_names(None, ("a", "b"))  # a checkpoint that does not tell them
    check_names(["a", "b"], ("a", "b"))
    with pytest.raises(CommandError, match="2 of 3 names differ, the first 'b' and 'x'; give"):
        check_names(["a", "b", "c"], ("a", "x", "b"))
    with pytest.raises(ValueError, match="the model has 1 classes and the data set 2"):
        check_names(["a"], ("a", "b"))
