from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.domain.errors import LedgerError
from optimizer.ledger import blobs
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from tests.ledger import samples

FIRST, SECOND = samples.trace(words="first " * 500), samples.trace(words="second " * 500)


def record_two(folder: Path) -> tuple[str, str]:
    with Ledger.create(folder, samples.HEADER) as ledger:
        first = ledger.record_rollout(samples.rollout(samples.job(1)), FIRST)
        return first, ledger.record_rollout(samples.rollout(samples.job(2)), SECOND)


def test_a_pack_cut_short_costs_the_traces_in_its_tail_and_no_other(folder: Path) -> None:
    first, second = record_two(folder)
    pack = blobs.pack_path(folder, 1)
    pack.write_bytes(pack.read_bytes()[:-5])
    with LedgerReader.open(folder) as reader:
        assert reader.trace(first) == FIRST
        with pytest.raises(LedgerError, match=f"blob {second} cannot be read from .*ledger-0001.pack .* Only this"):
            reader.trace(second)
        assert len(reader.trace_events(second)) == 6
        assert reader.status().n_rollouts == 2


def test_a_flipped_bit_is_noticed(folder: Path) -> None:
    first, second = record_two(folder)
    pack = blobs.pack_path(folder, 1)
    content = bytearray(pack.read_bytes())
    content[60] ^= 1
    pack.write_bytes(bytes(content))
    with LedgerReader.open(folder) as reader:
        with pytest.raises(LedgerError, match="cannot be read"):
            reader.trace(first)
        assert reader.trace(second) == SECOND


def test_a_missing_pack_is_named(folder: Path) -> None:
    first, _ = record_two(folder)
    blobs.pack_path(folder, 1).unlink()
    with LedgerReader.open(folder) as reader, pytest.raises(LedgerError, match="No such file"):
        reader.trace(first)


def test_a_pack_cut_short_is_never_filled_up_again(folder: Path) -> None:
    first, second = record_two(folder)
    pack = blobs.pack_path(folder, 1)
    pack.write_bytes(pack.read_bytes()[:-5])
    third = samples.trace(words="third " * 500)
    with Ledger.open(folder) as ledger:
        sha = ledger.record_rollout(samples.rollout(samples.job(3)), third)
        assert (ledger.trace(first), ledger.trace(sha)) == (FIRST, third)
        with pytest.raises(LedgerError, match=second):
            ledger.trace(second)
    assert blobs.pack_path(folder, 2).stat().st_size > 0


def test_bytes_that_no_row_points_to_are_passed_over(folder: Path) -> None:
    first, _ = record_two(folder)
    with blobs.pack_path(folder, 1).open("ab") as pack:
        pack.write(b"torn by a kill")
    third = samples.trace(words="third")
    with Ledger.open(folder) as ledger:
        sha = ledger.record_rollout(samples.rollout(samples.job(3)), third)
        assert (ledger.trace(first), ledger.trace(sha)) == (FIRST, third)


def test_a_large_pack_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "PACK_BYTES", 100)
    packs = blobs.PackWriter(tmp_path, pack=1, recorded_end=0)
    payloads = [bytes([number]) * 50 + number.to_bytes(50) for number in range(20)]
    places = [packs.append(payload) for payload in payloads]
    packs.close()
    assert {place.pack for place in places} > {1, 2}
    assert [
        blobs.read_blob(tmp_path, blobs.blob_sha(p), at) for p, at in zip(payloads, places, strict=True)
    ] == payloads


def test_equal_content_is_kept_once(folder: Path) -> None:
    with Ledger.create(folder, samples.HEADER) as ledger:
        shas = {ledger.record_rollout(samples.rollout(samples.job(trial=trial)), FIRST) for trial in range(5)}
        ledger.record_candidate(samples.candidate(1))
        size = blobs.pack_path(folder, 1).stat().st_size
        ledger.record_rollout(samples.rollout(samples.job(7)), FIRST)
        assert blobs.pack_path(folder, 1).stat().st_size == size
    assert len(shas) == 1
