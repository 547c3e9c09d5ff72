"""Programs for the tests of Python's calls: they only run Python, and call more once the file ``grown`` exists."""

import gc
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from perfgate.actor.programs.base import Program

TEXT = "the quick brown fox jumps over the lazy dog " * 4
GROWN = Path("grown").exists()


class Config:
    """Values that are looked up by a function."""

    def __init__(self):
        self.values = {"width": 128, "eps": 1e-5}

    def __getattr__(self, name):
        return self.look_up(name)

    def look_up(self, name):
        return self.values[name]


class LooksUp(Program):
    """Layers that take the width from the configuration: once before the loop, or in each round of it."""

    def __init__(self, device):
        self.config = Config()

    def step(self):
        width = self.config.width
        return layers(lambda: self.config.width) if GROWN else layers(lambda: width)


def layers(width):
    """Add up what four layers compute."""
    total = 0
    for number in range(4):
        total += number * width()


class Pools(Program):
    """Drops a pool of threads that nobody shut down."""

    def __init__(self, device):
        del device

    def step(self):
        thread = ThreadPoolExecutor(1).submit(threading.current_thread).result()
        thread.join()


class Copies(Program):
    """Reads all variables of the environment, in each way that ``os`` has."""

    def __init__(self, device):
        del device

    def step(self):
        return repr(os.environ), os.environ.copy(), dict(os.environ.items()), load(1)


class Follows(Program):
    """Follows the path of a folder that the environment names, as libraries do before they read from it."""

    def __init__(self, device):
        del device

    def step(self):
        folder = os.environ["FOLDER"]
        return os.path.realpath(folder), Path(folder).resolve(), load(1)


class Alike:
    """Objects that a dictionary must compare if their hashes collide."""

    def __init__(self, number):
        self.number = number

    def __hash__(self):
        return hash(str(self.number)) % 16  # differs from process to process

    def __eq__(self, other):
        return self.number == other.number


class Searches(Program):
    """Puts such objects into a dictionary."""

    def __init__(self, device):
        self.things = [Alike(number) for number in range(64)]

    def step(self):
        return len(set(self.things))


class Finder:
    """Takes part in every import, as finders of some packages do, and finds nothing."""

    def find_spec(self, *about):
        return next((spec for spec in () if (lambda: spec)()), None)


class Imports(Program):
    """A step looks for a module that does not exist, as code does for optional modules."""

    def __init__(self, device):
        self.step()  # so that each place has been opened once

    def step(self):
        try:
            import nowhere  # noqa: F401
        except ImportError:
            return load(1)


class ImportsBesideFinder(Imports):
    """The same, with a finder that takes part."""

    def __init__(self, device):
        sys.meta_path.append(Finder())
        super().__init__(device)


class Tokenizes(Program):
    """A tokenizer that splits a text, or goes through it character by character."""

    def __init__(self, device):
        self.vocabulary = {word: number for number, word in enumerate(sorted(set(TEXT.split())))}

    def step(self):
        words = by_character(TEXT) if GROWN else TEXT.split()
        self.ids = [self.vocabulary[word] for word in words]


def by_character(text):
    """The words of a text."""
    words, word = [], ""
    for character in text:
        if ends(character):
            words.append(word)
            word = ""
        else:
            word += character
    return words


def ends(character):
    """Whether a word ends here."""
    return character == " "


class Loads(Program):
    """A loader that collates four samples, and pads each of them."""

    def __init__(self, device):
        self.samples = 4

    def step(self):
        collate([load(number) for number in range(self.samples * (2 if GROWN else 1))])


def load(number):
    """One sample."""
    return list(range(number))


def collate(samples):
    """Samples of one length."""
    return max(map(len, samples)) * 0


class Wanders(Program):
    """Calls another number of functions in each step."""

    def __init__(self, device):
        self.taken = 0

    def step(self):
        self.taken += 1
        for _ in range(self.taken):
            load(1)


class Settles(Program):
    """Makes fewer calls from step to step until the sixth."""

    def __init__(self, device):
        self.left = 6

    def step(self):
        self.left = max(self.left - 1, 0)
        for _ in range(self.left):
            load(1)


class Everything(Program):
    """Calls that count and calls that do not: 14 count, those of ``step`` itself and of the methods that it names."""

    def __init__(self, device):
        self.cycle()

    def step(self):
        threads = [threading.Thread(target=in_thread) for _ in range(2)]  # 2 x 2
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        list(numbers())  # 1, although it is resumed three times
        list(delegating())  # 2
        unfinished = numbers()  # 1
        next(unfinished)
        unfinished.close()
        numbers().close()  # 0, because it never began
        [number + 1 for number in range(3)]
        {number: number + 1 for number in (1, 2)}
        sum(number for number in range(3))  # 1, although it is resumed four times
        coroutine = asynchronous()  # 1
        next(coroutine.__await__(), None)
        names = {"alpha", "beta", "gamma", "delta"}  # their order depends on the hash seed
        for name in names:
            (lambda: name)()  # 4
        self.cycle()  # not __del__, while the garbage collector is off; 2
        eval("1 + 1")

    def cycle(self):
        for _ in range(1000):
            Cyclic.made += 1
        cyclic = Cyclic()
        cyclic.itself = cyclic


class Cyclic:
    """An object whose end the garbage collector reports."""

    made = 0

    def __init__(self):
        self.itself = None

    def __del__(self):
        load(1)


def in_thread():
    """One more call in each thread."""
    load(1)


def numbers():
    yield 1
    yield 2


def delegating():
    yield from numbers()


async def asynchronous():
    return 1


class Collects(Everything):
    """The same with a garbage collector that is always about to run."""

    def __init__(self, device):
        super().__init__(device)
        gc.set_threshold(1)
