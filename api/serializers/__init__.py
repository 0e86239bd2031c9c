"""What crosses the door: Azure's camelCase in, the studio's words out, and back."""
