"use strict";
// Layouts in a worker: one at a time, the newest wish only. A wish can be called off: the worker is then ended.
const Layout = (() => {
  const unpacked = async (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };

  /** Graphviz complains of lines that it then draws all the same; what it could not draw comes back as an error. */
  const QUIET = "console.error = () => {};\n";

  class Layouts {
    #code = null;
    #worker = null;
    #ticket = 0;
    #done = null;
    #next = null;

    constructor(packed, worker) {
      this.#code = () => unpacked(packed).then((viz) => URL.createObjectURL(
        new Blob([QUIET, viz, "\n", worker], {type: "text/javascript"}),
      ));
    }

    get busy() {
      return this.#done !== null;
    }

    /** Have the worker ready before it is needed. */
    async warm() {
      if (this.#worker) return this.#worker;
      if (typeof this.#code === "function") this.#code = this.#code();
      const url = await this.#code;
      if (!this.#worker) {
        this.#worker = new Worker(url);
        this.#worker.onmessage = ({data}) => this.#answer(data);
        this.#worker.onerror = (event) => this.#answer({ticket: this.#ticket, error: event.message || "no worker"});
      }
      return this.#worker;
    }

    /** The SVG text of a DOT text; null where a newer wish came, or it was called off. */
    svg(dot) {
      return new Promise((resolve, reject) => {
        if (this.#next) this.#next.resolve(null);
        this.#next = {dot, resolve, reject};
        if (!this.#done) this.#send();
      });
    }

    /** Stop what is being laid out. */
    cancel() {
      const waiting = [this.#done, this.#next].filter(Boolean);
      this.#worker?.terminate();
      this.#worker = this.#done = this.#next = null;
      this.#ticket += 1;
      for (const wish of waiting) wish.resolve(null);
    }

    async #send() {
      const wish = this.#next;
      this.#next = null;
      this.#done = wish;
      const ticket = (this.#ticket += 1);
      const worker = await this.warm();
      if (ticket === this.#ticket) worker.postMessage({ticket, dot: wish.dot});
    }

    #answer({ticket, svg, error}) {
      if (ticket !== this.#ticket || !this.#done) return;
      const wish = this.#done;
      this.#done = null;
      if (this.#next) {
        wish.resolve(null);
        this.#send();
      } else if (error) wish.reject(new Error(error));
      else wish.resolve(svg);
    }
  }

  return {Layouts};
})();
