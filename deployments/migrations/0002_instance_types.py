"""The instance types that come with the studio; types that exist already are left as they are."""

from django.db import migrations

from deployments.catalogue import CATALOGUE


def add(apps, schema_editor):
    InstanceType = apps.get_model("deployments", "InstanceType")
    for size in CATALOGUE:
        InstanceType.objects.get_or_create(name=size.name, defaults=size.columns())


def remove(apps, schema_editor):
    apps.get_model("deployments", "InstanceType").objects.filter(name__in=[size.name for size in CATALOGUE]).delete()


class Migration(migrations.Migration):
    dependencies = [("deployments", "0001_initial")]
    operations = [migrations.RunPython(add, remove)]
