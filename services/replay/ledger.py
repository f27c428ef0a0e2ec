"""What has been stored, counted: the last chunk of each actor, by which one that comes again is known, and the sums."""

from collections import OrderedDict

from ...proto.replay.v1 import replay_pb2 as pb

FORMAT = 1
_MOST_ACTORS = 100_000  # remembered; the one not heard of for longest goes first
_SUMS = ("episodes", "episode_moves", "first_wins", "second_wins")
_NEWEST = ("weights_version", "policy_entropy", "distinct_openings")


class Ledger:
    """Counts of a run, which outlive the server where it has a log."""

    def __init__(self) -> None:
        self.inserted = 0  # rows
        self.chunks = 0
        self.played = pb.Played()
        self._last: OrderedDict[int, int] = OrderedDict()  # actor -> sequence, the least recently heard first

    @property
    def num_actors(self) -> int:
        """Actors of which there is a chunk."""
        return len(self._last)

    def has(self, request: pb.AppendRequest) -> bool:
        """Whether the chunk was stored: its actor's numbers only rise."""
        return request.sequence <= self._last.get(request.actor, 0)

    def enter(self, request: pb.AppendRequest, num_rows: int) -> None:
        """Counts a chunk that is stored now."""
        self.inserted += num_rows
        self.chunks += 1
        for name in _SUMS:
            setattr(self.played, name, getattr(self.played, name) + getattr(request.played, name))
        for name in _NEWEST:
            setattr(self.played, name, getattr(request.played, name))
        self._last[request.actor] = request.sequence
        self._last.move_to_end(request.actor)
        if len(self._last) > _MOST_ACTORS:
            self._last.popitem(last=False)

    def header(self, spec_fingerprint: str, chunk_rows: int) -> pb.SegmentHeader:
        """All of it, for a log's next segment."""
        return pb.SegmentHeader(
            format=FORMAT,
            spec_fingerprint=spec_fingerprint,
            chunk_rows=chunk_rows,
            inserted=self.inserted,
            chunks=self.chunks,
            played=self.played,
            last=self._last,
        )

    def read(self, header: pb.SegmentHeader) -> None:
        """Goes on from what a segment began with."""
        self.inserted, self.chunks = header.inserted, header.chunks
        self.played.CopyFrom(header.played)
        self._last = OrderedDict(header.last)
