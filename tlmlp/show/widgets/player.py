"""Player: a Live with Play, Pause, Stop."""

from .live import Live


class Player(Live):
    """Live with a beginning to go back to: Play goes on, Pause holds, Stop goes back.

    A subclass has `_back`, which takes everything to the start; its `work` calls `_rewind` first, its `paint` `_went_back`.
    """

    _asked_back = False

    def play(self):
        """Go on, or begin."""
        return self if self.running else self.start()

    def pause(self):
        """Hold everything where it is."""
        super().stop("paused")

    def stop(self, how="stopped"):
        """End, and go back to the start."""
        if how == "stopped":
            with self._lock:
                self._asked_back = True
                if not self.alive:
                    self._rewind()
        super().stop(how)

    def _rewind(self):
        """Go back where Stop has asked for it; whether it did."""
        with self._lock:
            asked, self._asked_back = self._asked_back, False
            if asked:
                self._back()
        return asked

    def _went_back(self, run):
        """Whether a run has ended by Stop, so that nothing of it is left to paint; goes back where that is still to be done.

        The painter asks twice where the worker ends between two looks at it: what the first one took back stays so.
        """
        return not run.worker.is_alive() and (self._rewind() or run.how == "stopped")
