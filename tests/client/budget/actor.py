"""A process of a budget that does what it is told, line by line, by a clock that the test gives. Prints what came.

python actor.py DIRECTORY NAME TOTAL [MINIMUM]
"""

from __future__ import annotations

import json
import os
import sys

from pgusher.client.budget import Budget


def main() -> None:
    directory, name, total = sys.argv[1], sys.argv[2], int(sys.argv[3])
    budget = Budget(name, total, minimum=int(sys.argv[4]) if len(sys.argv) > 4 else 0, directory=directory)
    gate = budget.gate()
    answer: object
    print("ready", flush=True)  # noqa: T201 - the test reads it
    for line in sys.stdin:
        word, *rest = line.split()
        numbers = [float(number) for number in rest]
        if word == "take":
            answer = gate.may_connect(*numbers)
        elif word == "tick":
            now, size, idle, waiting = numbers
            gate.tick(now, int(size), int(idle), int(waiting))
            answer = gate.pressed
        elif word == "give":
            answer = gate.give_back(*numbers)
        elif word == "closed":
            gate.closed()
            answer = None
        elif word == "held":
            answer = budget.held
        elif word == "fork":  # a child that takes and ends: what can it get, and does the parent keep its own?
            read, write = os.pipe()
            child = os.fork()
            if child == 0:
                gate.forked()
                gate.closed()  # a parent's session that the child has forgotten
                gate.tick(numbers[0], 0, 0, 9)
                got = sum(gate.may_connect(numbers[0]) == 0.0 for _ in range(total + 1))
                os.write(write, json.dumps([got, budget.held]).encode())
                os._exit(0)
            os.waitpid(child, 0)
            answer = json.loads(os.read(read, 100))
        else:
            raise ValueError(line)
        print(json.dumps(answer), flush=True)  # noqa: T201 - as above


main()
