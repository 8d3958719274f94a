"use strict";
// The text beside the picture: files as tabs, colours, marked lines, and errors below the lines they are about.
const Source = (() => {
  function node(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") made.className = value;
      else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return made;
  }

  /** A line cut where a mark begins and ends. */
  function coloured(text, mark) {
    const spans = [];
    let at = 0;
    for (const [kind, word] of Highlight.words(text)) {
      const cuts = [at, ...(mark ?? []).filter((cut) => cut > at && cut < at + word.length), at + word.length];
      for (let i = 0; i + 1 < cuts.length; i += 1) {
        const inside = mark && cuts[i] >= mark[0] && cuts[i + 1] <= mark[1];
        const part = text.slice(cuts[i], cuts[i + 1]);
        spans.push(kind || inside ? node("span", {class: [kind, inside ? "exact" : ""].join(" ").trim()}, part) : part);
      }
      at += word.length;
    }
    return spans;
  }

  class Sources {
    constructor(tabs, code, {pick}) {
      this.tabs = tabs;
      this.code = code;
      this.files = [];
      this.at = -1;
      this.places = [];
      this.errors = [];
      this.pick = pick;
    }

    load(files) {
      const name = this.files[this.at]?.name;
      this.files = files;
      this.at = -1;
      this.places = [];
      this.open(Math.max(0, files.findIndex((file) => file.name === name)));
    }

    /** Show what is wrong at its lines, in texts that may be newer than those of the picture; [] when all is well. */
    fail(errors, files) {
      this.errors = errors;
      this.places = [];
      this.files = files;
      this.at = -1;
      const first = errors.find((error) => error.place);
      this.open(first ? first.place[0] : 0);
      if (first) this.#scroll(first.place[1]);
    }

    /** Mark places, [file, line, column, last line, end column, word]; the first is what is looked at. */
    mark(places) {
      this.places = places;
      if (places.length) {
        this.open(places[0][0]);
        this.#scroll(places[0][1]);
      } else this.open(this.at);
    }

    /** Go to one of them. */
    go(place) {
      this.open(place[0]);
      this.#scroll(place[1]);
    }

    open(at) {
      this.at = at;
      this.tabs.replaceChildren(...this.files.map((file, i) => node(
        "button", {class: i === at ? "tab here" : "tab", type: "button", title: file.name, onclick: () => this.open(i)},
        file.name.split("/").pop(),
        this.errors.some((error) => error.place?.[0] === i) ? node("span", {class: "bad"}, "●") : null,
      )));
      const text = this.files[at]?.text ?? "", lines = text.replace(/\n$/, "").split("\n");
      this.code.replaceChildren(...lines.flatMap((line, i) => this.#line(line, i)));
    }

    #line(text, number) {
      const here = this.places.map((place, i) => [place, i]).filter(([p]) => p[0] === this.at && p[1] <= number && number <= p[3]);
      const own = here.find(([, i]) => i === 0), wrong = this.errors.filter((e) => e.place?.[0] === this.at && e.place[1] === number);
      const places = wrong.length ? [wrong[0].place] : own ? [own[0]] : [];
      const cut = places.map((p) => [p[1] === number ? p[2] : 0, p[3] === number ? p[4] : text.length])[0];
      const kind = ["line", own ? "own" : here.length ? "way" : "", wrong.length ? "wrong" : ""].filter(Boolean).join(" ");
      const word = !own && here.length && here[0][0][1] === number ? here[0][0][5] : "";
      const row = node(
        "div", {class: kind, "data-line": number},
        node("span", {class: "gutter"}, String(number + 1)),
        node("code", {}, ...coloured(text || " ", cut), word ? node("span", {class: "word"}, word) : null),
      );
      row.addEventListener("click", () => this.pick(this.at, number));
      return [row, ...wrong.map((error) => message(error))];
    }

    #scroll(line) {
      const row = this.code.querySelector(`[data-line="${line}"]`);
      if (!row) return;
      const room = this.code.clientHeight, top = row.offsetTop - this.code.offsetTop;
      if (top < this.code.scrollTop + 20 || top > this.code.scrollTop + room - 40) this.code.scrollTop = top - room / 3;
    }
  }

  /** An error as it stands below its line: code and cause, what is true, what would help. */
  function message(error) {
    return node(
      "div", {class: "message", role: "alert"},
      node("p", {class: "title"}, node("b", {}, error.code), " ", ...ticked(error.title)),
      error.label ? node("p", {}, ...ticked(error.label)) : null,
      ...(error.labels ?? []).map((label) => node("p", {class: "fact"}, `${label.line}: `, ...ticked(label.text))),
      ...(error.notes ?? []).map((note) => node("p", {class: "fact"}, ...ticked(note))),
      error.help ? node("p", {class: "help"}, node("b", {}, "help "), ...ticked(error.help)) : null,
    );
  }

  /** An error in one line that leads to its place. */
  function entry(error, files, go) {
    const where = `${files[error.place[0]].name.split("/").pop()}:${error.place[1] + 1}`;
    return node(
      "button", {type: "button", class: "entry", onclick: () => go(error.place)}, node("code", {}, where), " ",
      ...ticked(error.title),
    );
  }

  /** Words between backticks as code. */
  function ticked(text) {
    return text.split(/`([^`]*)`/).map((part, i) => (i % 2 ? node("code", {}, part) : part));
  }

  return {Sources, node, message, entry};
})();
