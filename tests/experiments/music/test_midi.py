"""MIDI files: which notes are read, which files are refused, what is written."""

import io

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.config import ConfigError
from experiments.music.midi import KEYS, LONGEST, LOWEST, TICKS, Note, notes, read_midi, write_midi

FIELD = "config.task.path"
QUARTER = 480


def on(note, time=0, **options):
    return mido.Message("note_on", note=note, time=time, **{"velocity": 80} | options)


def off(note, time=0, **options):
    return mido.Message("note_off", note=note, time=time, **options)


def saved(directory, *tracks, name="x.mid", **options):
    """The path of a file with some tracks of messages."""
    file = mido.MidiFile(
        tracks=[mido.MidiTrack(track) for track in tracks],
        **{"ticks_per_beat": QUARTER, "type": 1} | options,
    )
    file.save(directory / name)
    return directory / name


def read(path, grid=1):
    """The notes that a file's piano roll has, and its number of frames."""
    roll = read_midi(path, FIELD, grid).roll
    assert roll.dtype == np.uint8 and roll.shape[1] == KEYS and set(np.unique(roll)) <= {0, 1}
    return list(notes(roll)), len(roll)


def test_notes_are_where_they_sound(tmp_path):
    path = saved(
        tmp_path, [on(60), on(64, 480), off(60, 480), off(64, 960), on(21, 0), off(21, 480)]
    )
    assert read(path) == ([Note(21, 4, 5), Note(60, 0, 2), Note(64, 1, 4)], 5)
    assert read(path, grid=4)[0] == [Note(21, 16, 20), Note(60, 0, 8), Note(64, 4, 16)]


@pytest.mark.parametrize("tempo", [0, 1, 16_777_215])
def test_the_grid_counts_quarter_notes_whatever_the_tempo(tmp_path, tempo):
    change = mido.MetaMessage("set_tempo", tempo=tempo)
    path = saved(tmp_path, [change, on(60, 480), change, off(60, 960)])
    assert read(path) == ([Note(60, 1, 3)], 3)


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (0, 480, (0, 1)),
        (10, 460, (0, 1)),  # played a little late
        (470, 970, (1, 2)),  # a little early, and held a little into the next
        (480, 500, (1, 2)),  # staccato
        (500, 560, (1, 2)),
        (470, 490, (1, 2)),
        (240, 480, None),  # the second of two eighths: over when the line comes
        (0, 240, (0, 1)),  # the first of them
        (240, 481, (1, 2)),  # syncopated
        (239, 719, (0, 1)),
        (239, 720, (0, 2)),
    ],
)
def test_a_note_goes_to_the_lines_that_are_nearest(tmp_path, begin, end, expected):
    events = sorted(
        [(0, on(50)), (1, off(50)), (begin, on(70)), (end, off(70))], key=lambda e: e[0]
    )
    waits = np.diff([time for time, _ in events], prepend=0).tolist()
    track = [event.copy(time=wait) for (_, event), wait in zip(events, waits, strict=True)]
    found, _ = read(saved(tmp_path, track))
    assert [note[1:] for note in found if note.pitch == 70] == ([expected] if expected else [])


def test_velocity_zero_ends_a_note_as_a_note_off_does(tmp_path):
    path = saved(tmp_path, [on(60), on(60, 960, velocity=0), on(62), off(62, 480)])
    assert read(path)[0] == [Note(60, 0, 2), Note(62, 2, 3)]


def test_running_status_is_read(tmp_path):
    """Bytes written by hand: one status byte for three note-ons, two of velocity 0."""
    events = bytes([0, 0x90, 60, 64, 96, 60, 0, 0, 67, 64, 96, 67, 0, 0, 0xFF, 0x2F, 0])
    header = b"MThd" + (6).to_bytes(4, "big") + b"\0\0\0\1" + (96).to_bytes(2, "big")
    (tmp_path / "x.mid").write_bytes(header + b"MTrk" + len(events).to_bytes(4, "big") + events)
    assert read(tmp_path / "x.mid") == ([Note(60, 0, 1), Note(67, 1, 2)], 2)


def test_overlapping_notes_on_one_key(tmp_path):
    """A note-off ends all of its key, track and channel, but what was struck at its tick."""
    twice = [on(60), on(60, 480), off(60, 480), off(60, 480)]
    assert read(saved(tmp_path, twice)) == ([Note(60, 0, 2)], 3)
    anew = [on(60), on(60, 480), off(60, 0), on(62), off(62, 480), off(60, 480)]
    assert read(saved(tmp_path, anew))[0] == [Note(60, 0, 3), Note(62, 1, 2)]
    nothing = [on(60, 480), off(60), on(62), off(62, 960)]
    assert read(saved(tmp_path, nothing))[0] == [Note(62, 1, 3)]
    other_channel = [on(60), on(60, 480, channel=3), off(60, 480), off(60, 480, channel=3)]
    assert read(saved(tmp_path, other_channel))[0] == [Note(60, 0, 3)]
    tracks = [on(60), off(60, 1440)], [on(60, 480), off(60, 480)]
    assert read(saved(tmp_path, *tracks))[0] == [Note(60, 0, 3)]


def test_what_is_never_let_go_ends_with_its_track(tmp_path):
    end = mido.MetaMessage("end_of_track", time=960)
    path = saved(tmp_path, [on(60), off(61, 480), end], [on(70), off(70, 1920)])
    assert read(path) == ([Note(60, 0, 3), Note(70, 0, 4)], 4)


def test_tracks_sound_together_but_those_of_type_2_follow_one_another(tmp_path):
    tracks = [on(60), off(60, 960)], [on(64), off(64, 480)]
    assert read(saved(tmp_path, *tracks))[0] == [Note(60, 0, 2), Note(64, 0, 1)]
    assert read(saved(tmp_path, *tracks, type=2)) == ([Note(60, 0, 2), Note(64, 2, 3)], 3)
    assert read(saved(tmp_path, tracks[0], type=0))[0] == [Note(60, 0, 2)]


def test_drums_pedals_and_keys_beyond_the_piano_are_left_out(tmp_path):
    pedal = mido.Message("control_change", control=64, value=127)
    drums = [on(40, channel=9), off(40, 480, channel=9)]
    path = saved(
        tmp_path, [pedal, on(20), on(109), on(108), off(20, 480), off(109), off(108)], drums
    )
    assert read(path)[0] == [Note(108, 0, 1)]
    assert read_midi(path, FIELD, 1).outside == 2


def whole():
    file = mido.MidiFile(tracks=[mido.MidiTrack([on(60), off(60, 480)])])
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()


def header(kind=1, tracks=1, ticks=480):
    return b"MThd\0\0\0\6" + b"".join((n % 65536).to_bytes(2, "big") for n in (kind, tracks, ticks))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"do re mi fa sol la si do", r"is no whole MIDI file \(MThd not found"),
        (whole()[:-6], r"is no whole MIDI file \(it is cut short\); replace it or take it away"),
        (whole()[:10], "is no whole MIDI file"),
        (header(tracks=2) + whole()[14:], "is no whole MIDI file"),
        (header(tracks=0), "has no note from 21 to 108"),
        (header(tracks=-1) + whole()[14:], "has no note from 21 to 108"),
        (header(ticks=-6360) + whole()[14:], r"counts seconds \(SMPTE\)"),
        (header(ticks=0) + whole()[14:], r"counts seconds \(SMPTE\)"),
        (header() + b"MTrk\xff\xff\xff\xff\0\x90", "is no whole MIDI file"),
        (header() + b"MTrk\0\0\0\x05\0\xff\x05\xff\x7f", "is no whole MIDI file"),
        (header() + b"MTrk\0\0\0\x04\0\x90\xff\xff", "is no whole MIDI file"),
        (header() + b"MTrk\0\0\0\x03\0\x3c\x40", "is no whole MIDI file .running status"),
        (b"MThd" + b"\0" * 4_000_000, "has 4000004 bytes, at most 4000000 will do"),
    ],
)
def test_files_that_are_no_whole_midi_files_are_refused(tmp_path, content, message):
    (tmp_path / "bad.mid").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^config\.task\.path: .*bad\.mid {message}"):
        read_midi(tmp_path / "bad.mid", FIELD, 1)


def test_silent_files_and_endless_ones_are_refused(tmp_path):
    for messages in (
        [off(60, 480)],
        [on(60), off(60)],
        [on(40, channel=9), off(40, 480, channel=9)],
        [on(20), off(20, 480)],
    ):
        with pytest.raises(ConfigError, match=r"x\.mid has no note from 21 to 108"):
            read_midi(saved(tmp_path, messages), FIELD, 1)
    for time in ((LONGEST + 1) * QUARTER, 2**40):
        with pytest.raises(ConfigError, match=r"frames, at most 20000 will do; cut it"):
            read_midi(saved(tmp_path, [on(60), off(60, time)]), FIELD, 1)
    with pytest.raises(ConfigError, match="absent.mid cannot be read"):
        read_midi(tmp_path / "absent.mid", FIELD, 1)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_is_read_or_refused_in_one_sentence(tmp_path_factory, data):
    content = bytearray(whole())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.mid"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        assert read_midi(path, FIELD, 4).roll.any()
    except ConfigError as error:
        assert str(error).startswith(f"config.task.path: {path} ")
        assert "\n" not in str(error)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 4, 12, 96]), st.integers(1, 40))
def test_what_is_written_is_what_is_read(tmp_path_factory, seed, grid, frames):
    random = np.random.default_rng(seed)
    roll = (random.random((frames, KEYS)) < random.choice([0.02, 0.5])).astype(np.uint8)
    roll[random.integers(frames), random.integers(KEYS)] = 1
    path = tmp_path_factory.getbasetemp() / "roll.mid"
    write_midi(path, roll, grid)
    read = read_midi(path, FIELD, grid)
    np.testing.assert_array_equal(read.roll, roll)
    assert read.outside == 0


def messages(path):
    """A file's notes as (number, start, end) in quarter notes, its tempo, and its end."""
    file = mido.MidiFile(path)
    (track,) = file.tracks
    now, sounding, found, tempo = 0, {}, [], None
    for message in track:
        now += message.time
        if message.type == "set_tempo":
            tempo = mido.tempo2bpm(message.tempo)
        elif message.type == "note_on":
            assert message.note not in sounding
            sounding[message.note] = now / file.ticks_per_beat
        elif message.type == "note_off":
            found.append((message.note, sounding.pop(message.note), now / file.ticks_per_beat))
    assert not sounding
    return sorted(found), tempo, now / file.ticks_per_beat


@pytest.mark.parametrize("grid", [1, 4])
def test_files_that_are_written_hold_tied_notes_and_restart_others(tmp_path, grid):
    roll = np.zeros((6, 88), np.uint8)
    roll[0:3, 39] = 1  # middle C, held over three frames
    roll[3, 40] = 1
    roll[[1, 3], 43] = 1  # struck twice
    roll[4, 0] = roll[4, 87] = 1  # the lowest and the highest key; then silence
    write_midi(tmp_path / "x.mid", roll, grid, tempo=72)
    found, tempo, end = messages(tmp_path / "x.mid")
    frames = [(21, 4, 5), (60, 0, 3), (61, 3, 4), (64, 1, 2), (64, 3, 4), (108, 4, 5)]
    assert found == [(pitch, a / grid, b / grid) for pitch, a, b in frames]
    assert tempo == pytest.approx(72, rel=1e-4)
    assert end == 6 / grid
    seconds = mido.MidiFile(tmp_path / "x.mid").length
    assert seconds == pytest.approx(6 / grid * 60 / 72, rel=1e-4)
    assert mido.MidiFile(tmp_path / "x.mid").ticks_per_beat == grid * TICKS


def test_notes_are_runs_of_ones():
    roll = np.random.default_rng(0).random((30, 7)) < 0.5
    expected = []
    for key in range(7):
        start = None
        for frame in range(31):
            sounds = frame < 30 and roll[frame, key]
            if sounds and start is None:
                start = frame
            elif not sounds and start is not None:
                expected.append(Note(LOWEST + key, start, frame))
                start = None
    assert list(notes(roll)) == expected
