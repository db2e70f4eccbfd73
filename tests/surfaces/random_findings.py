"""Diagnoses and stacks of any shape, for property tests: consistent with the model's types and with nothing else."""

from __future__ import annotations

from hypothesis import strategies as st

from pgusher.model.evidence import Certainty
from pgusher.model.findings import Diagnosis, Evidence, Finding, Remedy, Safety, Severity, Skipped
from pgusher.model.stacks import Frame, ProcessStacks, StackOrigin, ThreadStack
from tests.surfaces.random_worlds import gaps, maybe, micros, pids, texts

files = st.one_of(
    texts, st.sampled_from(["/opt/job.py", "/usr/lib/python3.11/queue.py", "/usr/lib/python3.11/threading.py"])
)
lines = st.one_of(st.integers(0, 4), st.integers(0))
frames = st.builds(Frame, st.one_of(texts, st.just("Thread.run")), files, lines, texts)
threads = st.builds(
    ThreadStack,
    pids,
    maybe(st.integers()),
    maybe(texts),
    st.lists(frames, max_size=14).map(tuple),
    st.booleans(),
    st.one_of(st.sampled_from("RSDZ"), texts),
    maybe(texts),
    maybe(texts),
    maybe(st.booleans()),
    switched=maybe(st.integers(0, 9)),
    busy=maybe(st.booleans()),
)
stacks = st.builds(
    ProcessStacks,
    pids,
    st.integers(0),
    micros,
    st.sampled_from(StackOrigin),
    st.lists(threads, max_size=7).map(tuple),
    sampled_ms=st.integers(0, 30_000),
)
numbers = st.lists(pids, max_size=4).map(tuple)
findings = st.builds(
    Finding,
    texts,
    st.sampled_from(Severity),
    st.sampled_from(Certainty),
    texts,
    texts,
    st.lists(texts, max_size=3).map(tuple),
    st.lists(st.builds(Evidence, texts, st.sampled_from(Certainty)), max_size=9).map(tuple),
    st.lists(st.builds(Remedy, texts, st.sampled_from(Safety), texts, texts), max_size=3).map(tuple),
    maybe(texts),
    numbers,
    numbers,
    st.integers(0, 60),
    maybe(micros),
    maybe(files),
    maybe(lines),
    maybe(texts),
    st.booleans(),
)
diagnoses = st.builds(
    Diagnosis,
    st.lists(findings, max_size=5).map(tuple),
    st.lists(st.builds(Skipped, texts, texts, gaps), max_size=3).map(tuple),
    st.lists(texts, max_size=3).map(tuple),
    st.lists(texts, max_size=3).map(tuple),
)
