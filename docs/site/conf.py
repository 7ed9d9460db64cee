"""How Sphinx makes the site; `python docs/build.py site` calls it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import address

OWNER, NAME = address.slug(address.ADDRESS)
project, version = "tlmlp", address.PROJECT["version"]
author = copyright = address.PROJECT["authors"][0]["name"]
language = "en"
extensions = ["myst_nb", "sphinx_copybutton", "sphinx_revealjs"]
exclude_patterns = ["doctrees"]
nitpicky = True

# Markdown and notebooks, which docs/build.py has run
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
myst_url_schemes = ["http", "https", "mailto", "doi"]
nb_execution_mode = "off"
nb_merge_streams = True
suppress_warnings = ["mystnb.unknown_mime_type"]  # a widget's, beside which text stands

# Pages
html_theme = "sphinx_book_theme"
html_title = "tlmlp"
html_static_path = ["static", "../pictures"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "repository_url": address.ADDRESS,
    "repository_branch": "main",
    "path_to_docs": "",
    "navbar_persistent": [],  # the search stands in the sidebar
    "use_repository_button": True,
    "use_issues_button": True,
    "use_download_button": False,
    "show_navbar_depth": 1,
    "home_page_in_toc": True,
    "launch_buttons": {
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com",
        "notebook_interface": "jupyterlab",
    },
}
linkcheck_ignore = [address.ADDRESS, address.pages()]  # until they are public
linkcheck_anchors = False

# Slides
revealjs_style_theme = "white"
revealjs_static_path = ["static"]
revealjs_css_files = ["slides.css"]
revealjs_script_conf = {
    "width": 1366,
    "height": 768,
    "margin": 0.03,
    "hash": True,
    "center": False,
    "slideNumber": True,
    "transition": "none",
    "controls": True,
}
