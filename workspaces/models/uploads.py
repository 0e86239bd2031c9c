"""Files that were sent ahead of what they are registered as."""

from __future__ import annotations

from django.db import models

from workspaces.models.people import Workspace


class UploadedFile(models.Model):
    """A complete file under a container's path. Its content lies in the store; it is gone after a day unless registered.

    `path_sha256` stands for container and path in the unique constraint, since paths may be longer than an index allows.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="uploaded_files")
    container = models.CharField(max_length=63)
    path = models.CharField(max_length=1024)
    path_sha256 = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    metadata = models.JSONField(default=dict, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "container", "path_sha256"], name="uploaded_file_once_per_path"
            )
        ]
        indexes = [
            # the files of a folder, when it is registered or listed
            models.Index(fields=["workspace", "container", "path"], name="uploaded_file_by_path"),
        ]

    def __str__(self) -> str:
        return f"{self.container}/{self.path}"
