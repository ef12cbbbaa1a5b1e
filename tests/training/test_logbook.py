import numpy as np

from mdepth_jax.training.logbook import Logbook, append_record, read, read_records, write_records


def test_a_resumed_record_continues_at_the_checkpoint(tmp_path):
    book = Logbook(tmp_path, 0, 10)
    for step in (2, 4, 6):
        book.write(step, {"total": step / 2})
    book.close()
    assert [record["step"] for record in read(tmp_path)] == [2, 4, 6]
    again = Logbook(tmp_path, 4, 10)
    assert again.records == [{"step": 2, "total": 1.0}, {"step": 4, "total": 2.0}]
    again.write(6, {"total": 7.0})
    again.close()
    assert read(tmp_path) == again.records == [*again.records[:2], {"step": 6, "total": 7.0}]


def test_events_for_tensorboard(tmp_path):
    book = Logbook(tmp_path, 0, 10)
    book.write(2, {"loss/ranking": 0.5})
    book.image(2, "predictions", np.zeros((4, 6, 3), np.uint8))
    book.advance(2, "a note")
    book.close()
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"loss/ranking" in content
    assert b"predictions" in content


def test_hosts_other_than_the_first_write_nothing(tmp_path, capsys):
    book = Logbook(tmp_path, 0, 10, writes=False)
    book.write(2, {"total": 1.0})
    book.advance(2, "a note")
    book.say("a line")
    book.close()
    assert book.records == [{"step": 2, "total": 1.0}]
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == ""


def test_lines_above_the_progress_bar(tmp_path, capsys):
    book = Logbook(tmp_path, 0, 10)
    book.say("epoch 1")
    book.close()
    assert "epoch 1\n" in capsys.readouterr().out


def test_a_line_that_a_crash_has_cut_short_is_left_out(tmp_path):
    path = tmp_path / "records.jsonl"
    assert read_records(path) == []
    write_records(path, [{"step": 1}])
    append_record(path, {"step": 2})
    with path.open("a") as file:
        file.write('{"step": 3, "tot')
    assert read_records(path) == [{"step": 1}, {"step": 2}]
    write_records(path, [{"step": 5}])
    assert read_records(path) == [{"step": 5}]
