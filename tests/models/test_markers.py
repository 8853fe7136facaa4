"""Poses of printed markers: exact where the corners are, doubted where they could lie, and sheets at exact scale."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pictures
from scipy.spatial.transform import Rotation

from vgps_models.errors import DataError, MissingDependencyError, SpecError, UnknownNameError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.corners import refine
from vgps_models.keypoints.marker_set import FORM, Base, Board, MarkerSet, Worn
from vgps_models.keypoints.marker_sheet import INCH, RULER, marker_face, pages, write_sheet
from vgps_models.keypoints.markers import CORNERS, Markers
from vgps_models.keypoints.opencv import dictionary
from vgps_models.keypoints.planar import Pose, Trust, planar_pose

cv2 = pytest.importorskip("cv2")
CAMERA = Intrinsics.of_fovy(640, 480, 45.0)
EDGE = 0.05
SQUARE = EDGE * CORNERS
ONE = MarkerSet(things={"carrot": Worn(40)})
FULL = MarkerSet.of(yaml.safe_load(FORM), "the form")


def pose(tilt: float, toward: float, yaw: float, far: float, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """Of a marker that leans by `tilt` from facing the camera; angles in degrees. (4, 4)"""
    lean = np.radians(tilt) * np.array([np.cos(np.radians(toward)), np.sin(np.radians(toward)), 0.0])
    made = np.eye(4)
    made[:3, :3] = (Rotation.from_rotvec(lean) * Rotation.from_euler("z", yaw, degrees=True)).as_matrix()
    made[:3, :3] = made[:3, :3] @ np.diag([1.0, -1.0, -1.0])
    made[:3, 3] = (x, y, far)
    return made


def corners(where: np.ndarray) -> np.ndarray:
    return CAMERA.project(SQUARE @ where[:3, :2].T + where[:3, 3])


def drawn(settings: MarkerSet, placed: list[tuple[int, np.ndarray]]) -> np.ndarray:
    """A grey picture with markers (id, pose) on white paper, (480, 640, 3)."""
    fine, picture = 4, np.full((480 * 4, 640 * 4), 128, np.uint8)
    for number, where in placed:
        face = np.pad(marker_face(settings, number, 240), 60, constant_values=255)
        seen = CAMERA.project(1.5 * SQUARE @ where[:3, :2].T + where[:3, 3])
        edges = np.array([[0, 0], [360, 0], [360, 360], [0, 360]]) - 0.5
        warp = cv2.getPerspectiveTransform(edges.astype(np.float32), (fine * (seen + 0.5) - 0.5).astype(np.float32))
        inside = cv2.warpPerspective(np.full_like(face, 255), warp, picture.shape[::-1]) > 127
        picture = np.where(inside, cv2.warpPerspective(face, warp, picture.shape[::-1]), picture)
    small = picture.reshape(480, fine, 640, fine).mean((1, 3)).round().astype(np.uint8)
    return np.repeat(small[..., None], 3, axis=2)


def turn(one: np.ndarray, two: np.ndarray) -> float:
    """[deg]"""
    return float(np.degrees(Rotation.from_matrix(one.T @ two).magnitude()))


def found(where: np.ndarray, pixels: np.ndarray | None = None, trust: Trust | None = None) -> Pose:
    made = planar_pose(SQUARE, corners(where) if pixels is None else pixels, CAMERA, trust or Trust())
    assert made is not None
    return made


@settings(max_examples=60)
@given(
    st.floats(0, 60), st.floats(-180, 180), st.one_of(st.sampled_from([0.0, 90.0, 180.0, -90.0]), st.floats(-180, 180)),
    st.floats(0.3, 1.5), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1),
)  # fmt: skip
def test_exact_corners_give_the_exact_pose(tilt, toward, yaw, far, x, y):
    where = pose(tilt, toward, yaw, far, x, y)
    made = found(where)
    assert made.position == pytest.approx(where[:3, 3], abs=1e-5) and turn(made.rotation, where[:3, :3]) < 0.05
    assert made.error < 1e-3 and 0 <= made.confidence <= 1


@pytest.mark.parametrize("yaw", [0, 90, 180, 270])
def test_a_marker_seen_squarely_from_the_front_is_no_exception(yaw: int):
    """There a rotation vector is half a turn long, and OpenCV's methods for flat figures return nonsense."""
    where = pose(0, 0, yaw, 0.5)
    assert turn(found(where).rotation, where[:3, :3]) < 1e-3


def test_confidence_falls_for_the_small_the_oblique_and_the_ambiguous():
    near, far, far_off = (found(pose(40, 20, 30, z)).confidence for z in (0.4, 1.0, 2.0))
    assert near > far > far_off and near > 0.8 > 0.3 > far_off
    front, side = (found(pose(tilt, 20, 30, 0.4)).confidence for tilt in (40, 75))
    assert side < 0.6 * front
    blurred = dataclasses.replace(Trust(), noise=2.0)  # then a small marker could as well lean the other way
    assert found(pose(25, 20, 30, 1.0), trust=blurred).confidence < 0.5 * found(pose(25, 20, 30, 1.0)).confidence


def test_depth_tells_which_way_a_small_marker_leans():
    random, wrong = np.random.default_rng(0), {"picture": 0, "depth": 0}
    v, u = np.mgrid[0:480, 0:640]
    rays = CAMERA.lift(np.stack([u, v], -1).astype(float), np.ones((480, 640)))
    noise = random.normal(0, 0.002, (480, 640))
    noise[random.random(noise.shape) < 0.1] = np.nan
    for _ in range(60):
        where = pose(30, random.uniform(-180, 180), random.uniform(-180, 180), 1.2)
        pixels = corners(where) + random.normal(0, 0.4, (4, 2))
        normal = where[:3, 2]
        depth = (normal @ where[:3, 3]) / (rays @ normal) + noise
        for name, given_depth in (("picture", None), ("depth", depth)):
            made = planar_pose(SQUARE, pixels, CAMERA, Trust(), depth=given_depth)
            wrong[name] += made is None or turn(made.rotation, where[:3, :3]) > 25
    assert wrong["picture"] > 6 and wrong["depth"] <= wrong["picture"] / 3


def test_corners_of_no_square_are_dropped():
    pixels = corners(pose(20, 0, 10, 0.5))
    pixels[0] += (14.0, -9.0)
    assert planar_pose(SQUARE, pixels, CAMERA, Trust()) is None


@pytest.mark.parametrize("yaw", [0.0, 33.0, 90.0])
def test_edges_tell_corners_to_a_twentieth_of_a_pixel(yaw: float):
    where = pose(30, 50, yaw, 0.6, 0.02, -0.03)
    grey = cv2.GaussianBlur(drawn(ONE, [(40, where)])[..., 0], (0, 0), 1.0)
    rough = corners(where) + np.array([[0.6, -0.5], [-0.4, 0.6], [0.5, 0.5], [-0.6, -0.3]])
    assert np.abs(refine(grey, rough) - corners(where)).max() < 0.05
    blank = np.full((480, 640), 90, np.uint8)
    assert (refine(blank, rough) == rough).all()


def test_a_marker_says_where_the_middle_of_its_thing_is():
    where = pose(30, 50, 100, 0.5, 0.03, 0.02)
    worn = MarkerSet(things={"lost": Worn(7), "carrot": Worn(40, (0.01, 0.0, -0.02))})
    seen = Markers(worn)(drawn(worn, [(40, where)]), CAMERA)
    middle = where[:3, :3] @ (0.01, 0.0, -0.02) + where[:3, 3]
    assert seen.names == ("lost", "carrot") and seen.points.known.tolist() == [False, True]
    assert seen.points.position[1] == pytest.approx(middle, abs=0.001)
    assert turn(seen.rotation[1], where[:3, :3]) < 0.5 and seen.error[1] < 0.2
    assert np.isnan(seen.points.position[0]).all() and np.isnan(seen.rotation[0]).all() and np.isnan(seen.error[0])
    assert seen.table is None and seen.camera_pose is None and seen.twins == ()


def test_a_single_marker_on_the_table_says_where_the_camera_is():
    where = pose(35, 90, 0, 0.5)
    flat = MarkerSet(table=3, base=Base((-0.2, 0.1, 0.0), (0.0, 0.0, 90.0)))
    seen = Markers(flat)(drawn(flat, [(3, where)]), CAMERA)
    assert seen.camera_pose is not None and seen.points.position.shape == (0, 3) and seen.rotation.shape == (0, 3, 3)
    # The marker's middle is 0.2 to the right of the base and 0.1 down, and the base's x axis is the marker's y.
    marker = seen.camera_pose @ np.append(where[:3, 3], 1.0)
    assert marker[:3] == pytest.approx([-0.1, -0.2, 0.0], abs=0.002)
    assert seen.camera_pose[2, 3] > 0.3


def test_of_two_of_the_same_id_neither_is_believed():
    double = drawn(ONE, [(40, pose(20, 0, 10, 0.5, -0.08)), (40, pose(20, 0, 10, 0.5, 0.08))])
    seen = Markers(ONE)(double, CAMERA)
    assert seen.twins == (40,) and not seen.points.known.any() and np.isnan(seen.points.position).all()


def test_nothing_is_found_in_nothing_nor_with_another_dictionary():
    one = drawn(ONE, [(40, pose(20, 0, 10, 0.5))])
    assert Markers(ONE)(one, CAMERA).points.known.all()
    other = dataclasses.replace(ONE, dictionary="6X6_250")
    for settings_, picture in ((other, one), (ONE, np.zeros_like(one)), (FULL, one[:, ::-1].copy())):
        seen = Markers(settings_)(picture, CAMERA)
        assert not seen.points.known.any() and seen.camera_pose is None


def test_pictures_of_another_kind_are_refused():
    look = Markers(ONE)
    with pytest.raises(DataError, match="expected \\(height, width, 3\\) uint8"):
        look(np.zeros((480, 640), np.uint8), CAMERA)
    with pytest.raises(SpecError, match="the picture is 320 x 240 px"):
        look(np.zeros((240, 320, 3), np.uint8), CAMERA)
    with pytest.raises(SpecError, match="depth is 320 x 240 px"):
        look(np.zeros((480, 640, 3), np.uint8), CAMERA, np.zeros((240, 320)))


def test_dictionaries_are_named_and_large_enough():
    with pytest.raises(UnknownNameError, match=r"5X5_100.*APRILTAG_36h11"):
        Markers(MarkerSet(dictionary="QR", things={"a": Worn(0)}))
    with pytest.raises(SpecError, match=r"has markers 0 \.\. 49, there is no 50"):
        Markers(MarkerSet(dictionary="4x4_50", things={"a": Worn(50)}))
    assert dictionary("apriltag_36h11", 587).markerSize == 6


def test_without_opencv_the_mend_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'vgps\[hands\]'"):
        Markers(ONE)


# Sheets


def test_sheets_are_a4_at_exact_scale():
    board, single = (np.array(page) for page in pages(FULL))
    assert board.shape == (2480, 3508) and single.shape == (3508, 2480)
    scale = 300 / INCH
    foot = single[-round(0.034 * scale) :]  # nothing is longer there than the ruler
    assert (~foot).sum(1).max() == pytest.approx(RULER * scale, abs=1)
    # Seen by a camera half a metre before it whose pixels are those of the printer, things are as large as they say.
    for page, settings_ in ((board, FULL), (single, FULL)):
        height, width = page.shape
        camera = Intrinsics(width, height, 0.5 * scale, 0.5 * scale, (width - 1) / 2, (height - 1) / 2)
        seen = Markers(settings_)(np.repeat(page[..., None] * np.uint8(255), 3, axis=2), camera)
        if seen.table is not None:
            assert seen.table.position[2] == pytest.approx(0.5, abs=2e-4) and seen.table.error < 0.5
        else:
            assert seen.points.known.all()
            assert seen.points.position[:, 2] == pytest.approx([0.5, 0.51], abs=5e-4)  # the plate is 1 cm under its own


def test_what_fits_on_no_page_is_refused():
    with pytest.raises(SpecError, match=r"does not fit on A4, which holds 0.186 x 0.251 m upright"):
        pages(MarkerSet(board=Board((9, 7), 0.04, 0.03)))
    with pytest.raises(SpecError, match=r"markers of 0.2 m do not fit on A4; 0.133 m do"):
        pages(MarkerSet(edge=0.2, table=0))
    with pytest.raises(UnknownNameError, match=r"\.pdf, \.png"):
        write_sheet(ONE, Path("sheet.jpg"))


def test_sheets_are_written(tmp_path: Path):
    many = MarkerSet(things={f"thing {i}": Worn(i) for i in range(7)})
    written = write_sheet(many, tmp_path / "sheet.png", dpi=100)
    assert [path.name for path in written] == ["sheet.png", "sheet-2.png"]
    with Pictures.open(written[1]) as page:
        assert page.info["dpi"] == pytest.approx((100, 100), abs=0.1) and page.size == (827, 1169)
    (pdf,) = write_sheet(many, tmp_path / "sheet.pdf")
    assert pdf.read_bytes().count(b"/MediaBox [ 0 0 595.2 841.92 ]") == 2


# Settings


def test_the_form_is_a_valid_file(tmp_path: Path):
    file = tmp_path / "markers.yaml"
    file.write_text(FORM, encoding="utf-8")
    made = MarkerSet.read(file)
    assert made.things == {"carrot": Worn(40), "plate": Worn(41, (0.0, 0.0, -0.01))}
    assert made.board is not None and made.board.ids == range(17) and made.ids == 42
    assert made.base.pose[:3, 3] == pytest.approx([-0.3, 0, 0])
    assert made.base.pose[:3, 0] == pytest.approx([0, 1, 0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected names with values"),
        ("[1, 2]", "expected names with values"),
        ("{", "cannot be read"),
        ("things: {a: 1}\nsize: 0.1", "unknown size; valid are dictionary, edge, things"),
        ("things: {a: 1, b: 1}", r"markers \[1\] are used twice"),
        ("things: {a: 3}\nboard: {squares: [3, 3], square: 0.03, marker: 0.02}", "the board has 0 .. 3"),
        ("things: {a: one}", "things: a: 'one'; expected a whole number"),
        ("things: {a: yes}", "expected a whole number"),
        ("things: {a: -1}", "begin at 0"),
        ("things: {a: {offset: [0, 0, 0]}}", "no id; valid are id, offset"),
        ("things: {a: {id: 1, offset: [0, 0]}}", "expected three numbers"),
        ("things: {1: 1}", "expected a word"),
        ("things: {}", "no marker is named"),
        ("table: 1\nedge: 0", "above 0"),
        ("table: 1\nedge: .nan", "expected a number"),
        ("table: 1\nedge: '5 cm'", "expected a number"),
        ("table: 1\nboard: {squares: [5, 4], square: 0.04, marker: 0.03}", "not both"),
        ("board: {squares: [5, 4], square: 0.03, marker: 0.04}", "markers smaller than them"),
        ("board: {squares: 5, square: 0.03, marker: 0.02}", "two whole numbers"),
        ("board: {squares: [5, 4]}", "no square, marker"),
        ("table: 1\nbase: {yaw: 3}", "unknown yaw; valid are position, rotation_deg"),
    ],
)
def test_a_bad_file_is_named_with_what_is_valid(text: str, said: str, tmp_path: Path):
    file = tmp_path / "bad.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=said) as raised:
        MarkerSet.read(file)
    assert str(file) in str(raised.value) and FORM in str(raised.value)


def test_files_that_are_none_are_named(tmp_path: Path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    (tmp_path / "date.yaml").write_text("edge: 2001-99-99", encoding="utf-8")
    for name in ("none.yaml", "binary.yaml", "date.yaml"):
        with pytest.raises(SpecError, match=f"{name} cannot be read as a set of markers"):
            MarkerSet.read(tmp_path / name)


leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(10**400))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["id", "offset", "squares", "square", "marker", "position", "a"]), inner),
    ),
    max_leaves=8,
)
whole_files = st.one_of(
    values,
    st.dictionaries(st.sampled_from(["dictionary", "edge", "things", "board", "table", "base", "else"]), values),
    st.fixed_dictionaries({"things": st.dictionaries(st.text(max_size=3), values, min_size=1), "edge": leaves}),
)


@settings(max_examples=120)
@given(whole_files)
def test_whatever_a_file_holds_it_is_a_set_of_markers_or_a_sentence(data):
    try:
        made = MarkerSet.of(data, "some.yaml")
    except SpecError as error:
        assert str(error).startswith("some.yaml: ") and FORM in str(error)
    else:
        assert made.edge > 0 and (made.things or made.board or made.table is not None)
        assert len({worn.id for worn in made.things.values()}) == len(made.things)


@settings(max_examples=30)
@given(st.text(max_size=60))
def test_whatever_text_a_file_is_the_error_names_it(text):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "some.yaml"
        file.write_text(text, errors="replace", encoding="utf-8")
        with pytest.raises(SpecError, match=r"some\.yaml"):
            MarkerSet.read(file)
