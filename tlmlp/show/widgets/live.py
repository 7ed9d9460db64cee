"""Live: a widget that consumes a generator in the background.

A running cell blocks every message from the browser: no button answers, and no viewer gets ready. So the work runs in one
thread (the worker) and what there is to see is drawn by another (the painter), at its own pace and always from the newest
item. Items that come faster than they can be drawn are never queued.
"""

import atexit
import html
import threading
import time
import weakref

import ipywidgets as widgets

_open = weakref.WeakSet()


class Run:
    """One run of a generator: what came out of it, and how it ended."""

    def __init__(self):
        self.stop = threading.Event()
        self.how = ""  # why it is no longer running: "done", "failed", or the word given to stop
        self.latest = self.error = self.worker = None
        self.started = time.monotonic()

    @property
    def seconds(self):
        return time.monotonic() - self.started


class Live(widgets.VBox):
    """Base of widgets that work in the background. Display it by making it the last line of a cell.

    A subclass says what to do and what to show:

        work()            the generator to run
        take(item)        keep an item (worker thread, every item)
        paint(run)        draw the newest item, run.latest, None before the first one (painter thread)

    `start`, `stop`, `wait` and `close` are for everyone. Starting one widget stops others of its kind: two trainings on two
    cores only slow each other down.
    """

    interval = 1.0  # s between two pictures
    _run = None  # until __init__, so that a widget whose __init__ failed can be closed

    def __init__(self, children=(), **kwargs):
        self._lock = threading.RLock()
        self.status = widgets.HTML(layout=widgets.Layout(min_height="28px"))
        super().__init__([*children, self.status], **kwargs)
        _open.add(self)

    def work(self):
        raise NotImplementedError

    def take(self, item):
        pass

    def paint(self, run):
        pass

    @property
    def running(self):
        """Whether it works and nobody has asked it to stop."""
        return self._run is not None and not self._run.stop.is_set()

    @property
    def alive(self):
        """Whether its thread still exists; after `stop` it finishes the step it is in."""
        return self._run is not None and self._run.worker.is_alive()

    def start(self, *_):
        """Start anew, from the beginning of the generator."""
        for other in list(_open):
            if other is not self and type(other) is type(self):
                other.stop("superseded")
        self.stop("restarted")
        with self._lock:
            before, run = self._run, Run()
            run.worker = threading.Thread(
                target=self._work, args=(run, before), name=type(self).__name__, daemon=True
            )
            self._run = run
        run.worker.start()
        threading.Thread(target=self._paint, args=(run,), name="painter", daemon=True).start()
        return self

    def stop(self, how="stopped"):
        """Ask it to stop; what it has reached so far is kept. Returns at once."""
        if self._run is None:
            return
        with self._lock:
            if self.running:
                self._run.how = (
                    how if isinstance(how, str) else "stopped"
                )  # a click passes the button
                self._run.stop.set()

    def wait(self, timeout=None):
        """Block this cell until the work has ended, or `timeout` s have passed. Raises what the work raised.

        Meant for scripts and tests: as long as a cell waits, no button works.
        """
        end = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while self.alive and time.monotonic() < end:
            self._run.worker.join(0.1)
        if self._run is not None and self._run.error is not None:
            raise self._run.error
        return self

    def close(self):
        self.stop("closed")
        super().close()

    # -- threads -------------------------------------------------------------------------------------------------------

    def _work(self, run, before):
        if before is not None:
            before.worker.join()  # never two at once
        items, how = None, "done"
        try:
            items = self.work()
            for item in items:
                with self._lock:
                    if run.stop.is_set():
                        break
                    run.latest = item
                    self.take(item)
        except Exception as error:  # whatever it is, the learner reads it in the widget
            how, run.error = "failed", error
        finally:
            with self._lock:
                if not run.stop.is_set():
                    run.how = how
                    run.stop.set()
        if hasattr(items, "close"):
            items.close()

    def _paint(self, run):
        try:
            while True:
                ended = run.stop.wait(
                    0 if run.latest is None and run.seconds < 0.05 else self.interval
                )
                with self._lock:
                    if self._run is not run:
                        return
                self._draw(run)
                if ended:
                    break
            run.worker.join()
            if self._run is run:
                self._draw(run)
        except Exception as error:
            run.error = run.error or error
            self.stop("failed")
            self.status.value = sentence(f"The picture could not be drawn: {plain(error)}", "error")

    def _draw(self, run):
        self.paint(run)
        if run.error is not None:
            self.status.value = sentence(f"It ended with an error: {plain(run.error)}", "error")


def plain(error):
    """What an exception says, for a person."""
    return str(error) or type(error).__name__


def sentence(text, kind="note"):
    """A line of HTML; an error is marked by a word and a bar, not by colour alone."""
    colour = {"note": "#56606b", "error": "#D55E00", "warn": "#E69F00"}[kind]
    bar = f"border-left: 4px solid {colour}; padding-left: 8px;" if kind != "note" else ""
    return f'<div style="line-height: 1.4; {bar}">{html.escape(str(text))}</div>'


def duration(seconds):
    """Seconds as a person says them."""
    seconds = max(0, int(round(seconds)))
    return f"{seconds} s" if seconds < 90 else f"{seconds // 60} min {seconds % 60:02d} s"


@atexit.register
def _end():
    """The kernel ends: stop all threads before the interpreter takes their modules away."""
    for live in list(_open):
        live.stop("closed")
    for live in list(_open):
        if live.alive:
            live._run.worker.join(2)
