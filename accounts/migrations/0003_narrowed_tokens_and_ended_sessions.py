"""Whether a token is narrowed is a fact of its own, and so is how often a user's sessions were ended.

Tokens with grants become narrowed. A token whose grants had all gone before this migration cannot be told from one that
never had any: it stays as wide as its user.
"""

from django.db import migrations, models


def narrow_those_with_grants(apps, schema_editor):
    apps.get_model("accounts", "ApiToken").objects.filter(grants__isnull=False).update(narrowed=True)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_audit_is_append_only")]
    operations = [
        migrations.AlterModelOptions("apitoken", {"ordering": ("-created",), "verbose_name": "token"}),
        migrations.AddField("apitoken", "narrowed", models.BooleanField(default=False)),
        migrations.AddField("user", "sessions_ended", models.PositiveIntegerField(default=0)),
        migrations.RunPython(narrow_those_with_grants, migrations.RunPython.noop),
    ]
