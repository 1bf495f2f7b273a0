"""A sample is the same every time, and nothing of a sweep is lost."""

import pytest

from tests.sampling import sampled


def test_the_rest_is_nightly():
    cases = sampled(range(20), 5)
    kept = [case for case in cases if isinstance(case, int)]
    rest = [case.values[0] for case in cases if not isinstance(case, int)]
    assert len(kept) == 5 and sorted(kept + rest) == list(range(20))
    assert all(case.marks[0].name == "nightly" for case in cases if not isinstance(case, int))
    assert cases == sampled(range(20), 5) != sampled(range(20), 5, seed=1)


def test_kept_by_name():
    cases = sampled([("a", 1), ("b", 2)], [("b", 2)])
    assert cases[1] == ("b", 2) and cases[0].values == ("a", 1)
    with pytest.raises(ValueError, match="keep must name some of the cases"):
        sampled("ab", ["c"])
    with pytest.raises(ValueError, match="keep must name some of the cases"):
        sampled("ab", 0)
