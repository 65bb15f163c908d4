"""The use cases run between fakes."""

import pytest

from support.world import World


@pytest.fixture
def world() -> World:
    return World()
