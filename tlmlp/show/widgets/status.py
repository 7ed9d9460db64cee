"""Status: the sentence below a widget, which also looks after the page around that widget."""

from pathlib import Path

import anywidget
import traitlets


class Status(anywidget.AnyWidget):
    """A line of HTML that a screen reader announces.

    Its script adds to the whole widget the names and states that ipywidgets leaves out. Its style
    sheet is that of all widgets, and says when the kernel has gone. `shown`: outputs in which the
    browser shows it; -1 where no browser ever did.
    """

    _esm = Path(__file__).with_name("status.js")
    _css = Path(__file__).with_name("widgets.css")
    value = traitlets.Unicode().tag(sync=True)
    shown = traitlets.Int(-1).tag(sync=True)
