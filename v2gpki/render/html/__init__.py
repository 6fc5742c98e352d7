"""Values as pages of HTML: templates, styles and pictures of the page for people.

A page is written from the same value that JSON is. Everything in it that is not ours is escaped, and made printable
first: control and bidirectional characters of a hostile name become visible. There is no inline script or style.
"""

from v2gpki.render.html.assets import Asset, asset, assets
from v2gpki.render.html.pages import page

__all__ = ["Asset", "asset", "assets", "page"]
