import socket

import pytest
from pytest_socket import SocketBlockedError


def test_unit_tests_have_no_network() -> None:
    with pytest.warns(UserWarning, match="tried to use socket"), pytest.raises(SocketBlockedError):
        socket.socket()
