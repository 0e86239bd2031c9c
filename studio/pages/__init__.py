"""Pages about the installation itself: sign in, home, health."""
