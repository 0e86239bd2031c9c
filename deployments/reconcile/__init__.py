"""Making it so, one step at a time. plan: which steps; steps: how; instances: rows and driver; machine: the loop; watch: all."""
