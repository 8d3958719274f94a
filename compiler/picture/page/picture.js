"use strict";
// The picture on the page: SVG text in, elements out, and what can be done with them. Nothing of the text is taken as
// it stands: of known elements, known attributes are made again.
const Picture = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const ELEMENTS = new Set(["g", "path", "polygon", "polyline", "ellipse", "text"]);
  const ATTRIBUTES = new Set((
    "class transform d points x y cx cy rx ry fill stroke stroke-width stroke-dasharray fill-opacity stroke-opacity " +
    "text-anchor font-family font-size font-weight font-style"
  ).split(" "));
  const EDGE = /^edge\b/;
  const MOVED = 250;
  const STILL = matchMedia("(prefers-reduced-motion: reduce)");

  function element(name, attributes = {}, parent = null) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (parent) parent.append(made);
    return made;
  }

  /** A copy of what is harmless in an element; links are opened, titles and the ground are left out. */
  function copied(from, into, ids, inside = false) {
    for (const child of from.children) {
      const kind = child.getAttribute("class");
      if (child.localName === "a" || (child.localName === "g" && !kind)) {
        copied(child, into, ids, inside);
        continue;
      }
      if (!ELEMENTS.has(child.localName) || (!inside && child.localName !== "g")) continue;
      const made = element(child.localName);
      for (const {name, value} of child.attributes) if (ATTRIBUTES.has(name)) made.setAttribute(name, value);
      if (child.localName === "text") made.textContent = from.localName === "g" && EDGE.test(from.getAttribute("class"))
        ? child.textContent.replaceAll("~", "×").replaceAll("`", "·") : child.textContent;
      else copied(child, made, ids, kind !== "graph");
      const item = (kind === "node" || kind === "cluster") && ids.get(child.getAttribute("id"));
      if (item && !ids.found.has(item.id)) {  // clusters in a frame that have no id of their own are given the frame's
        made.dataset.id = item.id;
        ids.found.set(item.id, made);
      }
      into.append(made);
    }
  }

  /**
   * Set the words of a line side by side again, in the middle of their box and in the letters that there are here:
   * where they stand was reckoned with other ones. What is then too long for its box is made a little smaller.
   */
  function space(content) {
    const lines = [];
    for (const part of content.querySelectorAll(".node")) {
      const found = new Map();
      for (const text of part.querySelectorAll(":scope > text")) {
        const y = Math.round(Number(text.getAttribute("y")) / 2);
        found.set(y, [...(found.get(y) ?? found.get(y + 1) ?? found.get(y - 1) ?? []), text]);
      }
      for (const texts of found.values()) {
        const words = texts.filter((text) => text.textContent.trim());
        if (!words.length || Number(texts[0].getAttribute("font-size")) < 7.5) continue;
        for (const text of texts) {
          if (words.includes(text)) text.textContent = text.textContent.trim();
          else text.remove();
        }
        lines.push({part, words});
      }
    }
    for (const line of lines) {
      line.box = line.part.getBBox();
      line.widths = line.words.map((text) => text.getComputedTextLength());
    }
    for (const {words, box, widths} of lines) {
      const gap = 5, all = widths.reduce((a, b) => a + b, gap * (words.length - 1)), room = box.width - 8;
      const shrink = Math.min(1, room / all);
      let x = box.x + box.width / 2 - (all * shrink) / 2;
      words.forEach((text, i) => {
        text.setAttribute("text-anchor", "start");
        text.setAttribute("x", x);
        if (shrink < 1) text.setAttribute("font-size", Number(text.getAttribute("font-size")) * shrink);
        x += (widths[i] + gap) * shrink;
      });
    }
  }

  const centre = (box) => ({x: box.x + box.width / 2, y: box.y + box.height / 2});

  class Pictures {
    constructor(svg, {select, toggle, hover}) {
      this.svg = svg;
      this.viewport = svg.querySelector(".svg-pan-zoom_viewport");
      this.parts = new Map();
      this.items = new Map();
      this.content = null;
      this.pan = svgPanZoom(svg, {
        viewportSelector: ".svg-pan-zoom_viewport", fit: false, center: false, dblClickZoomEnabled: false,
        minZoom: 0.02, maxZoom: 12, zoomScaleSensitivity: 0.18, onZoom: () => hover(null), onPan: () => hover(null),
      });
      this.#listen({select, toggle, hover});
    }

    /** Put a picture on the page. `shown` says which part each id in it is; `anchor` stays where it is. */
    show(text, shown, anchor) {
      const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
      if (root.localName !== "svg") throw new Error("the picture cannot be read");
      const before = this.#places(), held = anchor && this.rect(anchor);
      const content = element("g", {class: "content"}), ids = new Map(shown);
      ids.found = new Map();
      copied(root, content, ids);
      this.viewport.replaceChildren(content);
      this.content = content;
      this.parts = ids.found;
      this.items = new Map([...shown.values()].map((item) => [item.id, item]));
      space(content);
      for (const [id, part] of this.parts) this.#dress(part, this.items.get(id));
      const now = held && this.rect(anchor);
      if (now) this.#shift(held.x + held.width / 2 - now.x - now.width / 2, held.y - now.y);
      this.#move(before);
    }

    #dress(part, item) {
      part.setAttribute("role", item.items ? "button" : "img");
      part.setAttribute("aria-label", [item.rows[0]?.op, item.rows[0]?.path].filter(Boolean).join(" "));
      if (!item.items) return;
      const open = part.classList.contains("cluster"), box = part.getBBox();
      part.setAttribute("aria-expanded", String(open));
      const [x, y] = open ? [box.x + box.width - 11, box.y + 11] : [box.x + box.width + 3, box.y + box.height / 2];
      const sign = element("g", {class: "toggle", transform: `translate(${x} ${y})`}, part);
      element("circle", {r: 9, class: "target"}, sign);
      element("circle", {r: 5.5}, sign);
      element("path", {d: open ? "M-2.6 0H2.6" : "M-2.6 0H2.6M0 -2.6V2.6"}, sign);
    }

    // ------------------------------------------------------------------------------------------- where things stand

    /** Where a part is in the window; null where it is not seen. */
    rect(id) {
      return this.parts.get(id)?.getBoundingClientRect() ?? null;
    }

    #places() {
      if (STILL.matches || this.parts.size > MOVED) return null;
      return new Map([...this.parts.keys()].map((id) => [id, this.rect(id)]));
    }

    /** Let what stood elsewhere glide to its place, and the rest appear. */
    #move(before) {
      if (!before?.size || this.parts.size > MOVED) return;
      const scale = this.scale, time = {duration: 200, easing: "cubic-bezier(.2, .7, .2, 1)"};
      const places = [...this.parts].map(([id, part]) => [part, before.get(id), part.getBoundingClientRect()]);
      for (const [part, old, now] of places) {
        const same = old && Math.abs(old.width - now.width) < 2;
        const from = same
          ? {transform: `translate(${(old.x - now.x) / scale}px, ${(old.y - now.y) / scale}px)`}
          : {opacity: 0};
        part.animate([from, same ? {transform: "none"} : {opacity: 1}], time);
      }
      for (const edge of this.content.querySelectorAll(".edge")) edge.animate([{opacity: 0}, {opacity: 1}], time);
    }

    get scale() {
      return this.pan.getSizes().realZoom;
    }

    #shift(x, y) {
      this.pan.panBy({x, y});
    }

    get #room() {
      const {width, height} = this.svg.getBoundingClientRect();
      return {width, height};
    }

    /** See all of it; of a tall one the top, as wide as can be read. */
    fit(whole = true) {
      if (!this.content) return;
      this.pan.resize();
      const box = this.content.getBBox(), room = this.#room, edge = 28;
      const wide = (room.width - 2 * edge) / box.width, high = (room.height - 2 * edge) / box.height;
      const scale = Math.min(wide, whole ? high : Math.max(high, 0.75), 1.5);
      this.pan.zoom(scale * this.pan.getZoom() / this.scale);  // it counts from the zoom that it last resized at
      const y = box.height * scale > room.height ? edge - box.y * scale : (room.height - box.height * scale) / 2 - box.y * scale;
      this.pan.pan({x: (room.width - box.width * scale) / 2 - box.x * scale, y});
    }

    zoom(by) {
      this.pan.zoomBy(by);
    }

    nudge(x, y) {
      this.#shift(x, y);
    }

    /** Bring a part into sight: not at all where it is well seen, else to the middle. */
    reveal(id, near = false) {
      const rect = this.rect(id), frame = this.svg.getBoundingClientRect();
      if (!rect) return;
      if (near && this.scale < 0.7) {
        this.pan.zoom(1);
        return this.reveal(id);
      }
      const edge = 40, tall = rect.height > frame.height - 2 * edge;
      const inside = rect.left > frame.left + edge && rect.right < frame.right - edge &&
        rect.top > frame.top + edge && rect.bottom < frame.bottom - edge;
      if (inside) return;
      const {x, y} = centre(rect), middle = centre(frame);
      this.#shift(middle.x - x, tall ? frame.top + edge - rect.top : middle.y - y);
    }

    // --------------------------------------------------------------------------------------------------- rows, marks

    /** The stretches of a box that are its rows: its backgrounds from top to bottom. */
    #bands(id) {
      const part = this.parts.get(id), item = this.items.get(id), all = part.getBBox();
      if (item.rows.length < 2) return [all];
      const bands = new Map();
      for (const shape of part.querySelectorAll(":scope > path, :scope > polygon")) {
        const box = shape.getBBox();
        if (box.width > all.width * 0.9 && box.height > 4) bands.set(Math.round(box.y), box);
      }
      const found = [...bands.values()].sort((a, b) => a.y - b.y);
      return found.length === item.rows.length ? found : [all];
    }

    #row(id, event) {
      const bands = this.#bands(id);
      if (bands.length < 2) return 0;
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.parts.get(id).getScreenCTM().inverse());
      const found = bands.findIndex((band) => at.y <= band.y + band.height);
      return found < 0 ? bands.length - 1 : found;
    }

    /** Rings around parts, `marks` being [id, row, kind]; earlier ones go. */
    mark(marks) {
      for (const ring of this.viewport.querySelectorAll(".ring")) ring.remove();
      const rings = marks.filter(([id]) => this.parts.has(id)).map(([id, row, kind]) => {
        const bands = this.#bands(id);
        return [this.parts.get(id), bands[row] ?? bands[0], kind];
      });
      const out = 2;
      for (const [part, box, kind] of rings) {
        element("rect", {
          class: `ring ${kind}`, x: box.x - out, y: box.y - out, width: box.width + 2 * out, height: box.height + 2 * out,
          rx: 6,
        }, part);
      }
    }

    // -------------------------------------------------------------------------------------------------------- hands

    #listen({select, toggle, hover}) {
      let down = null, waits = 0;
      const under = (event) => {
        const part = event.target.closest?.("[data-id]");
        if (!part || !this.items.has(part.dataset.id)) return null;
        const id = part.dataset.id;
        if (event.target.closest(".toggle")) return {id, row: 0, toggle: true};
        if (part.classList.contains("cluster") && !this.#onTitle(part, event)) return null;
        return {id, row: this.#row(id, event), toggle: false};
      };
      this.svg.addEventListener("pointerdown", (event) => (down = [event.clientX, event.clientY]));
      this.svg.addEventListener("click", (event) => {
        if (down && Math.hypot(event.clientX - down[0], event.clientY - down[1]) > 4) return;
        const hit = under(event);
        if (hit?.toggle) toggle(hit.id);
        else select(hit?.id ?? null, hit?.row ?? 0);
      });
      this.svg.addEventListener("dblclick", (event) => {
        const hit = under(event);
        if (hit && !hit.toggle && this.items.get(hit.id).items) toggle(hit.id);
      });
      this.svg.addEventListener("pointermove", (event) => {
        cancelAnimationFrame(waits);
        waits = requestAnimationFrame(() => {
          const hit = event.buttons ? null : under(event);
          hover(hit && !hit.toggle ? hit : null, event);
        });
      });
      this.svg.addEventListener("pointerleave", () => {
        cancelAnimationFrame(waits);
        hover(null);
      });
    }

    #onTitle(part, event) {
      const texts = [...part.querySelectorAll(":scope > text")].map((text) => text.getBoundingClientRect());
      const all = part.getBoundingClientRect();
      return texts.length > 0 && event.clientX <= all.right && event.clientY >= all.top &&
        event.clientY <= Math.max(...texts.map((text) => text.bottom)) + 3;
    }
  }

  return {Pictures};
})();
