"""For all tests: one thread each, so that results do not depend on the machine and two workers do not fight."""

import signal

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_is_heard():
    """A shell's background jobs ignore SIGINT, and so would the tests of Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
