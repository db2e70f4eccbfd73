"""Plans on disk: whole, unchanged, one's own, or not applied."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pgusher.app.free_store import PlanStore, digest, directory
from pgusher.errors import PgusherError, RefusedError, UsageError
from pgusher.model.plan import Plan
from pgusher.model.values import replace
from tests.bed.requirements import needs_root
from tests.remedy.planning import STUCK, plan


@pytest.fixture
def store(tmp_path: Path) -> PlanStore:
    return PlanStore(str(tmp_path / "state" / "plans"))


@pytest.fixture
def saved(store: PlanStore) -> tuple[Plan, Path]:
    """A plan, and its file."""
    made = plan(STUCK)
    return made, Path(store.save(made))


def test_a_plan_comes_back_as_it_was(store: PlanStore, saved: tuple[Plan, Path]) -> None:
    assert store.load("k7f3") == saved[0]
    assert store.names() == ["k7f3"]


def test_nobody_else_may_read_it(saved: tuple[Plan, Path]) -> None:
    path = saved[1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def _edit(change: Callable[[dict[str, object]], object]) -> Callable[[Path], object]:
    def edit(path: Path) -> object:
        data = json.loads(path.read_text())
        change(data)
        return path.write_text(json.dumps(data))

    return edit


def _forged(path: Path) -> object:
    """One with a digest that fits, and a step that no pgusher writes."""
    data = json.loads(path.read_text())
    data["plan"]["steps"][0]["lever"] = "shoot"
    data["digest"] = digest(data["plan"])
    return path.write_text(json.dumps(data))


def _queue(path: Path) -> object:
    path.unlink()
    return os.mkfifo(path)  # type: ignore[func-returns-value]  # what it gives is not looked at


BROKEN: list[tuple[str, Callable[[Path], object], str]] = [
    ("edited", _edit(lambda d: d["plan"].update(uid=1)), "was changed after it was made"),  # type: ignore[attr-defined]
    ("one character", lambda p: p.write_text(p.read_text().replace("idle", "idlf", 1)), "was changed"),
    ("torn", lambda p: p.write_text(p.read_text()[:-30]), "is torn"),
    ("empty", lambda p: p.write_text(""), "is torn"),
    ("of another kind", _edit(lambda d: d.update(kind="pgusher snapshot")), "none that this pgusher can read"),
    ("of a later pgusher", _edit(lambda d: d.update(schema=99)), "none that this pgusher can read"),
    ("forged", _forged, "plan.steps[0].lever"),
    ("no object", lambda p: p.write_text("[]"), "none that this pgusher can read"),
    ("writable for others", lambda p: p.chmod(0o662), "others may write it"),
    ("no file", _queue, "no regular file"),
]


@pytest.mark.parametrize(("how", "spoil", "words"), BROKEN, ids=[one[0] for one in BROKEN])
def test_what_is_not_whole_is_refused_with_one_message(
    store: PlanStore, saved: tuple[Plan, Path], how: str, spoil: Callable[[Path], object], words: str
) -> None:
    del how
    spoil(saved[1])
    with pytest.raises(RefusedError) as error:
        store.load("k7f3")
    assert words in error.value.message
    assert "k7f3" in error.value.message


def test_a_copy_under_another_name_is_refused(store: PlanStore, saved: tuple[Plan, Path]) -> None:
    saved[1].with_name("abcd.json").write_bytes(saved[1].read_bytes())
    with pytest.raises(RefusedError, match="a copy of plan k7f3"):
        store.load("abcd")


def test_a_link_is_not_followed(store: PlanStore, saved: tuple[Plan, Path], tmp_path: Path) -> None:
    moved = saved[1].rename(tmp_path / "elsewhere.json")
    saved[1].symlink_to(moved)
    with pytest.raises(RefusedError, match="could not be read"):
        store.load("k7f3")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_plan_is_refused(store: PlanStore, saved: tuple[Plan, Path]) -> None:
    os.chown(saved[1], 1234, 1234)
    with pytest.raises(RefusedError, match="belongs to uid 1234"):
        store.load("k7f3")


@pytest.mark.parametrize("name", ["../../etc/passwd", "k7f3.json", "", "1234", "k7f", "k7f33", "K7F3", "a" * 99])
def test_what_is_no_name_is_not_looked_for(store: PlanStore, name: str) -> None:
    with pytest.raises(UsageError, match="is no plan's name"):
        store.load(name)


def test_a_plan_that_there_is_not_is_a_mistake_of_who_typed_it(store: PlanStore) -> None:
    with pytest.raises(UsageError) as error:
        store.load("abcd")
    assert error.value.message == "there is no plan abcd"
    assert error.value.hint == "plan anew: pgusher free"


def test_a_directory_that_others_may_write_is_not_used(store: PlanStore, tmp_path: Path) -> None:
    path = tmp_path / "state" / "plans"
    path.mkdir(parents=True)
    path.chmod(0o777)
    with pytest.raises(RefusedError, match="others may write it"):
        store.save(plan(STUCK))


def test_a_directory_that_cannot_be_made_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(PgusherError, match="the plan could not be kept"):
        PlanStore(str(tmp_path / "state" / "plans")).save(plan(STUCK))


@pytest.mark.parametrize(("number", "hint"), [(errno.ENOSPC, "make room there (df -h"), (errno.EACCES, "ls -ld ")])
def test_a_disk_without_room_is_one_message_that_nothing_is_kept(
    store: PlanStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    def full(_fd: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RefusedError) as error:
        store.save(plan(STUCK))
    assert error.value.message == f"the plan could not be kept: {os.strerror(number).lower()}"
    assert error.value.hint is not None
    assert error.value.hint.startswith(hint)
    assert store.names() == []


@needs_root
def test_a_really_full_disk(tmp_path: Path) -> None:
    """A file system of 16 KiB, in a mount namespace of its own."""
    script = 'mount -t tmpfs -o size=16k,mode=700 none $0 && head -c 16384 /dev/zero > $0/full; exec $1 -c "$2" $0'
    code = (
        "import sys\nfrom pgusher.app.free_store import PlanStore\nfrom pgusher.errors import RefusedError\n"
        "from tests.remedy.planning import STUCK, plan\n"
        "try: PlanStore(sys.argv[1]).save(plan(STUCK))\nexcept RefusedError as e: print(e, '|', e.hint)"
    )
    words = ["unshare", "-m", "sh", "-c", script, str(tmp_path), sys.executable, code]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60, env=os.environ)
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert "the plan could not be kept: no space left on device | make room there" in done.stdout, done
    assert os.listdir(tmp_path) == []


def test_a_plan_is_never_overwritten(store: PlanStore, saved: tuple[Plan, Path]) -> None:
    with pytest.raises(PgusherError, match="it exists"):
        store.save(saved[0])


def test_a_new_name_is_one_that_no_plan_has_and_no_pid() -> None:
    made = plan(STUCK)
    given = iter([b"\0\0\0\0", b"\0\0\0\0", b"\0\0\0\1"])
    store = PlanStore("/nonexistent", random=lambda _: next(given))
    assert store.new_id() == "aaaa"
    assert not made.id.isdecimal()


def test_a_name_that_is_taken_is_not_given_again(tmp_path: Path) -> None:
    given = iter([b"\0\0\0\0", b"\0\0\0\0", b"\0\0\0\1"])
    store = PlanStore(str(tmp_path / "plans"), random=lambda _: next(given))
    store.save(replace(plan(STUCK), id=store.new_id()))
    assert store.new_id() == "aaab"


def test_plans_of_more_than_a_week_are_removed(store: PlanStore, saved: tuple[Plan, Path]) -> None:
    made, path = saved
    old = made.made_at // 1_000_000 - 8 * 86400
    os.utime(path, (old, old))
    store.save(replace(made, id="abcd"))
    assert store.names() == ["abcd"]


def test_each_user_has_a_directory_of_their_own() -> None:
    assert directory({}, 0) == "/var/lib/pgusher/plans"
    assert directory({"XDG_STATE_HOME": "/s"}, 1000) == "/s/pgusher/plans"
    assert directory({"XDG_STATE_HOME": "relative"}, 1000).endswith("/.local/state/pgusher/plans")
