"""Encrypted streams: who is let in, who is not, and who notices."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zmq

from streamer.client import MaskSubscriber, ReaderKeys, SilenceError
from streamer.client.command import main as client_main
from streamer.errors import ConfigError, SinkError, StreamError
from streamer.keys import main as keys_main
from streamer.keys import make_keys
from streamer.output import EndOfStream
from streamer.sink_config import ZmqConfig
from streamer.sinks import readers
from streamer.sinks.guard import MAX_BYTES
from streamer.sinks.zmq_sink import ZmqSink
from streamer.wire.connections import Connections
from streamer.wire.curve import REMEMBERED, CurveAuthenticator
from tests.descriptors import open_descriptors
from tests.publisher import Publisher
from tests.results import RUN, frame_result
from tests.waits import PATIENCE_S, until


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with the keys of a publisher, and in `readers` those of a reader."""
    make_keys(tmp_path, "camera")
    make_keys(tmp_path / "readers", "alice")
    make_keys(tmp_path, "mallory")
    return tmp_path


def secured(keys: Path, **options: object) -> ZmqConfig:
    return ZmqConfig(
        curve_key=str(keys / "camera.key_secret"),
        curve_readers=str(keys / "readers"),
        heartbeat_s=0.02,
        **options,  # type: ignore[arg-type]
    )


def reader(publisher: Publisher, keys: ReaderKeys | None) -> MaskSubscriber:
    return MaskSubscriber(publisher.endpoint, timeout_s=PATIENCE_S, keys=keys)


def alice(keys: Path) -> ReaderKeys:
    return ReaderKeys(keys / "readers" / "alice.key_secret", keys / "camera.key")


def mallory(keys: Path) -> ReaderKeys:
    return ReaderKeys(str(keys / "mallory.key_secret"), str(keys / "camera.key"))


def first_frame(subscriber: MaskSubscriber) -> int:
    return next(iter(subscriber)).frame


def patient_frames(subscriber: MaskSubscriber, count: int) -> list[int]:
    """Its next frames, however often it hears nothing for a while."""
    frames: list[int] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(frames) < count and time.monotonic() < deadline:
        with suppress(SilenceError):
            frames.append(first_frame(subscriber))
    return frames


def test_an_allowed_reader_gets_the_stream_and_others_get_nothing(
    keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Publisher(secured(keys, wait_subscribers=1)) as publisher:
        publisher.inform()
        publisher.put([frame_result(0)])
        strangers = [
            MaskSubscriber(publisher.endpoint, timeout_s=0.3, keys=each)
            for each in (None, mallory(keys), ReaderKeys(alice(keys).secret, keys / "mallory.key"))
        ]
        for stranger in strangers:  # each had heartbeats of 0.02 s to hear, and the one frame
            with stranger, pytest.raises(SilenceError):
                first_frame(stranger)
        with reader(publisher, alice(keys)) as allowed:
            assert first_frame(allowed) == 0
        assert publisher.end() is None
    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    refused = [line for line in told if "without an allowed key was refused" in line]
    assert len(refused) == 1  # however often it tried
    assert (keys / "mallory.key").read_text().split('"')[1] in refused[0]
    assert any("connections without an allowed key so far" in line for line in told)


def test_a_key_counts_from_the_next_connection_on(keys: Path) -> None:
    with Publisher(secured(keys, wait_subscribers=1)) as publisher:
        publisher.inform()
        publisher.put([frame_result(0)])
        public = (keys / "mallory.key").read_text()
        (keys / "readers" / "mallory.key").write_text(public)
        with reader(publisher, mallory(keys)) as allowed:
            assert first_frame(allowed) == 0
        (keys / "readers" / "mallory.key").unlink()
        revoked = MaskSubscriber(publisher.endpoint, timeout_s=0.3, keys=mallory(keys))
        with revoked, pytest.raises(SilenceError):
            first_frame(revoked)


def test_the_client_takes_keys_and_both_of_them(
    keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, publishers = alice(keys).secret, keys / "camera.key"
    with Publisher(secured(keys, pattern="push")) as publisher:
        publisher.inform()
        publisher.put([frame_result(7), EndOfStream("end", 1, 0)])
        arguments = [publisher.endpoint, "--pattern", "pull", "--timeout_s", str(PATIENCE_S)]
        for one in (["--curve_key", str(own)], ["--publisher_key", str(publishers)]):
            assert client_main([*arguments, *one]) == 2
            assert "of use together alone" in capsys.readouterr().err
        both = ["--curve_key", str(own), "--publisher_key", str(publishers)]
        assert client_main([*arguments, *both]) == 0
    assert capsys.readouterr().out.startswith("frame 7 ")


def test_push_is_encrypted_too(keys: Path) -> None:
    with Publisher(secured(keys, pattern="push")) as publisher:
        publisher.inform()
        publisher.put([frame_result(7), EndOfStream("end", 1, 0)])
        with MaskSubscriber(
            publisher.endpoint, pattern="pull", timeout_s=PATIENCE_S, keys=alice(keys)
        ) as puller:
            assert [frame.frame for frame in puller] == [7]


def test_what_a_reader_with_a_key_brings_is_not_counted(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Connections] = []
    update = Connections.update

    def noted(connections: Connections, timeout_s: float | None = 0.0) -> bool:
        looks.append(connections)
        return update(connections, timeout_s)

    monkeypatch.setattr(Connections, "update", noted)
    with Publisher(secured(keys)) as publisher, reader(publisher, alice(keys)) as allowed:
        for number in range(120):
            allowed._socket.setsockopt(zmq.SUBSCRIBE, b"%03d" % number + bytes(3000))
        until(lambda: sum(each.received for look in looks[:1] for each in list(look)) > MAX_BYTES)
        (connection,) = looks[0]
        before = len(looks)
        until(lambda: len(looks) > before + 3)
        assert list(looks[0]) == [connection]


def test_a_refused_reader_is_let_in_once_its_key_is_there(
    keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Publisher(secured(keys, wait_subscribers=1)) as publisher,
        MaskSubscriber(publisher.endpoint, timeout_s=0.1, keys=mallory(keys)) as late,
    ):
        publisher.inform()
        publisher.put([frame_result(0)])
        while "without an allowed key was refused" not in caplog.text:
            with pytest.raises(SilenceError):
                first_frame(late)
        (keys / "readers" / "mallory.key").write_text((keys / "mallory.key").read_text())
        assert patient_frames(late, 1) == [0]


@pytest.mark.parametrize(
    ("first", "then", "has_keys"),
    [("push", "pub", False), ("secured", "pub", False), ("pub", "secured", True)],
)
def test_a_reader_outlives_a_publisher_that_it_could_not_read(
    keys: Path, first: str, then: str, has_keys: bool
) -> None:
    configs = {
        "pub": ZmqConfig(wait_subscribers=1, linger_s=0.05),
        "push": ZmqConfig(pattern="push", linger_s=0.05),
        "secured": secured(keys, wait_subscribers=1, linger_s=0.05),
    }
    with Publisher(configs[first]) as foreign:
        endpoint = foreign.endpoint
        options = alice(keys) if has_keys else None
        subscriber = MaskSubscriber(endpoint, timeout_s=0.1, keys=options)
        while not subscriber._connections.given_up:
            with pytest.raises(SilenceError):
                first_frame(subscriber)
    with subscriber, Publisher(configs[then], endpoint) as publisher:
        publisher.inform()
        publisher.put([frame_result(index) for index in range(3)])
        assert patient_frames(subscriber, 3) == [0, 1, 2]
        assert subscriber.lost == 0


@pytest.mark.parametrize("content", ["no key", "curve\n    public-key\n", 'public-key = "short"'])
def test_a_broken_key_is_passed_over_and_keeps_nobody_else_out(
    keys: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as server:
        doorman = CurveAuthenticator(server, keys / "camera.key_secret", keys / "readers")
        try:
            public = (keys / "readers" / "alice.key").read_text().split('"')[1]
            (keys / "readers" / "bob.key").write_text(content)
            for _ in range(2):
                assert doorman.callback("*", public.encode())
            (keys / "readers" / "alice.key").write_text(content)
            assert not doorman.callback("*", public.encode())
        finally:
            doorman.stop()
    passed_over = [line for line in caplog.messages if "a reader's key is passed over" in line]
    assert len(passed_over) == 2
    assert "bob.key" in passed_over[0]
    assert "alice.key" in passed_over[1]


def test_refusals_are_logged_up_to_a_number(keys: Path, caplog: pytest.LogCaptureFixture) -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as server:
        doorman = CurveAuthenticator(server, keys / "camera.key_secret", keys / "readers")
        try:
            for number in range(2 * REMEMBERED):
                assert not doorman.callback("*", b"%040d" % number)
        finally:
            doorman.stop()
    lines = [record.message for record in caplog.records if "refused" in record.message]
    assert len(lines) == REMEMBERED + 1
    assert lines[-1].endswith("silently")


def test_a_public_stream_beyond_this_machine_is_warned_of_and_an_encrypted_one_is_not(
    keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for config, warned in ((ZmqConfig(), True), (secured(keys), False)):
        caplog.clear()
        ZmqSink("tcp://0.0.0.0:*", "default", RUN, config).close()
        assert ("open to whoever reaches this machine" in caplog.text) is warned


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("camera.key_secret", None, r"camera\.key_secret: no key can be read"),
        ("camera.key_secret", "nothing", "No public key found"),
        ("camera.key_secret", 'public-key = "abc"', "a key has 3 characters, expected 40"),
        ("camera.key_secret", f'public-key = "{"a" * 40}"', "there is no secret key in it"),
        (
            "camera.key_secret",
            f'public-key = "{"~" * 40}"\nsecret-key = "{"~" * 40}"',
            "camera.key_secret: is no pair of keys",
        ),
        ("readers/alice.key", None, r"there is no \.key file with a key in it"),
        ("readers/alice.key", "nothing", r"there is no \.key file with a key in it"),
    ],
)
def test_keys_that_are_none_are_named(
    keys: Path, name: str, content: str | None, message: str
) -> None:
    if content is None:
        (keys / name).unlink()
    else:
        (keys / name).write_text(content)
    with pytest.raises(ConfigError, match=message):
        ZmqSink("tcp://127.0.0.1:*", "default", RUN, secured(keys))


def test_a_reader_with_keys_that_are_none_says_so(keys: Path) -> None:
    missing = ReaderKeys(keys / "nobody.key_secret", keys / "camera.key")
    before = open_descriptors()
    with pytest.raises(ConfigError, match="nobody") as caught:
        MaskSubscriber("tcp://127.0.0.1:5555", keys=missing)
    assert open_descriptors() <= before, caught  # as long as its frames hold the socket
    (keys / "camera.key").write_text(f'public-key = "{"~" * 40}"')
    with pytest.raises(ConfigError, match=r"camera\.key: is no public key"):
        MaskSubscriber("tcp://127.0.0.1:5555", keys=alice(keys))


@pytest.mark.parametrize("only", ["curve_key", "curve_readers"])
def test_half_of_the_options_is_refused(only: str) -> None:
    with pytest.raises(ConfigError, match=r"zmq\.curve_readers is .*; allowed: a folder with"):
        ZmqConfig(**{only: "keys"})  # type: ignore[arg-type]


def test_a_secret_that_others_may_read_is_warned_of(
    keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (keys / "camera.key_secret").chmod(0o644)
    ZmqSink("tcp://127.0.0.1:*", "default", RUN, secured(keys)).close()
    assert "other users of this machine may read the secret key" in caplog.text


def test_keys_are_made_for_their_owner_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "keys"
    assert keys_main([str(folder), "camera", "alice"]) == 0
    made = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in made] == [
        *("camera.key", "camera.key_secret"),
        *("alice.key", "alice.key_secret"),
    ]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (*made, folder))
    assert len({path.read_text().split('"')[1] for path in made}) == 2


def test_keys_are_never_overwritten(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (keys / "camera.key_secret").read_text()
    assert keys_main([str(keys), "camera"]) == 2
    assert "camera.key exists" in capsys.readouterr().err
    assert (keys / "camera.key_secret").read_text() == before


@pytest.mark.parametrize("name", ["", "a/b", "keys/"])
def test_names_are_names_of_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(StreamError, match="the name is"):
        make_keys(tmp_path, name)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StreamError, match="no keys can be written"):
        make_keys(tmp_path / "file", "camera")


def test_a_name_that_is_too_long_for_the_secret_key_is_told(keys: Path) -> None:
    with pytest.raises(SinkError, match="no keys can be written"):
        make_keys(keys, "a" * 249)
    assert not (keys / f"{'a' * 249}.key").exists()


@pytest.mark.parametrize("name", ["secret", "publisher"])
def test_what_is_no_path_of_a_key_is_named(name: str) -> None:
    paths: dict[str, Any] = {"secret": "a.key_secret", "publisher": "b.key", name: None}
    with pytest.raises(ConfigError, match=f"keys.{name} is None; allowed: the path of a key file"):
        ReaderKeys(**paths)


def test_a_publisher_that_cannot_open_leaves_no_thread(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    before = threading.active_count()
    monkeypatch.setattr(readers, "Guard", fail)
    with pytest.raises(RuntimeError):
        ZmqSink("tcp://127.0.0.1:*", "default", RUN, secured(keys))
    until(lambda: threading.active_count() <= before)
