"""Reading of a data set on Apache Beam, for sets that outgrow one machine (the optional extra `beam`)."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mdepth_jax.data.builders.raw import RawSource, read_part
from mdepth_jax.errors import UserError

try:
    import apache_beam as beam
except ImportError:
    raise UserError('Apache Beam is not installed; run `pip install "mdepth_jax[beam]"`') from None


@beam.ptransform_fn
def read_examples(
    begin: beam.pvalue.PBegin, parts: Iterable[tuple[int, RawSource]], problems: Path
) -> beam.PCollection:
    """Reads the parts of a split in parallel.

    Args:
        begin: Of the pipeline.
        parts: The index of each part's first example, and the part.
        problems: The file for what is wrong with bad entries: a line of index, tab and message for each.

    Returns:
        The good examples, each with its index.
    """
    read = begin | beam.Create(parts) | beam.Reshuffle() | beam.FlatMap(_read).with_outputs("bad", main="good")
    read.bad | beam.io.WriteToText(str(problems), shard_name_template="")
    return read.good


def _read(part: tuple[int, RawSource]) -> Iterator:
    for index, read in read_part(*part):
        yield beam.pvalue.TaggedOutput("bad", f"{index}\t{read}") if isinstance(read, UserError) else (index, read)
