"""Publishing outcomes and committing offsets, with either guarantee."""
