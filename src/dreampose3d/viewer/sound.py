"""The sound of one video in another: copied where mp4 holds its codec, else encoded anew as AAC."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_HELD_BY_MP4 = ("aac", "mp3", "ac3", "eac3", "opus", "alac", "flac")


def sound_of(video: Path, container: Any) -> Callable[[float, float], None] | None:
    """Give an open mp4 a track for a video's sound, to be filled as the pictures are.

    Args:
        video: Where the sound comes from.
        container: The PyAV container that is being written; nothing may have been muxed into it yet.

    Returns:
        A function of two times of the video, s: it muxes the sound up to the first (`inf`: all that is left), moved so
        that the second becomes 0. None if the video is silent.
    """
    import av

    source = av.open(str(video))
    if not source.streams.audio:
        source.close()
        return None
    given = source.streams.audio[0]
    copied = given.codec_context.name in _HELD_BY_MP4
    track = container.add_stream_from_template(given) if copied else container.add_stream("aac", rate=given.rate)
    packets = _copied(source, given) if copied else _encoded(source, given, track)
    waiting: list[Any] = []

    def fill(until_s: float, zero_s: float) -> None:
        while True:
            packet = waiting.pop() if waiting else next(packets, None)
            if packet is None:
                source.close()
                return
            start_s = float(packet.pts * packet.time_base)
            if start_s > until_s:
                waiting.append(packet)
                return
            if start_s >= zero_s:  # what is heard before the first picture has no place
                shift = round(zero_s / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = track
                container.mux(packet)

    return fill


def _copied(source: Any, stream: Any) -> Iterator[Any]:
    for packet in source.demux(stream):
        if packet.pts is not None and packet.dts is not None:  # the last one of a demuxer is empty
            yield packet


def _encoded(source: Any, stream: Any, track: Any) -> Iterator[Any]:
    for frame in source.decode(stream):
        yield from track.encode(frame)
    yield from track.encode(None)
