"""A network as a page: one HTML file that opens and closes its blocks, and shows the text beside. Needs no torch.

The way: graph --model--> what the page knows, as JSON --write--> HTML. In the browser: `assemble.js` makes the DOT text
of what is open, `worker.js` lays it out, `picture.js` shows it, `source.js` the text, `search.js` finds, `page.js`
holds them together; `live.js` listens to `ogive view`.
"""

from ogive.compiler.picture.page.model import model_of
from ogive.compiler.picture.page.write import html_of

__all__ = ["html_of", "model_of"]
