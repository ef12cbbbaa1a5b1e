"""The figures of the paper, and runs compared with them."""
