"""Which processes belong to a tree: all below its root, and those that have left it but not its session. Pure.

A process that forks twice, or whose parent has ended, is no longer below its root: its parent is process 1 by then, or
whoever takes in orphans. It still is in the root's session and process group unless it left those too. Their numbers
are not used again as long as a process is in them (the kernel's struct pid counts them), so they prove where it comes
from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pgusher.remedy.act.pinned import Stat


def own_numbers(members: Iterable[Stat]) -> set[int]:
    """Numbers of the sessions and groups whose leaders are among these: all in them descend from their leader."""
    found = set()
    for one in members:
        if one.session == one.pid:
            found.add(one.session)
        if one.group == one.pid:
            found.add(one.group)
    return found


def related(table: Mapping[int, Stat], members: Collection[tuple[int, int]], numbers: Collection[int]) -> list[Stat]:
    """Those in `table` that are not among `members` (pid, start), and belong to them: the nearest first.

    `numbers`: of sessions and groups that were led by a member, ever.
    """
    known = {pid for pid, start in members if pid in table and table[pid].start_ticks == start}
    # One of them may have ended, its session too, and its number be a stranger's pid and session now.
    foreign = {number for number in numbers if number in table and number not in known}
    valid = set(numbers) - foreign
    children: dict[int, list[Stat]] = {}
    for stat in table.values():
        children.setdefault(stat.ppid, []).append(stat)
    found: dict[int, Stat] = {}
    todo = [table[pid] for pid in known]
    for stat in table.values():
        if stat.pid not in known and (stat.session in valid or stat.group in valid):
            found[stat.pid] = stat
            todo.append(stat)
    while todo:
        for child in children.get(todo.pop().pid, ()):
            if child.pid not in known and child.pid not in found:
                found[child.pid] = child
                todo.append(child)
    return [stat for stat in found.values() if not stat.kernel_thread]


def descendants(table: Mapping[int, Stat], root: tuple[int, int]) -> list[Stat]:
    """All that would go with a root (pid, start), by one look: as a tree finds them before it is ended."""
    first = table.get(root[0])
    if first is None or first.key != root:
        return []
    members, numbers = {root}, own_numbers([first])
    found: list[Stat] = []
    while new := related(table, members, numbers):
        found += new
        members |= {one.key for one in new}
        numbers |= own_numbers(new)
    return found
