"""Live: a widget that consumes a generator in the background.

A running cell blocks every message from the browser: no button answers, and no viewer gets ready.
So one thread, the worker, runs the generator; another, the painter, draws the newest item at its
own pace. Items that come faster than they can be drawn are never queued.
"""

import atexit
import copy
import threading
import time
import weakref

import ipywidgets as widgets

from ...allocator import prepare
from .controls import plain, sentence
from .status import Status

GRACE = 5.0  # s; a cell that is moved takes its output away and brings it back
_open: weakref.WeakSet = weakref.WeakSet()


class Run:
    """One run of a generator: what came out of it, and how it ended."""

    seconds = property(lambda self: time.monotonic() - self.started)

    def __init__(self, how=""):
        self.how = how  # why it no longer runs: "done", "failed", or the word given to stop; or ""
        self.stop, self.over = threading.Event(), threading.Event()  # asked to end; has ended
        self.latest = self.error = None
        self.started, self.threads = time.monotonic(), []
        if how:
            self.stop.set(), self.over.set()


IDLE = Run("idle")  # of a widget that nobody has started


class Live(widgets.VBox):
    """Base of widgets that work in the background. Display it by making it the last line of a cell.

    A subclass says what to do and what to show:

        work()            the generator to run
        take(item)        keep an item (worker thread, under `lock`)
        ended(run)        what is left to do at the end (worker thread, under `lock`)
        paint(run)        draw what is so now; run.latest is the newest item, None before the first,
                          run.how is "" while it works

    It calls `redraw` after a change. `start`, `stop`, `wait` and `close` are for everyone. Starting
    one widget stops others of its kind: two trainings on two cores only slow each other down.
    """

    interval = 1.0  # s between two pictures at least
    leisure = 5  # times as long as a picture took, the painter leaves the processor to the work
    run = IDLE

    def __init__(self, children=(), **kwargs):
        self.lock, self._pen = threading.RLock(), threading.Lock()
        self._due, self._held, self.status = False, 0.0, Status(layout={"min_height": "28px"})
        self.status.observe(self._cleared, "shown")
        super().__init__([*children, self.status], **kwargs)
        self.add_class("tlmlp")
        self.layout.overflow = "hidden"
        _open.add(self)

    def take(self, item):
        """Nothing is kept."""

    ended = paint = take

    @property
    def running(self):
        """Whether it works and nobody has asked it to stop."""
        return not self.run.stop.is_set()

    @property
    def alive(self):
        """Whether it still works; after `stop` it finishes the step it is in."""
        return not self.run.over.is_set()

    @property
    def begun(self):
        """Whether it was ever started, and not forgotten since."""
        return self.run.how not in ("idle", "reset")

    @property
    def others(self):
        """Open widgets of the same kind."""
        return [o for o in list(_open) if o is not self and type(o) is type(self) and o.comm]

    def start(self, *_):
        """Start anew, from the beginning of the generator."""
        prepare()
        for other in self.others:
            other.stop("superseded")
        self.stop("restarted")
        with self.lock:
            before, run = self.run, Run()
            self.run, self._held = run, 0.0
        thread = lambda work, *args: threading.Thread(target=work, args=args, daemon=True)
        run.threads = [thread(self._work, run, before), thread(self._paint, run)]
        for thread in run.threads:
            thread.start()
        return self

    def stop(self, how="stopped"):
        """Ask it to stop; what it has reached so far is kept. Returns at once."""
        with self.lock:
            if self.running:
                self.run.how = how if isinstance(how, str) else "stopped"  # a click passes a button
                self.run.stop.set()
                self._held = 0.0

    def wait(self, timeout=None):
        """Block this cell until the work has ended, or `timeout` s have passed.

        Raises what the work raised. While a cell waits, no button works: for scripts and tests.
        """
        run, end = self.run, time.monotonic() + (float("inf") if timeout is None else timeout)
        while not run.over.wait(0.1) and time.monotonic() < end:
            pass
        if run.error is not None:
            raise run.error
        return self

    def close(self):
        if self in _open:  # not where __init__ has failed
            self.stop("closed")
        super().close()

    def _cleared(self, change):
        """Outputs with this widget have come or gone; without any nobody could stop it."""

        def leave():
            if self.running and not self.status.shown:
                self.stop("cleared")

        if not change["new"]:
            timer = threading.Timer(GRACE, leave)
            timer.daemon = True
            timer.start()

    def say(self, words, kind="note", hold=0.0):
        """Write a sentence below; for `hold` s nothing but another such sentence replaces it."""
        if hold or time.monotonic() > self._held:
            self.status.value = sentence(words, kind)
            self._held = time.monotonic() + hold if hold else 0.0

    def redraw(self, *_):
        """Paint what is so now. Never waits: a thread that is painting does it once more."""
        self._due = True
        while self._due and self._pen.acquire(blocking=False):
            self._due = False  # first: what changes from here on is painted once more
            with self.lock:
                run = copy.copy(self.run)  # as it is now, while the worker goes on
            try:
                self.paint(run)
                if run.error is not None:
                    self.say(f"It ended with an error: {plain(run.error)}", "error")
            except Exception as error:
                self.say(f"The picture could not be drawn: {plain(error)}", "error")
                if not run.how:
                    self.run.error = error
                    self.stop("failed")
            finally:
                self._pen.release()

    def _work(self, run, before):
        before.over.wait()  # never two at once
        self.worked = run  # `run` may be the next by now
        how = "done"
        try:
            items = () if run.stop.is_set() else self.work()
            for item in items:
                with self.lock:
                    if run.stop.is_set():
                        break
                    run.latest = item
                    self.take(item)
            if hasattr(items, "close"):
                items.close()
        except Exception as error:  # whatever it is, the learner reads it in the widget
            how, run.error = "failed", error
        with self.lock:
            if not run.stop.is_set():
                run.how = how
                run.stop.set()
            try:
                self.ended(run)
            finally:
                run.over.set()

    def _paint(self, run):
        while self.run is run:
            begun = time.monotonic()
            self.redraw()
            if run.stop.wait(max(self.interval, self.leisure * (time.monotonic() - begun))):
                break
        self.redraw()
        run.over.wait()
        self.redraw()


@atexit.register
def _end():
    """The kernel ends: stop all threads before the interpreter takes their modules away."""
    for live in list(_open):
        live.stop("closed")
    for live in list(_open):
        for thread in live.run.threads:
            thread.join(2)
