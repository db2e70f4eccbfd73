"""The form of a ledger: whatever is in it, reading gives a loan or nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgusher.model import loans
from pgusher.model.loans import Loan, parse_header, parse_record


def record(**other: object) -> bytes:
    values = {
        "first": 7, "state": loans.LENT, "since": 2_000_000, "connected": 1_000_000, "tid": 99, "backend": 4711,
        "line": 42, "file": b"/srv/orders.py", "thread": b"worker-3", "task": b"", "last": 7,
    } | other  # fmt: skip
    return loans.RECORD.pack(*values.values())


def test_a_lent_session() -> None:
    assert parse_record(record(), 5) == Loan(
        5, 4711, 1_000_000, True, 2_000_000, "/srv/orders.py", 42, "worker-3", 99, None
    )


def test_an_idle_one_tells_no_line_of_its_last_loan() -> None:
    assert parse_record(record(state=loans.IDLE), 5) == Loan(5, 4711, 1_000_000, False, 2_000_000)


def test_what_is_torn_or_of_no_session_is_nothing() -> None:
    assert parse_record(record(last=8), 5) is None
    assert parse_record(record(state=loans.NOBODYS), 5) is None
    assert parse_record(record(state=9), 5) is None
    assert parse_record(record(backend=0), 5) is None
    assert parse_record(record(since=-1), 5) is None
    assert parse_record(record(connected=1 << 60), 5) is None
    assert parse_record(record()[:-1], 5) is None


def test_a_name_that_was_cut_within_a_character_loses_that_character_only() -> None:
    loan = parse_record(record(thread="é".encode()[:1].rjust(40, b"x")), 5)
    assert loan is not None
    assert loan.thread == "x" * 39


def test_a_header_of_another_form_is_none() -> None:
    good = loans.HEADER.pack(loans.MAGIC, loans.SIZE, 5, 77, 1 << 30, 0)
    assert parse_header(good) == (5, 77, loans.SLOTS)
    assert parse_header(good[:-1]) is None
    assert parse_header(b"X" + good[1:]) is None
    assert parse_header(loans.HEADER.pack(loans.MAGIC, 1, 5, 77, 1, 0)) is None


@given(st.binary(min_size=loans.SIZE, max_size=loans.SIZE))
def test_garbage_gives_a_bounded_loan_or_nothing(raw: bytes) -> None:
    parse_header(raw)
    # As it comes, and with what makes it plausible.
    for tried in (raw, raw[:4] + b"\2\0\0\0" + raw[8:12] + bytes(4) + raw[16:20] + bytes(4) + raw[24:-4] + raw[:4]):
        loan = parse_record(tried, 5)
        if loan is not None:
            texts = [text for text in (loan.file, loan.thread, loan.task) if text is not None]
            assert all(len(text) <= loans.FILE_BYTES for text in texts)
            assert all(text.encode() for text in texts)
