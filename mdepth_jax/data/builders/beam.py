"""Reading of splits on Apache Beam, for data sets that outgrow one machine (the optional extra `beam`)."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mdepth_jax.data.builders.raw import RawSplit, read_examples
from mdepth_jax.errors import UserError

try:
    import apache_beam as beam
except ImportError:
    raise UserError('Apache Beam is not installed; run: python -m pip install "mdepth_jax[beam]"') from None


@beam.ptransform_fn
def read_in_parallel(
    begin: beam.pvalue.PBegin, parts: Iterable[tuple[RawSplit, int]], problems: Path
) -> beam.PCollection:
    """Reads the parts of a split in parallel.

    Args:
        begin: Start of the pipeline.
        parts: Each part of the split with the index of its first example.
        problems: Text file to which invalid examples are written, one line each: index, tab, error message.

    Returns:
        The valid examples, each with its index.
    """
    read = begin | beam.Create(parts) | beam.Reshuffle() | beam.FlatMap(_read).with_outputs("bad", main="good")
    read.bad | beam.io.WriteToText(str(problems), shard_name_template="")
    return read.good


def _read(part: tuple[RawSplit, int]) -> Iterator:
    for index, read in read_examples(*part):
        yield beam.pvalue.TaggedOutput("bad", f"{index}\t{read}") if isinstance(read, UserError) else (index, read)
