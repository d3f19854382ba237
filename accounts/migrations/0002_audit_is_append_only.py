"""The database itself refuses to change an audit entry, whoever asks and by whatever way.

SQLite rebuilds a table for most alterations and loses its triggers: a later migration that alters the audit's table
must set the trigger up again (a test notices when it is missing). Removing stays possible, for the retention of
accounts.audit.forget_before and for Django's `flush`, which on SQLite empties every table with DELETE.
"""

from django.db import migrations

SENTENCE = "The audit is append-only."

POSTGRESQL = [
    f"""
    CREATE OR REPLACE FUNCTION accounts_audit_refuses_updates() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '{SENTENCE}';
    END $$
    """,
    """
    CREATE TRIGGER accounts_audit_refuses_updates BEFORE UPDATE ON accounts_auditentry
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_refuses_updates()
    """,
]
POSTGRESQL_BACK = [
    "DROP TRIGGER IF EXISTS accounts_audit_refuses_updates ON accounts_auditentry",
    "DROP FUNCTION IF EXISTS accounts_audit_refuses_updates()",
]
SQLITE = [
    f"""
    CREATE TRIGGER accounts_audit_refuses_updates BEFORE UPDATE ON accounts_auditentry
    BEGIN
        SELECT RAISE(ABORT, '{SENTENCE}');
    END
    """
]
SQLITE_BACK = ["DROP TRIGGER IF EXISTS accounts_audit_refuses_updates"]


def protect(apps, schema_editor):
    for statement in {"postgresql": POSTGRESQL, "sqlite": SQLITE}[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


def unprotect(apps, schema_editor):
    for statement in {"postgresql": POSTGRESQL_BACK, "sqlite": SQLITE_BACK}[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(protect, unprotect)]
