"""Topics are known by their types: attempts, cameras and what is left out, whatever topics are called."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mcap")
pytest.importorskip("rosbags")
import bag_writing as bags
from bag_writing import COMPRESSED, PERIOD, RAW, STATE, STRING, Row, film, in_time, packed, state, string, task

from vgps_models.bags.attempts import BagIndex
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.progress.footage import open_footage, scene_of
from vgps_models.video.sources import SourceOptions, open_sources

COLOR, DEEP, INFRARED = "/camera/camera/color/image_raw", "/camera/camera/depth/image_rect_raw", "/camera/camera/infra1"


def reds(path, index=0, camera="/front", frames=0, **how):
    views = scene_of(open_footage(path, how.pop("task", "")), index, frames, **how).clip.views
    return views[camera][:, 0, 0, 0].tolist()


def words(topic: str = "/task/state", text: str = "RUNNING") -> list[Row]:
    return [Row(topic, STRING, string(text), row.at) for row in film()]


def test_a_foreign_task_state_is_ignored(tmp_path):
    path = bags.mcap(tmp_path / "run.mcap", in_time(film(), words()))
    footage = open_footage(path, "open the drawer")
    assert len(footage) == 1 and not footage.problems
    assert footage.scene(0).clip.task == "open the drawer" and footage.scene(0).success is None
    (recording,) = open_sources([str(path)]).recordings
    assert len(list(recording.play())) == 8 and recording.text == ""


@pytest.mark.parametrize("topic", ["/task/state", "/robot1/task/state", "/whatever"])
@pytest.mark.parametrize("ros1", [False, True])
def test_ours_is_known_by_its_type_under_any_name(tmp_path, topic, ros1):
    rows = in_time(film(ros1=ros1), task(topic, [1] * 4 + [2] * 4, ros1=ros1, success=True))
    path = bags.bag1(tmp_path / "run.bag", rows) if ros1 else bags.mcap(tmp_path / "run.mcap", rows)
    footage = open_footage(path)
    assert [footage.scene(n).success for n in range(len(footage))] == [False, True] and not footage.problems
    assert reds(path, 0) == [0, 10, 20, 30] and reds(path, 1) == [40, 50, 60, 70]


def test_ours_counts_beside_a_foreign_one(tmp_path):
    path = bags.mcap(tmp_path / "run.mcap", in_time(film(), words(), task("/ns/task/state", [3] * 8)))
    assert open_footage(path).scene(0).clip.task == bags.WORDS


def test_another_type_of_the_same_name_is_left_out_and_that_is_said(tmp_path):
    foreign = [Row("/task/state", STATE, bags.serialized(row, False), row.at) for row in words()]
    path = bags.mcap(tmp_path / "run.mcap", in_time(film(), foreign), definitions={STATE: "string data\n"})
    footage = open_footage(path, "x")
    assert len(footage) == 1 and len(footage.problems) == 1
    assert "/task/state is left out: it is no task state of ours" in footage.problems[0]


def test_two_robots_in_one_bag(tmp_path):
    rows = in_time(
        film("/robot1/camera/front/image_raw"), task("/robot1/task/state", [1] * 4 + [2] * 4),
        film("/robot2/camera/front/image_raw", encoding="bgr8"), task("/robot2/task/state", [7] * 8, success=True),
    )  # fmt: skip
    footage = open_footage(bags.mcap(tmp_path / "run.mcap", rows))
    found = {footage.scene(n).name: footage.scene(n) for n in range(len(footage))}
    assert {name: (len(scene.clip), scene.success) for name, scene in found.items()} == {
        "run episode 1 of /robot1/task/state": (4, False),
        "run episode 2 of /robot1/task/state": (4, False),
        "run episode 7 of /robot2/task/state": (8, True),
    }
    assert list(found["run episode 7 of /robot2/task/state"].clip.views) == ["/robot2/camera/front/image_raw"]


@pytest.mark.parametrize("namespace", ["", "/robot1", "/a/b"])
def test_cameras_of_the_contract_have_their_names_in_any_namespace(tmp_path, namespace):
    rows = in_time(film(f"{namespace}/camera/front/image_raw"), film(f"{namespace}/camera/wrist/image_raw"))
    footage = open_footage(bags.mcap(tmp_path / "run.mcap", rows), "x")
    assert sorted(footage.scene(0).clip.views) == ["front", "wrist"]


def test_depth_infrared_and_other_encodings_are_no_obstacle(tmp_path):
    depth = [
        Row("/d/compressedDepth", COMPRESSED, packed(row.at, 9, "16UC1; compressedDepth png", mode="I;16"), row.at)
        for row in film()
    ]
    path = bags.mcap(
        tmp_path / "run.mcap",
        in_time(
            film(COLOR), film(DEEP, encoding="16UC1"), film("/d32", encoding="32FC1"), depth,
            film("/thermal", encoding="mono16"), film(INFRARED, encoding="mono8"),
            film("/bayer", encoding="bayer_rggb8"),
        ),
    )  # fmt: skip
    footage = open_footage(path, "x")
    assert list(footage.scene(0).clip.views) == [COLOR] and reds(path, 0, COLOR, task="x") == [10 * n for n in range(8)]
    left = "\n".join(footage.problems)
    for topic, why in ((DEEP, "16UC1"), ("/d32", "32FC1"), ("/thermal", "mono16"), (INFRARED, "mono8"),
                       ("/bayer", "bayer_rggb8"), ("/d/compressedDepth", "compressedDepth")):  # fmt: skip
        assert any(topic in line and why in line for line in left.splitlines()), (topic, left)
    assert len(footage.problems) == 6
    # Gray beside color is used where it is named; depth cannot be.
    assert reds(path, 0, "infra1", task="x", cameras=["infra1"]) == [10 * n for n in range(8)]
    with pytest.raises(UnknownNameError, match=COLOR):
        reds(path, 0, task="x", cameras=["depth"])
    (recording,) = open_sources([str(path)]).recordings
    assert recording.view == COLOR
    assert [r.view for r in open_sources([str(path)], SourceOptions(views=("infra1",))).recordings] == ["infra1"]
    assert [r.view for r in open_sources([str(path)], SourceOptions(views=(COLOR,))).recordings] == [COLOR]
    with pytest.raises(UnknownNameError, match=COLOR):
        open_sources([str(path)], SourceOptions(views=("depth",)))


def test_gray_is_used_where_there_is_no_color(tmp_path):
    path = bags.mcap(tmp_path / "run.mcap", in_time(film("/a", encoding="mono8"), film(DEEP, encoding="16UC1")))
    assert reds(path, 0, "/a", task="x") == [10 * n for n in range(8)]


def test_a_gray_camera_of_the_contract_is_used_beside_color(tmp_path):
    rows = in_time(film("/camera/front/image_raw"), film("/camera/wrist/image_raw", encoding="mono8"))
    footage = open_footage(bags.mcap(tmp_path / "run.mcap", rows), "x")
    assert sorted(footage.scene(0).clip.views) == ["front", "wrist"] and not footage.problems


def test_a_bag_that_shows_depth_alone_says_so(tmp_path):
    with pytest.raises(DataError, match=r"depth/image_rect_raw is left out: it shows depth.*16UC1"):
        open_footage(bags.mcap(tmp_path / "run.mcap", film(DEEP, encoding="16UC1")), "x")


def test_the_packed_form_of_a_topic_is_the_same_camera(tmp_path):
    packed_rows = [Row(f"{COLOR}/compressed", COMPRESSED, packed(row.at, 9), row.at) for row in film()]
    footage = open_footage(bags.mcap(tmp_path / "run.mcap", in_time(film(COLOR), packed_rows)), "x")
    assert list(footage.scene(0).clip.views) == [COLOR] and "shows the same" in footage.problems[0]
    footage = open_footage(bags.mcap(tmp_path / "packed.mcap", packed_rows), "x")
    assert list(footage.scene(0).clip.views) == [f"{COLOR}/compressed"] and not footage.problems


def test_several_cameras_are_all_shown_or_one_is_named(tmp_path):
    path = bags.mcap(tmp_path / "run.mcap", in_time(film("/left/rgb/image"), film("/right/rgb/image", encoding="bgr8")))
    footage = open_footage(path, "x")
    assert list(footage.scene(0).clip.views) == ["/left/rgb/image", "/right/rgb/image"]
    assert scene_of(footage, 0, 2, ["left"]).clip.views["left"][1, 0, 0].tolist() == [70, 10, 20]
    views = scene_of(footage, 0, 2, ["front=right/rgb", "wrist=/left/rgb/image"]).clip.views
    assert list(views) == ["front", "wrist"] and views["front"][1, 0, 0].tolist() == [70, 10, 20]
    with pytest.raises(DataError, match="several cameras are called 'rgb': /left/rgb/image, /right/rgb/image"):
        scene_of(footage, 0, 2, ["rgb"])


def test_cameras_of_different_rates_show_the_same_moments(tmp_path):
    slow = film("/slow", 5, period=2 * PERIOD, begin=bags.BEGIN + PERIOD, encoding="bgr8")
    path = bags.mcap(tmp_path / "run.mcap", in_time(film("/fast", 12), slow))
    scene = open_footage(path, "x").scene(0, 3)
    assert np.allclose(scene.seconds, [0, 0.4, 0.8])
    assert scene.clip.views["/slow"][:, 0, 0, 0].tolist() == [0, 20, 40]
    assert scene.clip.views["/fast"][:, 0, 0, 0].tolist() == [10, 50, 90]


def test_images_that_were_lost_leave_the_others_at_their_times(tmp_path):
    rows = [row for n, row in enumerate(film(count=21)) if n not in range(1, 9)]
    scene = open_footage(bags.mcap(tmp_path / "run.mcap", rows), "x").scene(0, 5)
    assert np.allclose(scene.seconds, [0, 0.9, 1.0, 1.5, 2.0])


def test_cameras_that_saw_different_times_say_so(tmp_path):
    rows = film("/a", 4) + film("/b", 4, begin=bags.BEGIN + 100 * PERIOD)
    footage = open_footage(bags.mcap(tmp_path / "run.mcap", rows), "x")
    with pytest.raises(DataError, match=r"at different times .*--cameras"):
        footage.scene(0)
    assert len(scene_of(footage, 0, 0, ["a"]).clip) == 4


def test_a_camera_with_one_image_is_left_out_and_that_is_said(tmp_path):
    footage = open_footage(bags.mcap(tmp_path / "run.mcap", in_time(film(), film("/still", 1))), "x")
    assert list(footage.scene(0).clip.views) == ["/front"] and "fewer than two images of /still" in footage.problems[0]
    with pytest.raises(DataError, match="fewer than two images"):
        open_footage(bags.mcap(tmp_path / "still.mcap", film("/still", 1)), "x")


def test_a_loop_becomes_several_attempts(tmp_path):
    rows = film() + [Row(row.topic, row.type, row.message, row.at + 10 * PERIOD) for row in film()]
    path = bags.mcap(tmp_path / "run.mcap", rows)
    footage = open_footage(path, "x")
    assert len(footage) == 2 and "time goes back once" in footage.problems[0]
    assert reds(path, 0, task="x") == reds(path, 1, task="x") == [10 * n for n in range(8)]
    names = [recording.name for recording in open_sources([str(path)]).recordings]
    assert len(set(names)) == 2
    looped = in_time(film(), task())
    later = [Row(row.topic, row.type, row.message, row.at + 10 * PERIOD) for row in looped]
    footage = open_footage(bags.mcap(tmp_path / "ours.mcap", looped + later))
    assert [footage.scene(n).name for n in range(2)] == ["ours part 1", "ours part 2"]


def test_messages_that_were_not_stamped_stand_where_they_were_written(tmp_path):
    rows = [Row("/front", RAW, bags.image(0, 10 * n), row.at + (n > 3) * PERIOD) for n, row in enumerate(film())]
    scene = open_footage(bags.mcap(tmp_path / "run.mcap", rows), "x").scene(0)
    assert np.allclose(scene.seconds, [0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8])


def test_an_episode_that_goes_on_in_the_next_file(tmp_path):
    folder = bags.split(tmp_path / "run", in_time(film(), task(episodes=[1] * 3 + [2] * 5)), 3)
    footage = open_footage(folder)
    assert [len(footage.scene(n).clip) for n in range(2)] == [3, 5]


def test_attempts_are_plain_data_that_can_be_sent_to_a_worker(tmp_path):
    import pickle

    index = BagIndex(bags.mcap(tmp_path / "run.mcap", in_time(film(), task())))
    assert pickle.loads(pickle.dumps(index.attempts)) == index.attempts


def test_a_state_without_a_task_asks_for_it(tmp_path):
    rows = in_time(film(), [Row("/t", STATE, state(row.at, 1, task="  "), row.at) for row in film()])
    with pytest.raises(DataError, match="has no task: give --task"):
        open_footage(bags.mcap(tmp_path / "run.mcap", rows))
