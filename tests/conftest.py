"""For all tests: one thread each, so that results do not depend on the machine and two workers do not fight."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)
