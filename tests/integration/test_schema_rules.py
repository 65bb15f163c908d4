"""Rules for every function of the schema, whichever revision made it."""

from support.postgres import SilverInPostgres

OWN_FUNCTIONS = """
    SELECT p.oid::regprocedure::text, p.prosecdef, p.proconfig,
           p.prorettype = 'trigger'::regtype OR p.provolatile <> 'v', has_schema_privilege('public', n.oid, 'USAGE'),
           EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0)
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


def test_function_of_the_owner_s_rights_looks_nowhere_but_where_it_says(tables: SilverInPostgres) -> None:
    # Without its own search_path, it would take a caller's tables and operators for its own, with its owner's rights.
    found = {row[0]: row[1:] for row in tables.query(OWN_FUNCTIONS) if row[1]}

    assert len(found) >= 3
    for name, (_, options, writes_nothing_when_called, is_in_reach_of_all, is_public) in found.items():
        [path] = [option.partition("=")[2] for option in options or [] if option.startswith("search_path=")] or [""]
        assert [entry.strip(' "') for entry in path.split(",")] == ["pg_catalog", "pg_temp"], name
        # A trigger's can't be called, and what reads is for whoever may use the schema; the others are for roles.
        assert not is_in_reach_of_all, name
        assert writes_nothing_when_called or not is_public, name
