NAME = "the sibling"
