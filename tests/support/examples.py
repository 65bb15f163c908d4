"""How thoroughly hypothesis searches: by the profile that a run names (`--hypothesis-profile`).

A test says how many examples are thorough. `ci` tries four tenths of them, the same every time (`make test`): what
those don't find today they never find. `quick` tries a tenth, for a look between two edits (`make test-unit`).
`explore` tries ten times as many at random (`make explore`): what it finds becomes an `@example` in its test.
"""

from hypothesis import settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

_SHARES = {"quick": 0.1, "ci": 0.4, "explore": 10.0}
_FEWEST = 10

# A deadline per example fails on a busy machine and says nothing about the code.
for _name, _share in _SHARES.items():
    settings.register_profile(
        _name, max_examples=int(100 * _share), deadline=None, derandomize=_name != "explore", print_blob=True
    )
settings.load_profile("ci")


def explores() -> bool:
    """Return whether this run is `make explore`, which has time."""
    return settings.get_current_profile_name() == "explore"


# Hypothesis has no setting for it.
_found = providers._get_local_constants


def _constants() -> Constants:
    """The constants of our modules, of which hypothesis makes examples; none where examples are the same every time.

    It takes those of the modules that are loaded, so that a test's examples would depend on the tests before it.
    """
    return _found() if explores() else Constants()


providers._get_local_constants = _constants


def examples(number: int) -> int:
    """The number of examples under the profile of this run, of so many that are thorough."""
    return max(_FEWEST, int(number * _SHARES.get(settings.get_current_profile_name(), 1.0)))
