"use strict";
// What is open -> the DOT text of the picture, and what stands on it. It closes frames as closing.py does and puts the
// pieces together as dot.py does; labels come escaped from there and are only copied.
const Assemble = (() => {
  const SOURCE = 0, TARGET = 1, KIND = 2, LABEL = 3, TAIL = 4, HEAD = 5, SHAPE = 6, FRAMES = 7;

  /** Every part of a view by its id, each with the frame it is in. */
  function index(view) {
    const all = new Map();
    const walk = (items, parent) => {
      for (const item of items) {
        item.parent = parent;
        all.set(item.id, item);
        if (item.items) walk(item.items, item);
      }
    };
    walk(view.items, null);
    return all;
  }

  function boxes(item) {
    return item.items ? item.items.flatMap(boxes) : [item];
  }

  /** What is seen with these frames open: for each hidden box the closed frame it is in, and the open frames. */
  function hide(view, opened) {
    const holder = new Map(), seen = new Set(), shut = new Set();
    let count = 0;
    const walk = (items) => {
      for (const item of items) {
        if (!item.items) {
          count += item.kind !== "entry";
        } else if (opened.has(item.id)) {
          seen.add(item.id);
          walk(item.items);
        } else {
          shut.add(item.id);
          count += 1;
          for (const box of boxes(item)) holder.set(box.id, item.id);
        }
      }
    };
    walk(view.items);
    return {holder, seen, shut, count};
  }

  /** The links between what is seen, each pair once; a shape is told behind a closed frame that changes it. */
  function join(view, {holder, seen, shut}) {
    const found = new Map();
    for (const link of view.links) {
      const source = holder.get(link[SOURCE]) ?? link[SOURCE], target = holder.get(link[TARGET]) ?? link[TARGET];
      if (source === target) continue;
      const left = shut.has(source), right = shut.has(target), tie = link[KIND] === "tie";
      const one = {
        source, target, kind: link[KIND], label: left && !tie ? "" : link[LABEL], shape: link[SHAPE],
        tail: left ? null : link[TAIL], head: right ? null : link[HEAD],
        frames: link[FRAMES].map((frame) => (seen.has(frame) ? frame : "")),
      };
      const key = JSON.stringify([source, target, tie, one.tail, one.head]);
      const known = found.get(key);
      if (!known) found.set(key, one);
      else if (known.kind === "skip" && one.kind === "flow") {
        known.kind = "flow";
        known.label = known.label || one.label;
      }
    }
    const links = [...found.values()], came = new Map(), told = new Set();
    for (const link of links) {
      if (!came.has(link.target)) came.set(link.target, new Set());
      came.get(link.target).add(link.shape);
    }
    for (const link of links) {
      if (!shut.has(link.source) || link.kind !== "flow" || came.get(link.source)?.has(link.shape)) continue;
      const key = JSON.stringify([link.source, link.shape]);
      if (!told.has(key)) link.label = link.shape;
      told.add(key);
    }
    return links;
  }

  /** The right arm of a U, and what stands at one height. */
  function arms(view, {holder}) {
    const held = (id) => holder.get(id) ?? id, rising = new Set(view.rising.map(held));
    for (const box of view.items.flatMap(boxes)) {
      if (box.kind !== "entry" && rising.has(held(box.id)) && !view.rising.includes(box.id)) rising.delete(held(box.id));
    }
    const levels = view.levels.map((pair) => pair.map(held)).filter(([a, b]) => a !== b);
    return {rising, levels};
  }

  // Of these Graphviz in the browser knows no widths: it is given letters that are as wide, which picture.js turns back.
  const STANDS = {"×": "~", "·": "`"};
  const stand = (text) => text.replace(/[×·]/g, (sign) => STANDS[sign]);
  const quoted = (text) => `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;

  /**
   * @param model what the page knows, `view` one of its ways to show the network, `parts` the index of that
   * @param opened ids of the open frames
   */
  function assemble(model, view, parts, opened) {
    const {labels, colours} = model, most = model.most.labels;  // above so many boxes arrows have no shapes
    const hidden = hide(view, opened), links = join(view, hidden), {rising, levels} = arms(view, hidden);
    const told = hidden.count <= most, shown = new Map(), lines = [view.head], led = new Set();
    const name = (id) => parts.get(id).name;
    let points = 0;

    const point = () => {
      points += 1;
      return `v_${points} [shape=point width=0.012 height=0.012 color="${colours.skip}" label=""]`;
    };

    /** Skips between parts of one frame, each led round by two points at its side. */
    const arcs = (items) => {
      const here = new Set(items.filter((item) => !hidden.seen.has(item.id)).map((item) => item.id));
      const skips = links.filter((x) => x.kind === "skip" && here.has(x.source) && here.has(x.target));
      const ends = skips.flatMap((x) => [x.source, x.target]);
      const often = (id) => ends.filter((end) => end === id).length > 1;
      for (const link of skips) {
        if (often(link.source) || often(link.target) || rising.has(link.target)) continue;
        led.add(link);
        const from = point(), from_ = `v_${points}`, to = point(), to_ = `v_${points}`;
        lines.push(
          `${from}\n${to}\n${from_} -> ${to_} [arrowhead=none weight=50]`,
          `{ rank=same ${name(link.source)} -> ${from_} [arrowhead=none] }`,
          `{ rank=same ${name(link.target)} -> ${to_} [dir=back] }`,
        );
      }
    };

    const place = (items) => {
      for (const item of items) {
        if (hidden.seen.has(item.id)) {
          shown.set(item.open.id, item);
          lines.push(`subgraph cluster_${item.name} { label=${labels[item.open.label]} ${item.open.rest}`);
          place(item.items);
          arcs(item.items);
          lines.push("}");
        } else {
          shown.set(item.dot.id, item);
          lines.push(`${item.name} [label=${labels[item.dot.label]} ${item.dot.rest}]`);
        }
      }
    };

    place(view.items);
    arcs(view.items);
    for (const [a, b] of levels) lines.push(`{ rank=same ${name(a)} ${name(b)} }`);
    const level = new Set(levels.map((pair) => JSON.stringify(pair)));
    for (const link of links) {
      const source = name(link.source), target = name(link.target);
      const label = link.label && told ? `label=${quoted(stand(`  ${link.label} `))}` : "";
      if (link.kind === "tie") {
        const clip = ["ltail", "lhead"].map((end, i) => (link.frames[i] ? `${end}=cluster_${name(link.frames[i])}` : ""));
        lines.push(
          `${source} -> ${target} [style=dashed color="${colours.tie}" fontcolor="${colours.tie}" dir=none constraint=false ` +
            `label=${quoted(link.label)} ${clip.join(" ")}]`,
        );
      } else if (link.kind === "skip") {
        if (level.has(JSON.stringify([link.source, link.target]))) {
          lines.push(`${source} -> ${target} [constraint=false weight=0 ${label}]`);
        } else if (rising.has(link.target)) {
          lines.push(`${target}:e -> ${source}:e [dir=back weight=0 ${label}]`);
        } else if (!led.has(link)) {
          lines.push(`${source}:e -> ${target}:e [weight=0 ${label}]`);
        }
      } else {
        const tail = link.tail === null ? source : `${source}:t${link.tail}:s`;
        const head = link.head === null ? target : `${target}:h${link.head}:n`;
        if (rising.has(link.target)) lines.push(`${head} -> ${tail} [dir=back weight=300 ${label}]`);
        else lines.push(`${tail} -> ${head} [weight=300 ${label}]`);
      }
    }
    lines.push("}");
    return {dot: lines.join("\n"), shown, count: hidden.count, links, rising, levels};
  }

  /** How many boxes there are with these frames open. */
  const count = (view, opened) => hide(view, opened).count;

  return {index, boxes, assemble, count};
})();
