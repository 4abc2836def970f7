"""The settings of the documentation's site, which `./run docs` builds with Sphinx."""

project = "mtkd"
html_title = "mtkd"
extensions = ["myst_nb"]
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3  # links to headings, as code hosts have them
nb_execution_mode = "off"
nb_merge_streams = True
html_theme = "furo"
html_show_copyright = False
# Every committed table is a page, but not in the menu; some begin below the first level.
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type", "toc.not_included"]
