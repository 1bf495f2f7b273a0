"""A checkpoint of an untrained network, for the commands that read one."""

import pytest

from tests.commands.checkpoints import write_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("run") / "last.pt")
