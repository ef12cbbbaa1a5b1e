from mdepth_jax.data import pipeline_timing


def test_images_per_second_of_given_times(monkeypatch):
    """A batch is larger than the images of a round; the clock shows 6 seconds one by one and 2 in the pipeline."""
    results, seconds = [], iter([6.0, 2.0])
    monkeypatch.setattr(
        pipeline_timing.timeit, "timeit", lambda function, number: results.append(function()) or next(seconds)
    )
    rows = pipeline_timing.benchmark_pipeline(batch_size=48, height=12, width=16, rounds=1)
    one_by_one, batches = results
    assert len(one_by_one) == sum(len(batch["image"]) for batch in batches) == 48
    assert rows == [
        {"source": "scenes, one by one", "images_per_second": 8, "times_faster": 1},
        {"source": "scenes, pipeline", "images_per_second": 24, "times_faster": 3},
    ]
