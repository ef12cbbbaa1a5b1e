from mdepth_jax.data.builders.raw import RawSplit, partition_split, read_examples
from mdepth_jax.errors import UserError


class Numbers:
    """Examples that are named by their number; odd ones are invalid."""

    name, map_keys, max_pairs = "numbers", (), 0

    def __init__(self, count):
        self.entries = range(count)

    def load_checked(self, index):
        number = self.entries[index]
        if number % 2:
            raise UserError(f"{number} is odd")
        return {"name": str(number)}


def test_errors_replace_invalid_examples():
    assert isinstance(Numbers(1), RawSplit)
    read = dict(read_examples(Numbers(4), first_index=100))
    assert {index: str(example) for index, example in read.items()} == {
        100: "{'name': '0'}", 101: "1 is odd", 102: "{'name': '2'}", 103: "3 is odd",
    }  # fmt: skip


def test_parts_cover_a_split_once():
    split = Numbers(150)
    parts = list(partition_split(split))
    assert len(parts) > 1
    assert [number for part, _ in parts for number in part.entries] == list(range(150))
    together = [(index, str(read)) for part in parts for index, read in read_examples(*part)]
    assert together == [(index, str(read)) for index, read in read_examples(split)]
    assert not list(partition_split(Numbers(0)))
