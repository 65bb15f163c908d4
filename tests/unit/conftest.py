"""What every unit test gets: no network, and hypothesis without a clock."""

from collections.abc import Iterator

import pytest
import pytest_socket
from hypothesis import settings

# A deadline per example fails on a busy machine and says nothing about the code.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def no_sockets() -> Iterator[None]:
    pytest_socket.disable_socket()
    yield
    pytest_socket.enable_socket()
