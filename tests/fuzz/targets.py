"""All that is fuzzed, in one table; and the faults among a number of inputs."""

import math
import re
from collections.abc import Iterable, Iterator

from tests.fuzz.commands import COMMANDS
from tests.fuzz.functions import FUNCTIONS
from tests.fuzz.harness import Target, fuzz
from tests.fuzz.known import KNOWN
from tests.fuzz.networks import NETWORK_FUNCTIONS
from tests.fuzz.readers import READERS

TARGETS = {target.name: target for target in (*FUNCTIONS, *NETWORK_FUNCTIONS, *READERS, *COMMANDS)}


def inputs(target: Target, total: int, among: Iterable[Target] = TARGETS.values()) -> range:
    """The numbers of the inputs that a target gets of so many for all, or for those `among`."""
    shares = sum(other.share for other in among)
    return range(math.ceil(total * target.share / shares))


def new_faults(target: Target, seed: int, numbers: range) -> Iterator[str]:
    """One line for each fault that is not known: what makes it again, and what it is."""
    for number, fault in fuzz(target, seed, numbers):
        if not (known := KNOWN.get(target.name)) or not re.search(known, fault):
            yield f"CASE='{target.name}:{seed}:{number}' {fault}"
