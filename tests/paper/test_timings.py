from mdepth_jax.paper.timings import format_timings
from tests.paper.runs import make_run

HERE = {"setting": "Intel i7, 8 cores, 5 x 10 runs", "model": "m.tflite", "input": "1x256x256x3 uint8", "p50_ms": 12.34,
        "weights": "1234567890"}  # fmt: skip


def on_phone(delegate, milliseconds, ran_on=None, device="SM-G991B, 1 threads", **changes):
    times = {"p50_ms": None, "mean_ms": milliseconds} if milliseconds else {}
    return {"setting": device, "model": "m.tflite", "input": "1x256x256x3 uint8", "asked_for": delegate,
            "ran_on": ran_on or delegate, "weights": "1234567890", **times, **changes}  # fmt: skip


def test_a_row_for_every_file_on_every_device():
    timings = [HERE, on_phone("CPU", 50.0), on_phone("GPU", 30.0, "GPU in part"), on_phone("NNAPI", None, "failed: no")]
    here, phone, *paper = format_timings([make_run("kd_diw", timings=timings)])
    assert here == {
        "device": "Intel i7, 8 cores, 5 x 10 runs", "": "table6_hard_easy (m.tflite)", "input": "1x256x256x3 uint8",
        "CPU": "12.3", "GPU": "", "NNAPI": "",
    }  # fmt: skip
    assert (phone["CPU"], phone["GPU"], phone["NNAPI"]) == ("50.0", "30.0 (on GPU in part)", "failed: no")
    assert [row["device"] for row in paper] == ["Samsung Galaxy S21"] * 6  # SM-G991 is that phone
    assert [row for row in paper if row[""] == "paper: Ours"] == [
        {"device": "Samsung Galaxy S21", "": "paper: Ours", "input": "256x256", "CPU": "54", "GPU": "27", "NNAPI": "43"}
    ]


def test_the_paper_is_shown_for_its_own_phones_alone():
    [row] = format_timings([make_run("kd_diw", timings=[on_phone("CPU", 50.0, device="Pixel 8, 1 threads")])])
    assert row["device"] == "Pixel 8, 1 threads"


def test_files_of_other_weights_are_named():
    rows = format_timings([make_run("kd_diw", timings=[HERE, HERE | {"model": "midas.tflite", "weights": ""}])])
    assert [row[""] for row in rows] == ["table6_hard_easy (m.tflite)", "midas.tflite, other weights"]
