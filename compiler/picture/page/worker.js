// Runs behind Graphviz in a worker: DOT text in, SVG text out. Nothing else comes in or goes out.
"use strict";
const ready = Viz.instance();
self.onmessage = async ({data: {ticket, dot}}) => {
  try {
    const made = (await ready).render(dot, {format: "svg"});
    if (made.status !== "success") throw new Error(made.errors.map((e) => e.message).join("; "));
    self.postMessage({ticket, svg: made.output});
  } catch (error) {
    self.postMessage({ticket, error: String(error && error.message || error)});
  }
};
