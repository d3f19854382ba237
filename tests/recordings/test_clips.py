"""Clips from cards: brought home whole or not at all, once; deleted and formatted as somebody agreed to. Against the
strict simulator, over real sockets."""

import hashlib
import json
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.utils import timezone

from accounts.models import AuditEntry, Grant, Role, User
from devices import loop
from devices.families import driver_for
from devices.families.povcam import clips as povcam
from devices.gateway import Gateway
from devices.models import Camera, Device, Site
from recordings import clips, jobs, store
from recordings.models import File, Job, JobState
from tests.api.caller import PASSWORD, Caller
from tests.devices.conftest import Simulator, start_simulators, unsaved_device


@pytest.fixture
def start() -> Iterator[Callable[..., Simulator]]:
    with start_simulators() as start:
        yield lambda *options, clips=4, seconds=2: start(
            "--user-auth",
            "--small-clips",
            "--work-seconds",
            "0.3",
            "--clips",
            str(clips),
            "--clip-seconds",
            str(seconds),
            *options,
        )


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    return tmp_path / "library"


@pytest.fixture
def recorder(
    start: Callable[..., Simulator],
    library: Path,
    transactional_db: None,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[Simulator, Device]]:
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(jobs, "start_soon", lambda: None)
    monkeypatch.setattr(clips, "AGAIN_SECONDS", (0.02, 0.02, 0.02))
    monkeypatch.setattr(clips, "BUSY_LOOK_SECONDS", (0.05, 0.1))
    monkeypatch.setattr(clips, "FORMAT_LOOK_SECONDS", 0.05)

    def make(*options: str, **more: int) -> tuple[Simulator, Device]:
        simulator = start(*options, **more)
        device = unsaved_device(simulator.port)
        device.pk = None
        device.site = Site.objects.create(name="Yard")
        device.save()
        Camera.objects.create(device=device, number=1, name="Gate")
        return simulator, device

    return make


def on_the_loop(coroutine: Any) -> Any:
    return loop.run(coroutine, 30)


def listed(device: Device, form: str = "avchd") -> list[Any]:
    return list(on_the_loop(driver_for(device).clips(Gateway(device), 1, form)).clips)


def ask(
    device: Device, kind: jobs.Kind = clips.DOWNLOAD, form: str = "avchd", names: Any = "all", **params: Any
) -> Job:
    return jobs.create(kind, user=None, device=device, params={"slot": 1, "format": form, "clips": names, **params})


def until(job: Job, true: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + 100
    while True:
        job = Job.objects.get(pk=job.pk)
        if true(job):
            return job
        assert time.monotonic() < deadline, (
            job.state,
            job.message,
            job.error,
            list(job.items.values("state", "error")),
        )
        time.sleep(0.02)


def done(job: Job) -> Job:
    jobs.tend()
    return until(job, lambda job: job.state in jobs.ENDED)


def succeeded(job: Job) -> Job:
    job = done(job)
    assert job.state == JobState.DONE, (job.error, list(job.items.values("name", "error")))
    return job


def on_the_card(simulator: Simulator, device: Device, form: str = "avchd") -> dict[str, str]:
    """Name → SHA-256, asked without the product."""
    found = {}
    for at in range(1, 100, 15):
        page = asked(simulator, f"get_clip_list?index={at}&format={form}").decode()
        rows = [line.split(",") for line in page.splitlines() if line[:1].isdigit()]
        list_id = page.rpartition("list_id=")[2]
        for row in rows:
            content = asked(simulator, f"get_clip_file?filename={row[1]}&list_id={list_id}")
            found[row[1]] = hashlib.sha256(content).hexdigest()
        if len(rows) < 15:
            return found
    raise AssertionError


def asked(simulator: Simulator, target: str) -> bytes:
    address = f"http://127.0.0.1:{simulator.port}/cgi-bin/{target}"
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, address, "admin", "a password of the device")
    with urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(passwords)).open(address, timeout=60) as told:
        return bytes(told.read())


def in_the_library(library: Path) -> dict[str, str]:
    """What lies there, hidden things too: name → SHA-256."""
    return {
        str(path.relative_to(library)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in library.rglob("*")
        if path.is_file()
    }


def test_twenty_clips_come_home_byte_for_byte_and_only_once(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=20)
    job = succeeded(ask(device))
    assert (job.progress, job.message) == (1.0, "20 clips are in the library.")
    wanted = on_the_card(simulator, device)
    files = {file.name.split()[-1].removesuffix(".mts"): file for file in File.objects.all()}
    assert {name: file.sha256 for name, file in files.items()} == wanted
    assert in_the_library(library) == {file.path: file.sha256 for file in files.values()}
    for file in files.values():
        assert (file.kind, file.origin, file.verified, file.device, file.site) == (
            "mts",
            "card",
            "playable",
            device,
            device.site,
        )
        assert file.camera is not None
        assert file.start is not None
        assert file.end is not None
        assert abs((file.end - file.start).total_seconds() - 2) < 0.1
        assert file.path.count("/") == 3
    assert job.files.count() == 20
    assert oct(library.stat().st_mode & 0o777) == "0o700"
    assert all(oct(path.stat().st_mode & 0o777) == "0o600" for path in library.rglob("*.mts"))
    fetched = sum("get_clip_file" in target for target in simulator.targets)
    succeeded(ask(device))
    assert sum("get_clip_file" in target for target in simulator.targets) == fetched, "nothing was fetched again"
    assert File.objects.count() == 20
    assert simulator.violations == []


def test_both_formats_and_chosen_clips(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=4)
    name = listed(device, "mp4")[0].name
    succeeded(ask(device, form="mp4"))
    job = done(ask(device, names=[listed(device)[2].name, "S0AA009999999960"]))
    assert (job.state, job.error) == (JobState.FAILED, "1 of 2 failed.")
    failed = job.items.get(state=JobState.FAILED)
    assert failed.error == "There is no avchd clip S0AA009999999960 on the card in slot 1."
    assert sorted(File.objects.values_list("kind", flat=True)) == ["mp4", "mts"]
    assert File.objects.get(kind="mp4").name.endswith(f"{name}.mp4")
    assert simulator.violations == []


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cut-downloads", "times": 2},
        {"kind": "wrong-length", "times": 1, "number": 1000},
        {"kind": "wrong-length", "times": 1, "number": -1000},
        {"kind": "busy-downloads", "times": 3},
        {"kind": "stall-downloads", "times": 1},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('number', '')}",
)
def test_what_goes_wrong_for_a_while_is_done_again(
    recorder: Callable[..., Any], library: Path, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    simulator, device = recorder(clips=2)
    monkeypatch.setattr(povcam, "IDLE_SECONDS", 1.0)
    simulator.side_door("fault", fault)
    succeeded(ask(device))
    assert sorted(in_the_library(library).values()) == sorted(on_the_card(simulator, device).values())
    assert simulator.violations == []


@pytest.mark.parametrize("oddity", ["chunked-clips", "unmeasured-clips"])
def test_a_clip_whose_length_nobody_tells_is_checked_all_the_same(
    recorder: Callable[..., Any], library: Path, oddity: str
):
    simulator, device = recorder("--oddities", oddity, clips=2, seconds=5)
    simulator.side_door("fault", {"kind": "cut-downloads", "times": 2})
    succeeded(ask(device))
    assert sorted(in_the_library(library).values()) == sorted(on_the_card(simulator, device).values())


def test_what_never_comes_whole_leaves_nothing_and_says_why(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=2)
    simulator.side_door("fault", {"kind": "cut-downloads", "times": 100})
    job = done(ask(device))
    assert (job.state, job.error) == (JobState.FAILED, "2 of 2 failed.")
    error = job.items.first().error
    assert "broke off in the middle" in error
    assert error.endswith("It was tried 4 times.")
    assert (in_the_library(library), File.objects.count()) == ({}, 0)
    simulator.side_door("fault", {"kind": "clear"})
    simulator.side_door("fault", {"kind": "cut-downloads", "times": 0})
    jobs.retry(job)
    succeeded(job)
    assert len(in_the_library(library)) == 2


def test_what_is_damaged_on_the_card_is_kept_and_counts_as_no_copy(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=1)
    simulator.side_door("fault", {"kind": "wrong-length", "times": 2, "number": -1000})
    job = done(ask(device))
    assert job.state == JobState.FAILED
    assert job.error.startswith("It ends in the middle of a packet. It came so twice")
    damaged = File.objects.get()
    assert (damaged.verified, damaged.remark) == ("damaged", "It ends in the middle of a packet.")
    assert in_the_library(library) == {damaged.path: damaged.sha256}
    (card,) = on_the_loop(clips.look(device, (1,)))
    assert clips.safe_to_format(device, card).safe is False
    # The recorder sends it rightly now: both stay, and the whole one is the copy.
    jobs.retry(job)
    succeeded(job)
    copy = File.objects.exclude(pk=damaged.pk).get()
    assert (copy.verified, copy.key) == ("playable", damaged.key)
    damaged.refresh_from_db()
    assert damaged.key is None
    assert len(in_the_library(library)) == 2


def test_a_card_that_was_pulled_ends_the_job_and_put_back_it_goes_on(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=6)
    simulator.side_door("fault", {"kind": "slow-downloads", "seconds": 0.2})
    job = ask(device)
    jobs.tend()
    until(job, lambda job: File.objects.count() >= 2)
    simulator.side_door("fault", {"kind": "card", "mode": "remove", "number": 1})
    job = until(job, lambda job: job.state in jobs.ENDED)
    assert (job.state, job.error) == (
        JobState.FAILED,
        "There is no card in slot 1 of Gate. Put it in, then try again.",
    )
    assert set(in_the_library(library).values()) == set(File.objects.values_list("sha256", flat=True))
    simulator.side_door("fault", {"kind": "card", "mode": "put-back", "number": 1})
    simulator.side_door("fault", {"kind": "slow-downloads", "seconds": 0})
    jobs.retry(job)
    succeeded(job)
    assert sorted(in_the_library(library).values()) == sorted(on_the_card(simulator, device).values())
    assert simulator.violations == []


def test_a_recorder_that_records_is_waited_for(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=1)
    on_the_loop(driver_for(device).record(Gateway(device), True))
    job = ask(device)
    jobs.tend()
    until(job, lambda job: "is recording" in job.message)
    on_the_loop(driver_for(device).record(Gateway(device), False))
    until(job, lambda job: job.state == JobState.DONE)
    assert simulator.violations == []


def test_a_recorder_that_never_ends_recording_is_told_of(
    recorder: Callable[..., Any], library: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(clips, "BUSY_SECONDS", 0.5)
    _, device = recorder(clips=1)
    on_the_loop(driver_for(device).record(Gateway(device), True))
    time.sleep(1)
    job = done(ask(device))
    assert job.state == JobState.FAILED
    assert "Gate is recording" in job.error


def test_cancelling_in_the_middle_of_a_clip_ends_it_on_the_device_and_leaves_nothing(
    recorder: Callable[..., Any], library: Path
):
    simulator, device = recorder(clips=2)
    simulator.side_door("fault", {"kind": "slow-downloads", "seconds": 1})
    job = ask(device)
    jobs.tend()
    until(job, lambda job: job.items.filter(done__gt=0).exists())
    jobs.cancel(job)
    job = until(job, lambda job: job.state in jobs.ENDED)
    assert job.state == JobState.CANCELLED
    assert (in_the_library(library), File.objects.count()) == ({}, 0)
    deadline = time.monotonic() + 20
    while b"download=on" in asked(simulator, "get_state"):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_job_whose_worker_died_in_the_middle_of_a_clip_goes_on(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=3)
    job = ask(device)
    # A worker had brought one clip home, and half of the second, when it was killed.
    assert jobs.claim() == [(job.pk, 1)]
    run = jobs._load(job.pk, 1)
    assert run is not None
    jobs._prepared(run, on_the_loop(clips._chosen(run)))
    on_the_loop(jobs._one(run, clips.DOWNLOAD, run.items[0]))
    half = library / ".incoming" / f"item-{run.items[1].pk}.1"
    half.write_bytes(b"half a clip")
    run.items[1].state = JobState.RUNNING
    jobs._beat(run)
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=jobs.ORPHAN_SECONDS + 1))
    job = succeeded(job)
    assert job.attempt == 2
    assert sorted(in_the_library(library).values()) == sorted(on_the_card(simulator, device).values())
    assert File.objects.count() == 3


def test_a_worker_that_died_between_the_file_and_its_row_is_made_good(recorder: Callable[..., Any], library: Path):
    _, device = recorder(clips=1)
    succeeded(ask(device))
    before = in_the_library(library)
    File.objects.all().delete()  # the row alone, as if it had never been made
    succeeded(ask(device))
    assert in_the_library(library) == before
    assert list(File.objects.values_list("path", flat=True)) == list(before)


def test_a_copy_that_was_lost_or_damaged_here_is_fetched_again(recorder: Callable[..., Any], library: Path):
    _, device = recorder(clips=2)
    succeeded(ask(device))
    lost, damaged = File.objects.all()
    (library / lost.path).unlink()
    File.objects.filter(pk=damaged.pk).update(verified=File.Verified.DAMAGED)
    succeeded(ask(device))
    assert sorted(in_the_library(library)) == sorted([lost.path, damaged.path])
    assert set(File.objects.values_list("pk", "verified")) == {(lost.pk, "playable"), (damaged.pk, "playable")}


def test_clips_of_a_device_that_was_never_polled_are_known_afterwards(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=1)
    assert not device.serial
    succeeded(ask(device))
    told = on_the_loop(driver_for(device).marks(Gateway(device)))
    Device.objects.filter(pk=device.pk).update(serial=told.serial, mac=told.mac)
    device.refresh_from_db()
    succeeded(ask(device))
    (card,) = on_the_loop(clips.look(device, (1,), ("avchd",)))
    assert list(card.copies.values()) == [File.objects.get().pk]
    assert simulator.violations == []


def test_a_full_disk_is_said_and_nothing_half_is_left(
    recorder: Callable[..., Any], library: Path, monkeypatch: pytest.MonkeyPatch
):
    _, device = recorder(clips=2)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: usage._replace(free=store.RESERVE + 1000))
    job = done(ask(device))
    assert job.state == JobState.FAILED
    assert job.error.startswith("The library's disk is full")
    assert (in_the_library(library), File.objects.count()) == ({}, 0)


def test_another_device_at_the_address_is_not_taken_for_this_one(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=1)
    Device.objects.filter(pk=device.pk).update(serial="ANOTHER", mac="00:11:22:33:44:55")
    job = done(ask(device))
    assert job.state == JobState.FAILED
    assert "Another device answers" in job.error
    assert not any("get_clip_file" in target for target in simulator.targets)


# --- Deletion and formatting ------------------------------------------------------------------------------------------
def test_clips_are_deleted_a_page_at_a_time(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=20)
    kept = listed(device)[3].name
    job = succeeded(ask(device, clips.DELETE, names=[clip.name for clip in listed(device) if clip.name != kept]))
    assert job.message == "19 clips were deleted."
    assert [clip.name for clip in listed(device)] == [kept]
    assert sum("del_clip_file" in target for target in simulator.targets) == 2
    told = AuditEntry.objects.filter(action="clips deleted")
    assert told.count() == 2
    assert simulator.violations == []


def test_a_deletion_that_lost_its_worker_goes_on(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=3)
    job = ask(device, clips.DELETE)
    assert jobs.claim() == [(job.pk, 1)]
    run = jobs._load(job.pk, 1)
    assert run is not None
    jobs._prepared(run, on_the_loop(clips._chosen_from_the_end(run)))
    # The device did it, and nobody was left to note it.
    on_the_loop(driver_for(device).delete_clips(Gateway(device), listed(device)[:2]))
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=jobs.ORPHAN_SECONDS + 1))
    succeeded(job)
    assert listed(device) == []
    assert simulator.violations == []


def test_it_is_safe_to_format_only_when_every_clip_has_a_verified_copy(recorder: Callable[..., Any], library: Path):
    _, device = recorder(clips=4)

    def safety() -> clips.Safety:
        (card,) = on_the_loop(clips.look(device, (1,)))
        return clips.safe_to_format(device, card)

    assert safety().safe is False
    succeeded(ask(device))
    assert (safety().safe, safety().reason) == (False, "Of its 5 clips 1 have no verified copy in the library.")
    succeeded(ask(device, form="mp4"))
    assert safety().safe is True
    file = File.objects.filter(kind="mts")[0]
    File.objects.filter(pk=file.pk).update(verified=File.Verified.DAMAGED)
    assert safety().safe is False
    File.objects.filter(pk=file.pk).update(verified=File.Verified.PLAYABLE)
    (library / file.path).unlink()
    assert safety().safe is False
    (card,) = on_the_loop(clips.look(device, (1,), ("mp4",)))
    assert clips.safe_to_format(device, card).safe is None, "one format tells nothing of the other"
    (card,) = on_the_loop(clips.look(device, (2,)))
    assert clips.safe_to_format(device, card).reason == "There is no card in slot 2."


@pytest.fixture
def caller(transactional_db: None) -> Callable[[Role], Caller]:
    def make(role: Role, site: Site | None = None) -> Caller:
        user = User.objects.create_user(f"{role} {site}", PASSWORD, role=role)
        Grant.objects.create(user=user, site=site)
        return Caller(user)

    return make


def test_a_card_is_formatted_once_it_was_agreed_to(
    recorder: Callable[..., Any], library: Path, caller: Callable[..., Caller]
):
    simulator, device = recorder(clips=2)
    call = caller(Role.ADMIN)
    refused = call("POST", f"devices/{device.pk}/format", {"slot": 1})
    assert refused.status_code == 409
    assert "Of its 2 clips 2 have no verified copy" in refused.json()["confirm"]
    assert not any("sdcard" in target for target in simulator.targets)
    told = call("POST", f"devices/{device.pk}/format", {"slot": 1, "confirm": True})
    assert told.status_code == 201
    job = succeeded(Job.objects.get(pk=told.json()["id"]))
    assert job.message == "The card in slot 1 is formatted."
    assert listed(device) == []
    assert sum("sdcard" in target for target in simulator.targets) == 1
    assert AuditEntry.objects.filter(action="card formatted").exists()
    assert call("POST", f"devices/{device.pk}/format", {"slot": 2, "confirm": True}).status_code == 409
    assert simulator.violations == []


def test_a_card_with_an_error_may_be_formatted_by_who_knows(
    recorder: Callable[..., Any], library: Path, caller: Callable[..., Caller]
):
    simulator, device = recorder(clips=2)
    simulator.side_door("fault", {"kind": "card", "mode": "error", "number": 1})
    call = caller(Role.ADMIN)
    assert "what is on it cannot be told" in call("POST", f"devices/{device.pk}/format", {"slot": 1}).json()["confirm"]
    told = call("POST", f"devices/{device.pk}/format", {"slot": 1, "confirm": True})
    succeeded(Job.objects.get(pk=told.json()["id"]))
    on_the_loop(driver_for(device).check_card(Gateway(device), 1))
    assert simulator.violations == []


def test_what_was_recorded_since_is_not_erased(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=2)
    on_the_loop(clips.identified(device))
    agreed = [clips.key_of(device, clip) for clip in listed(device)][:1]
    job = done(jobs.create(clips.FORMAT, user=None, device=device, params={"slot": 1, "without_copy": agreed}))
    assert job.state == JobState.FAILED
    assert "Since formatting was asked for" in job.items.get().error + job.error
    assert len(listed(device)) == 2
    assert not any("sdcard" in target for target in simulator.targets)


def test_a_card_is_never_formatted_twice_for_one_wish(recorder: Callable[..., Any], library: Path):
    simulator, device = recorder(clips=2)
    job = jobs.create(clips.FORMAT, user=None, device=device, params={"slot": 1, "without_copy": None})
    assert jobs.claim() == [(job.pk, 1)]
    run = jobs._load(job.pk, 1)
    assert run is not None
    jobs._prepared(run, on_the_loop(clips._card(run)))
    # Its worker said that it sends the command, and died. Whether it was sent, nobody knows.
    on_the_loop(clips._keep_sent(run.items[0], True))
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=jobs.ORPHAN_SECONDS + 1))
    job = done(job)
    assert job.state == JobState.FAILED
    assert "was not formatted, or has been recorded on since" in job.error
    assert not any("sdcard" in target for target in simulator.targets)
    jobs.retry(job)
    succeeded(job)
    assert listed(device) == []


# --- The API ----------------------------------------------------------------------------------------------------------
def test_the_list_tells_what_is_copied(recorder: Callable[..., Any], library: Path, caller: Callable[..., Caller]):
    simulator, device = recorder(clips=4)
    call = caller(Role.OPERATOR)
    page = call("GET", f"devices/{device.pk}/clips?limit=2").json()
    assert (page["count"], len(page["results"])) == (5, 2)
    assert [slot["present"] for slot in page["slots"]] == [True, False]
    first = page["results"][0]
    asked_for = {"action": "download", "clips": [first["name"]], "slot": 1, "format": "avchd"}
    told = call("POST", f"devices/{device.pk}/clips/jobs", asked_for)
    assert told.status_code == 201
    assert told.json()["kind"] == "download"
    job = succeeded(Job.objects.get(pk=told.json()["id"]))
    page = call("GET", f"devices/{device.pk}/clips?slot=sd1&format=avchd").json()
    copied = [clip["copied"] for clip in page["results"]]
    assert copied == [job.files.get().pk, None, None, None]
    assert page["slots"] == [
        {
            "slot": 1,
            "present": True,
            "clips": 4,
            "safe_to_format": False,
            "reason": "Of its 4 clips 3 have no verified copy in the library.",
        }
    ]
    assert AuditEntry.objects.filter(action="download clips").exists()
    assert simulator.violations == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"action": "ftp"}, 422),
        ({"action": "burn"}, 400),
        ({"clips": []}, 400),
        ({"clips": ["../x"]}, 400),
        ({"clips": "some"}, 400),
        ({"slot": 3}, 400),
        ({"format": "mov"}, 400),
        ({"more": 1}, 400),
    ],
)
def test_what_cannot_be_is_refused(
    recorder: Callable[..., Any], library: Path, caller: Callable[..., Caller], change: dict[str, Any], status: int
):
    device = Device.objects.create(name="Gate", family="povcam", host="x.test", site=Site.objects.create(name="South"))
    body = {"action": "download", "clips": "all", "slot": 1, "format": "mp4"} | change
    assert caller(Role.OPERATOR)("POST", f"devices/{device.pk}/clips/jobs", body).status_code == status
    assert not Job.objects.exists()


def test_who_may_do_what(library: Path, transactional_db: None, caller: Callable[..., Caller]):
    site = Site.objects.create(name="South")
    device = Device.objects.create(name="Gate", family="povcam", host="x.test", site=site)
    camera = Device.objects.create(name="Door", family="hama", host="y.test", site=site)
    viewer, operator = caller(Role.VIEWER, site), caller(Role.OPERATOR, site)
    stranger = caller(Role.ADMIN, Site.objects.create(name="North"))
    path, body = f"devices/{device.pk}/clips/jobs", {"clips": "all", "slot": 1, "format": "mp4"}
    download, delete = body | {"action": "download"}, body | {"action": "delete"}
    assert viewer("GET", f"devices/{device.pk}/clips").status_code == 403
    assert viewer("POST", path, download).status_code == 403
    assert operator("POST", path, delete).status_code == 403
    assert operator("POST", f"devices/{device.pk}/format", {"slot": 1, "confirm": True}).status_code == 403
    for method, where, what in (
        ("GET", f"devices/{device.pk}/clips", None),
        ("POST", path, download),
        ("POST", f"devices/{device.pk}/format", {"slot": 1}),
    ):
        assert stranger(method, where, what).status_code == 404
    assert operator("POST", f"devices/{camera.pk}/clips/jobs", download).status_code == 422
    assert operator("GET", f"devices/{camera.pk}/clips").status_code == 422
    assert not Job.objects.exists()
    assert operator("POST", path, download).status_code == 201


def test_what_is_asked_for_is_json_that_says_itself(library: Path, caller: Callable[..., Caller]):
    paths = json.loads(caller(Role.VIEWER)("GET", "openapi.json").content)["paths"]
    assert {"/api/v1/devices/{device_id}/clips", "/api/v1/devices/{device_id}/clips/jobs"} <= set(paths)
