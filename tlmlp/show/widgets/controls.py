"""What widgets are made of: buttons, menus, lines, images, and words in HTML."""

import html

import ipywidgets as widgets
import traitlets

from ..figures.style import ORANGE, RED

MUTED = "var(--jp-content-font-color2, inherit)"  # the theme's: light and dark
NUMBERS = dict(font_variant_numeric="tabular-nums")  # digits of one width: nothing dances


class Picture(widgets.Image):
    """An Image whose `tooltip` is its alt text: status.js makes it one."""

    # without it, a tooltip is an error in the page
    description = traitlets.Unicode().tag(sync=True)


def fixed(width, **more):
    """Layout of so many pixels that neither grows nor shrinks."""
    return widgets.Layout(width=f"{width}px", flex="0 0 auto", **more)


def button(words, icon, press, tip="", **more):
    """A button that calls `press()`."""
    new = widgets.Button(description=words, icon=icon, tooltip=tip, layout=fixed(92), **more)
    new.on_click(lambda _: press())
    return new


def menu(options, value, width, words="", tip=""):
    """A menu with its name before it; without, `tip` names it for a screen reader."""
    look = dict(style={"description_width": "initial"}, layout=fixed(width), tooltip=tip or words)
    return widgets.Dropdown(description=words, options=list(options), value=value, **look)


def slider(value, end, name, step=1, width=300, readout=False, **more):
    """A slider of whole numbers from 0; it says its number itself only where it is asked to."""
    look = dict(readout=readout, layout=fixed(width), tooltip=name)
    return widgets.IntSlider(value, 0, end, step, **look, **more)


def text(words="", **layout):
    return widgets.HTML(words, layout=layout)


def line(*children, **layout):
    """Children side by side; what does not fit goes to the next line."""
    look = {"align_items": "center", "flex_flow": "row wrap"} | layout
    return widgets.HBox(children, layout=look)


def image(size, png=b"", **layout):
    """A picture (PNG) of so many pixels, whatever the resolution of the file."""
    width, height = size
    layout = fixed(width, **dict(height="auto", max_width="calc(100% - 8px)") | layout)
    return Picture(value=png, format="png", width=width, height=height, layout=layout)


def tag(name, words, **style):
    """An element of HTML; words: HTML, not escaped."""
    css = "; ".join(f"{key.replace('_', '-')}: {value}" for key, value in style.items())
    return f'<{name} style="{css}">{words}</{name}>'


def block(colour, width=12, **style):
    """A patch of a colour, as in a legend: text has the colours of the theme."""
    look = dict(display="inline-block", vertical_align="-1px", width=f"{width}px", height="12px")
    return tag("span", "", background=colour, **look | style)


def muted(words):
    return tag("span", words, color=MUTED)


def small(words):
    return tag("div", words, font_size="12px", line_height=1.3)


def sentence(text, kind="note"):
    """A line of HTML; an error is marked by a bar, not by colour alone."""
    colour = {"error": RED, "warn": ORANGE}.get(kind)
    bar = dict(border_left=f"4px solid {colour}", padding_left="8px") if colour else {}
    return tag("div", html.escape(str(text)), **bar)


def plain(error):
    """What an exception says, for a person."""
    return str(error) or type(error).__name__


def left(first, last, total):
    """The time left in words, from two (seconds, steps done) of `total` steps."""
    (t0, d0), (t1, d1) = first, last
    if d1 == d0:
        return "measuring its speed"
    return f"{duration((t1 - t0) / (d1 - d0) * (total - d1))} left"


def duration(seconds):
    """Seconds as a person says them."""
    seconds = max(0, int(round(seconds)))
    return f"{seconds} s" if seconds < 90 else f"{seconds // 60} min {seconds % 60:02d} s"
