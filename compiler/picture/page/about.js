"use strict";
// The words about a part: what a hover shows in few lines, and what stands above the text when it is selected.
const About = (() => {
  const {node} = Source;

  /** A count in three digits, as the picture writes it. */
  function amount(n, giga = "B") {
    for (const [size, unit] of [[1e9, giga], [1e6, "M"], [1e3, "k"]]) {
      if (n >= size * 0.9995) return `${Number((n / size).toPrecision(3))}${unit}`;
    }
    return String(n);
  }

  /** A figure of one run, and of all of them where a part stands for several. */
  function figure(total, times, giga) {
    if (times > 1 && total % times === 0) return `${amount(total / times, giga)} each, ${amount(total, giga)} in all`;
    return amount(total, giga);
  }

  function facts(row, all) {
    const found = [];
    const add = (name, ...words) => words.some(Boolean) && found.push(node("dt", {}, name), node("dd", {}, ...words));
    if (all) add(row.in.length > 1 ? "Inputs" : "Input", counted(row.in));
    add(row.out.length > 1 ? "Outputs" : "Output", counted(row.out));
    if (row.params) add("Parameters", figure(row.params, row.times, "B"));
    if (row.macs) add("MACs", figure(row.macs, row.times, "G"));
    if (row.key) add("Key", node("code", {}, row.key));
    if (all && row.weights) {
      for (const [name, shape, buffer] of row.weights) add("", node("code", {}, name), ` ${shape}${buffer ? ", a buffer" : ""}`);
    }
    if (row.varies) add("Varies", row.varies.join("; "));
    return node("dl", {class: "facts"}, ...found);
  }

  /** Shapes beside each other; equal ones once, with how many there are. */
  function counted(shapes) {
    const found = new Map();
    for (const shape of shapes) found.set(shape, (found.get(shape) ?? 0) + 1);
    return [...found].map(([shape, n]) => (n > 1 ? `${n} of ${shape}` : shape)).join(",  ");
  }

  function head(row) {
    const name = row.path && row.path !== row.op ? node("span", {}, row.path) : null;
    return node("div", {class: "title-line"}, node("b", {}, row.op), name);
  }

  /** What a hover says. */
  function brief(row, files) {
    const place = row.places[0];
    return [
      head(row), facts(row, false),
      place ? node("p", {class: "quiet"}, `${files[place[0]]?.name ?? ""}:${place[1] + 1}`) : null,
    ].filter(Boolean);
  }

  /** What the selection says; the lines on the way to it can be gone to. */
  function full(row, files, go) {
    const way = [...row.places].reverse().flatMap((place, i) => [
      i ? "›" : null,
      node(
        "button", {type: "button", title: `${place[5]}: ${files[place[0]]?.name}:${place[1] + 1}`, onclick: () => go(place)},
        `${place[5]}:${place[1] + 1}`,
      ),
    ]).filter(Boolean);
    return [
      head(row), row.call ? node("p", {class: "call"}, row.call) : null, facts(row, true),
      way.length ? node("p", {class: "path-line"}, ...way) : null,
    ].filter(Boolean);
  }

  return {brief, full, amount, figure};
})();
