import numpy as np
import pytest

from mdepth_jax.data.pairs import (
    NO_PAIRS,
    draw_pairs,
    net_coordinates,
    parse_pairs,
    ratio_relation,
    sample_ratio_pairs,
    scan_pairs,
    write_pairs,
)
from mdepth_jax.errors import UserError

GOOD = """\
./images/a.jpg
1,2,30,40,>,40,30
images/b.jpg
5,6,7,8,<,20,10
images/a.jpg
3,3,4,4,=,40,30
"""


def write(tmp_path, text):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    return path


def test_pairs_of_one_image_are_grouped(tmp_path):
    a, b = parse_pairs(write(tmp_path, GOOD))
    assert (a.path, a.size, a.line) == ("images/a.jpg", (30, 40), 2)
    np.testing.assert_array_equal(a.points, [[[0, 1], [29, 39]], [[2, 2], [3, 3]]])
    np.testing.assert_array_equal(a.relation, [1, 0])
    assert (b.path, b.size, b.line) == ("images/b.jpg", (10, 20), 4)
    np.testing.assert_array_equal(b.relation, [-1])


def test_windows_line_ends_and_empty_lines(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    assert [image.path for image in parse_pairs(path)] == ["images/a.jpg", "images/b.jpg"]


def test_write_and_read_again(tmp_path):
    images = parse_pairs(write(tmp_path, GOOD))
    write_pairs(tmp_path / "again.csv", images)
    for image, again in zip(images, parse_pairs(tmp_path / "again.csv"), strict=True):
        assert image.path == again.path
        assert image.size == again.size
        np.testing.assert_array_equal(image.points, again.points)
        np.testing.assert_array_equal(image.relation, again.relation)


@pytest.mark.parametrize(
    ("line", "text", "reason"),
    [
        (2, "images/a.jpg\n1,2,30,40,>,40\n", "7 fields"),
        (2, "images/a.jpg\n1,2,30,40,>,40,30,9\n", "7 fields"),
        (2, "images/a.jpg\n1,x,30,40,>,40,30\n", "must be integers"),
        (2, "images/a.jpg\n1,2.5,30,40,>,40,30\n", "must be integers"),
        (2, "images/a.jpg\n1,2,30,40,!,40,30\n", "relation"),
        (2, "images/a.jpg\n1,2,31,40,>,40,30\n", "outside"),
        (2, "images/a.jpg\n0,2,30,40,>,40,30\n", "outside"),
        (2, "images/a.jpg\n1,0,30,40,>,40,30\n", "point y=1 x=0 lies outside"),
        (2, "images/a.jpg\n1,2,30,41,>,40,30\n", "point y=30 x=41 lies outside"),
        (2, "images/a.jpg\n1,2,3,4,>\n", "7 fields"),
        (2, "images/a.jpg\nimages/b.jpg\n1,2,3,4,>,40,30\n", "line missing"),
        (1, "1,2,3,4,>,40,30\nimages/b.jpg\n1,2,3,4,>,40,30\n", "without the line of their image"),
        (3, "images/a.jpg\n1,2,3,4,>,40,30\nimages/b.jpg\n", "line missing"),
        (4, "images/a.jpg\n1,2,3,4,>,40,30\nimages/a.jpg\n1,2,3,4,>,30,40\n", "40x30 in line 2"),
        (1, "", "no pairs"),
        (1, "\n\n", "no pairs"),
    ],
)
def test_error_names_file_and_line(tmp_path, line, text, reason):
    path = write(tmp_path, text)
    with pytest.raises(UserError, match=reason) as error:
        parse_pairs(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(error.value)


def test_scan_resumes_after_an_error(tmp_path):
    text = (
        "a.jpg\nb.jpg\n1,2,3,4,>,40,30\n"  # the labels of a are missing
        "1,2,3,4,<,40,30\nc.jpg\n1,2,3,4,<,40,30\n"  # the path before c is missing
        "d.jpg\n1,2,3,4,?,40,30\ne.jpg\n1,2,3,4,=,40,30\n"
    )
    images, problems = scan_pairs(write(tmp_path, text))
    assert [image.path for image in images] == ["b.jpg", "c.jpg", "e.jpg"]
    assert [str(problem).split(":")[1] for problem in problems] == ["2", "4", "8"]
    with pytest.raises(UserError, match=r"pairs\.csv:2: "):
        parse_pairs(tmp_path / "pairs.csv")


def test_a_long_file(tmp_path):
    images = parse_pairs(write(tmp_path, "".join(f"{number}.jpg\n1,2,3,4,>,40,30\n" for number in range(200))))
    assert [(image.path, image.line) for image in images] == [
        (f"{number}.jpg", 2 * number + 2) for number in range(200)
    ]


def test_no_pairs_are_as_those_that_are_read(tmp_path):
    (image, _) = parse_pairs(write(tmp_path, GOOD))
    for empty, read in zip(NO_PAIRS, (image.points, image.relation), strict=True):
        assert (empty.shape, empty.dtype) == ((0, *read.shape[1:]), read.dtype)


def test_a_path_may_hold_commas(tmp_path):
    (image,) = parse_pairs(write(tmp_path, "a, b, c, d.jpg\n1,2,3,4,>,40,30\n"))
    assert image.path == "a, b, c, d.jpg"


def test_pairs_without_a_size_are_not_written(tmp_path):
    (image, _) = parse_pairs(write(tmp_path, GOOD))
    with pytest.raises(ValueError, match=r"images/a\.jpg has no size"):
        write_pairs(tmp_path / "again.csv", [image._replace(size=None)])


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        parse_pairs(tmp_path / "none.csv")
    with pytest.raises(UserError, match="cannot be read"):
        parse_pairs(tmp_path)
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UserError, match="not a text file"):
        parse_pairs(binary)


def test_pairs_of_a_flat_image_are_missing_and_those_of_a_step_are_exact():
    rng = np.random.default_rng(0)
    points, relation = draw_pairs(np.ones((8, 10), np.float32), rng, 6)
    assert points.shape == (0, 2, 2)
    assert relation.shape == (0,)
    step = np.where(np.arange(10) < 5, 1, 3).astype(np.float32) * np.ones((8, 1), np.float32)
    points, relation = draw_pairs(step, rng, 50)
    assert len(relation) == 50
    np.testing.assert_array_equal(relation, np.where(points[:, 0, 1] >= 5, 1, -1))
    assert draw_pairs(step, rng, 50, min_ratio=2.9)[1].size == 50
    assert draw_pairs(step, rng, 50, min_ratio=3.0)[1].size == 0


def test_half_of_the_drawn_pairs_are_symmetric_about_the_vertical_center_line():
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 9, (40, 61)).astype(np.float32)
    firsts, odd = set(), set()
    for _ in range(12):
        points, _ = draw_pairs(depth, rng, 100)
        (ya, xa), (yb, xb) = np.moveaxis(points, (1, 2), (0, 1))
        symmetric = (ya == yb) & (xa + xb == 60)
        first = bool(symmetric[::2].all())
        assert symmetric[0 if first else 1 :: 2].all()
        assert symmetric[1 if first else 0 :: 2].mean() < 0.1
        assert (np.ptp(ya), np.ptp(xa)) > (30, 45)
        firsts.add(first)
        odd.add(len(draw_pairs(depth, rng, 1)[0]))
    assert firsts == {True, False}
    assert odd == {1}


def test_the_depths_of_a_drawn_pair_differ_by_the_ratio():
    depth = np.random.default_rng(0).uniform(1, 1.3, (20, 30)).astype(np.float32)
    for options, ratio in (({}, 1.1), ({"min_ratio": 1.2}, 1.2)):
        points, _ = draw_pairs(depth, np.random.default_rng(1), 300, **options)
        values = depth[points[..., 0], points[..., 1]]
        found = values.max(1) / values.min(1)
        assert len(found) > 290
        assert ratio < found.min() < ratio + 0.01


def test_no_point_of_a_drawn_pair_is_unknown():
    rng = np.random.default_rng(1)
    depth = rng.uniform(1, 9, (12, 16)).astype(np.float32)
    depth[:3] = np.nan
    depth[:, :2] = np.nan
    depth[rng.random(depth.shape) < 0.2] = np.nan
    points, relation = draw_pairs(depth, rng, 200)
    assert len(relation) > 150
    a, b = depth[tuple(points[:, 0].T)], depth[tuple(points[:, 1].T)]
    np.testing.assert_array_equal(relation, np.sign(a - b))
    assert draw_pairs(np.full((4, 4), np.nan, np.float32), rng, 3)[1].size == 0


def test_coordinates_match_the_originals(golden):
    for case in golden("diw_coordinates"):
        net_size = tuple(case["net_hw"].tolist())
        for row, (width, height), label, net, lua, original in zip(
            case["csv_yA_xA_yB_xB"],
            case["orig_wh"].tolist(),
            case["label"],
            case["yt3d_train_target"],
            case["lua_train_1based"],
            case["yt3d_val_target"],
            strict=True,
        ):
            points = (row - 1).astype(np.int32).reshape(2, 2)
            np.testing.assert_array_equal(points.ravel(), original[:4])
            found = net_coordinates(points, (height, width), net_size)
            np.testing.assert_array_equal(found.ravel(), net[:4])
            nudged = (found[0] == found[1]).all()
            assert nudged or (found.ravel() + 1 == lua[:4]).all()
            assert label == net[4]


def test_coordinates_cover_the_net_and_stay_inside():
    points = np.stack(np.indices((30, 40)), axis=-1).astype(np.int32).reshape(-1, 2)
    found = net_coordinates(points, (30, 40), (7, 11))
    np.testing.assert_array_equal(found.min(0), [0, 0])
    np.testing.assert_array_equal(found.max(0), [6, 10])


def test_golden_csv_lines_parse(tmp_path, golden):
    case = golden("diw_coordinates")[0]
    symbols = {1: ">", -1: "<"}
    text = "".join(
        f"./DIW_test/{number}.thumb\n{ya},{xa},{yb},{xb},{symbols[label]},{width},{height}\n"
        for number, ((ya, xa, yb, xb), label, (width, height)) in enumerate(
            zip(
                case["csv_yA_xA_yB_xB"].tolist(),
                case["label"].tolist(),
                case["orig_wh"].tolist(),
                strict=True,
            )
        )
    )
    images = parse_pairs(write(tmp_path, text))
    np.testing.assert_array_equal([image.relation[0] for image in images], case["label"])
    np.testing.assert_array_equal(np.stack([image.points.ravel() for image in images]), case["yt3d_val_target"][:, :4])
    np.testing.assert_array_equal([image.size for image in images], case["val_res_hw"])


def test_golden_ratio_relations(golden):
    for case in golden("redweb_relations"):
        # The last case holds pixels of the original map.
        depth = case["depth_net"] if case["target"].shape[1] == 3000 else case["depth_png"]
        ya, xa, yb, xb, label = case["target"]
        found = ratio_relation(depth[ya, xa].astype(np.float32), depth[yb, xb].astype(np.float32))
        np.testing.assert_array_equal(found, label)


def test_ratio_relation_at_its_borders():
    a, b = np.array([[102, 101, 100, 0, 5, 0, np.nan, np.inf], [100, 100, 102, 0, 0, 5, 1, 1]], np.float64)
    np.testing.assert_array_equal(ratio_relation(a, b), [1, 0, -1, 0, 1, -1, 0, 1])
    np.testing.assert_array_equal(ratio_relation(a[:3], b[:3], tau=0.005), [1, 1, -1])


def test_sampled_pairs_are_known_pixels_with_their_relation():
    depth = np.random.default_rng(0).uniform(1, 1.2, (11, 7)).astype(np.float32)
    depth[2:5] = np.nan
    points, relation = sample_ratio_pairs(depth, np.random.default_rng(1))
    assert (points.shape, points.dtype, relation.shape, relation.dtype) == ((3000, 2, 2), np.int32, (3000,), np.int32)
    a, b = depth[points[..., 0], points[..., 1]].T
    assert np.isfinite([a, b]).all()
    np.testing.assert_array_equal(relation, np.select([a / b >= 1.02, b / a >= 1.02], [1, -1], 0))
    assert set(relation.tolist()) == {-1, 0, 1}
    drawn = np.unique(points[:, 0] @ [7, 1])
    np.testing.assert_array_equal(drawn, np.flatnonzero(np.isfinite(depth)))


def test_sampled_pairs_follow_the_generator():
    depth = np.random.default_rng(0).uniform(1, 2, (5, 6))
    first, again, other = (sample_ratio_pairs(depth, np.random.default_rng(seed), 20)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(("depth", "pairs"), [([[np.nan, np.inf]], 0), ([[2.0]], 5), ([[0.0, np.nan]], 5)])
def test_sampling_with_little_known_depth(depth, pairs):
    points, relation = sample_ratio_pairs(np.array(depth, np.float32), np.random.default_rng(0), 5)
    assert points.shape == (pairs, 2, 2)
    assert not points.any()
    assert not relation.any()
    assert relation.shape == (pairs,)
