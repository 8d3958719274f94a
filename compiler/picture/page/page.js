"use strict";
// The page: what is open, selected and searched for, and the keys.
(() => {
  const at = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(at(id).textContent);
  const {node} = Source;

  let model = read("model");
  const opened = new Set(), layouts = new Layout.Layouts(at("viz").textContent, read("worker"));
  let view = "folded", parts = {}, entries = [], selected = null, hits = [], hit = -1, wrong = null, drawn = 0, newest = -1;

  const picture = new Picture.Pictures(at("picture"), {
    select: (id, row) => select(id, row), toggle: (id) => toggle(id), hover: (over, event) => hover(over, event),
  });
  const source = new Source.Sources(at("tabs"), at("code"), {pick: (file, line) => pick(file, line)});

  // ---------------------------------------------------------------------------------------------------- the model

  /** What the page knows, made ready. */
  function hold(fresh) {
    model = fresh;
    for (const way of ["folded", "unfolded"]) parts[way] = model[way]?.items ? Assemble.index(model[way]) : null;
    if (!parts[view]) view = "folded";
    at("unfold").setAttribute("aria-pressed", String(view === "unfolded"));
    entries = Search.entries(parts[view]);
  }

  /** Take a model; `kept` when the page shows an older one: what is open, selected and in sight stays. */
  async function take(fresh, kept) {
    hold(fresh);
    if (!kept) for (const id of model.opened) opened.add(id);
    document.title = model.name;
    at("name").textContent = model.name;
    const macs = model.macs ? `${model.macs} MACs${model.at ? ` at ${model.at}` : ""}` : "";
    at("facts").textContent = [model.params !== "0" ? `${model.params} parameters` : "", macs].filter(Boolean).join("  ·  ");
    at("facts").title = at("facts").textContent;
    at("unfold").disabled = !model.unfolded;
    source.errors = [];
    source.load(model.files);
    if (selected && !parts[view].has(selected.id)) selected = null;
    if (!kept && model.svg) {
      const {shown, count} = Assemble.assemble(model, model[view], parts[view], opened);
      put(model.svg, shown, count, null);
      picture.fit(false);
    } else {
      await draw(kept && selected ? selected.id : null);
      if (!kept) picture.fit(false);
    }
    tell();
    if (query.value) find();
  }

  /** Lay out what is open, in the worker; `anchor` is the part that stays where it is. */
  async function draw(anchor) {
    const {dot, shown, count} = Assemble.assemble(model, model[view], parts[view], opened);
    const busy = setTimeout(() => notice(`laying out ${count} boxes … Esc stops`), 350);
    try {
      const svg = await layouts.svg(dot);
      if (svg === null) return false;
      put(svg, shown, count, anchor);
      return true;
    } catch (error) {
      notice(`this could not be laid out: ${error.message}`, "bad");
      return false;
    } finally {
      clearTimeout(busy);
      if (!layouts.busy && at("notice").textContent.startsWith("laying out")) notice("");
    }
  }

  function put(svg, shown, count, anchor) {
    picture.show(svg, shown, anchor);
    drawn += 1;
    document.documentElement.dataset.drawn = drawn;
    performance.mark("drawn");
    at("hints").replaceChildren(
      node("span", {}, `${count} boxes`), node("span", {}, "double click opens"), node("span", {}, "/ finds"),
      node("span", {}, "? keys"),
    );
    mark();
  }

  // --------------------------------------------------------------------------------------------- opening, closing

  /** Whether so many boxes may be drawn; says why not. */
  function fits(wish) {
    const count = Assemble.count(model[view], wish);
    if (count <= model.most.boxes) return true;
    notice(`that would be ${count.toLocaleString("en")} boxes; at most ${model.most.boxes.toLocaleString("en")} are drawn. Open parts of it.`);
    return false;
  }

  async function change(wish, anchor) {
    const before = [...opened];
    if (!fits(wish)) return;
    opened.clear();
    for (const id of wish) opened.add(id);
    if (!(await draw(anchor)) && !layouts.busy) {  // it was called off: what is on the page is what is open
      opened.clear();
      for (const id of before) opened.add(id);
    }
  }

  function toggle(id) {
    const wish = new Set(opened);
    if (!wish.delete(id)) wish.add(id);
    return change(wish, id);
  }

  const frames = () => [...parts[view].values()].filter((item) => item.items).map((item) => item.id);

  async function openAll() {
    await change(new Set(frames()), selected?.id ?? null);
    if (!selected) picture.fit(false);
  }

  async function closeAll() {
    await change(new Set(), null);
    picture.fit();
  }

  async function unfold() {
    if (!model.unfolded) return;
    if (model.unfolded.later) {
      const whole = await Live.whole(model.version).catch(() => null);
      if (!whole || whole.version !== model.version) return;
      hold({...whole, live: model.live});
    }
    if (!model.unfolded.items) {
      notice(`each iteration for itself would be ${model.unfolded.boxes.toLocaleString("en")} ops and more; at most ` +
        `${model.most.boxes.toLocaleString("en")} boxes are drawn`);
      return;
    }
    view = view === "folded" ? "unfolded" : "folded";
    if (!fits(opened)) {
      view = view === "folded" ? "unfolded" : "folded";
      return;
    }
    at("unfold").setAttribute("aria-pressed", String(view === "unfolded"));
    entries = Search.entries(parts[view]);
    if (selected && !parts[view].has(selected.id)) selected = null;
    await draw(selected?.id ?? null);
    if (!selected) picture.fit(false);
    tell();
  }

  /** Open what a part is in, so that it is seen. */
  async function uncover(id) {
    const wish = new Set(opened);
    for (let at = parts[view].get(id)?.parent; at; at = at.parent) wish.add(at.id);
    if (wish.size !== opened.size) await change(wish, null);
  }

  /** The part that is seen where this one is: itself, or the closed frame around it. */
  function seen(id) {
    let found = id;
    for (let at = parts[view].get(id)?.parent; at; at = at.parent) if (!opened.has(at.id)) found = at.id;
    return found;
  }

  // ------------------------------------------------------------------------------------------------ selecting, words

  function select(id, row = 0) {
    selected = id === null ? null : {id, row};
    hover(null);
    mark();
    tell();
  }

  function tell() {
    const row = selected && parts[view].get(selected.id)?.rows[selected.row];
    if (!row) {
      at("about").replaceChildren(...words());
      if (!wrong) source.mark([]);
      return;
    }
    at("about").replaceChildren(...About.full(row, model.files, (place) => source.go(place)));
    if (!wrong) source.mark(row.places);
  }

  function words() {
    const cut = model.cut === null ? null : node("p", {class: "quiet"}, "Deeper blocks are left out: there are too many boxes.");
    const caption = model.caption ? node("p", {class: "quiet"}, model.caption) : node("p", {class: "quiet"}, "Select a part to see its lines.");
    return [node("div", {class: "title-line"}, node("b", {}, model.name)), caption, cut].filter(Boolean);
  }

  function mark() {
    const marks = hits.map(({item, at}) => {
      const id = seen(item.id);
      return [id, id === item.id ? at : 0, id === item.id ? "hit" : "inside"];
    });
    if (selected) marks.push([selected.id, selected.row, "selected"]);
    picture.mark([...new Map(marks.map((m) => [JSON.stringify([m[0], m[1], m[2]]), m])).values()]);
  }

  let waits = 0;
  function hover(over, event) {
    clearTimeout(waits);
    const card = at("card");
    if (!over) {
      card.hidden = true;
      return;
    }
    const row = parts[view].get(over.id)?.rows[over.row];
    if (!row) return void (card.hidden = true);
    waits = setTimeout(() => {
      card.replaceChildren(...About.brief(row, model.files));
      card.hidden = false;
      const {width, height} = card.getBoundingClientRect(), edge = 12;
      const x = event.clientX + 18 + width > innerWidth - edge ? event.clientX - width - 14 : event.clientX + 18;
      const y = Math.min(event.clientY + 16, innerHeight - height - edge);
      card.style.left = `${Math.max(edge, x)}px`;
      card.style.top = `${Math.max(edge, y)}px`;
    }, card.hidden ? 140 : 0);
  }

  /** The parts that a line of the text is about. */
  function pick(file, line) {
    if (wrong) return;
    query.value = "";
    list();
    hits = entries.filter(({row}) => row.places.length && row.places[0][0] === file && row.places[0][1] <= line && line <= row.places[0][3]);
    mark();
    if (hits.length) picture.reveal(seen(hits[0].item.id));
  }

  // ---------------------------------------------------------------------------------------------------------- search

  const query = at("query");

  function find() {
    hits = Search.find(entries, query.value);
    hit = -1;
    list();
    mark();
  }

  function list() {
    const shown = hits.slice(0, 40).map((entry, i) => node(
      "li", {role: "option", "aria-selected": String(i === hit), onmousedown: (event) => { event.preventDefault(); jump(i); }},
      node("span", {class: "path"}, entry.row.key ?? entry.row.path), node("span", {class: "op"}, entry.row.op),
    ));
    const more = hits.length > 40 ? `and ${hits.length - 40} more` : query.value && !hits.length ? "nothing is called so" : "";
    at("found").replaceChildren(...shown, ...(more ? [node("li", {class: "count"}, more)] : []));
    at("found").hidden = !query.value || document.activeElement !== query;
    at("count").textContent = hits.length && query.value ? `${hit < 0 ? "" : `${hit + 1}/`}${hits.length}` : "";
    at("found").children[hit]?.scrollIntoView({block: "nearest"});
  }

  /** Go to a hit; with `quiet` the list goes out of the way. */
  async function jump(to, quiet = false) {
    if (!hits.length) return;
    hit = (to + hits.length) % hits.length;
    const {item, at: row} = hits[hit];
    list();
    at("found").hidden ||= quiet;
    await uncover(item.id);
    select(item.id, row);
    picture.reveal(item.id, true);
  }

  query.addEventListener("input", find);
  query.addEventListener("focus", list);
  query.addEventListener("blur", () => (at("found").hidden = true));
  query.addEventListener("keydown", (event) => {
    if (event.key === "Enter") jump(hit + (event.shiftKey ? -1 : 1), true);
    else if (event.key === "ArrowDown") jump(hit + 1);
    else if (event.key === "ArrowUp") jump(hit - 1);
    else if (event.key === "Escape") {
      query.value = "";
      find();
      query.blur();
      at("picture").focus();
    } else return;
    event.preventDefault();
  });

  // ------------------------------------------------------------------------------------------------------------ keys

  /** Go from the selection to the nearest part in a direction. */
  function step(x, y) {
    if (!selected || !picture.rect(selected.id)) return picture.nudge(-80 * x, -80 * y);
    const from = picture.rect(selected.id), mid = (r) => [r.x + r.width / 2, r.y + Math.min(r.height / 2, 20)];
    const [fx, fy] = mid(from);
    let best = null, least = Infinity;
    for (const id of picture.parts.keys()) {
      if (id === selected.id || !parts[view].get(id)?.rows.length) continue;
      const [tx, ty] = mid(picture.rect(id)), along = (tx - fx) * x + (ty - fy) * y;
      const aside = Math.abs((tx - fx) * y) + Math.abs((ty - fy) * x);
      if (along > 4 && along + 2.5 * aside < least) [best, least] = [id, along + 2.5 * aside];
    }
    if (best) {
      select(best);
      picture.reveal(best);
    }
  }

  const KEYS = {
    "/": () => query.select(), f: () => picture.fit(), "+": () => picture.zoom(1.25), "=": () => picture.zoom(1.25),
    "-": () => picture.zoom(0.8), e: openAll, c: closeAll, u: unfold, t: () => beside(), "?": () => at("keys").showModal(),
    ArrowLeft: () => step(-1, 0), ArrowRight: () => step(1, 0), ArrowUp: () => step(0, -1), ArrowDown: () => step(0, 1),
    Enter: () => selected && parts[view].get(selected.id).items && toggle(selected.id),
    Escape: () => {
      if (layouts.busy) layouts.cancel();
      else if (hits.length) (hits = []), mark();
      else select(null);
      notice("");
    },
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target === query || event.target.closest?.("dialog, button") && event.key === "Enter";
    if (typing || event.ctrlKey || event.metaKey || event.altKey || at("keys").open || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  function beside() {
    const alone = document.body.classList.toggle("alone");
    at("text").setAttribute("aria-pressed", String(!alone));
    picture.pan.resize();
  }

  function notice(text, kind = "") {
    at("notice").textContent = text;
    at("notice").className = kind;
    at("notice").hidden = !text;
  }

  at("fit").onclick = KEYS.f;
  at("open-all").onclick = openAll;
  at("close-all").onclick = closeAll;
  at("unfold").onclick = unfold;
  at("text").onclick = beside;
  at("help").onclick = KEYS["?"];
  at("divider").addEventListener("pointerdown", (event) => {
    at("divider").setPointerCapture(event.pointerId);
    at("divider").onpointermove = ({clientX}) => {
      const width = Math.min(Math.max(innerWidth - clientX, 240), innerWidth - 240);
      document.documentElement.style.setProperty("--side", `${width}px`);
      picture.pan.resize();
    };
    at("divider").onpointerup = () => (at("divider").onpointermove = null);
  });
  addEventListener("resize", () => picture.pan.resize());

  // ------------------------------------------------------------------------------------------------------------ live

  function listen() {
    Live.listen(model.live, {
      model: async (fresh) => {
        const first = !parts.folded;
        newest = fresh.version;
        if (view === "unfolded" && fresh.unfolded?.later) fresh = await Live.whole(fresh.version).catch(() => null) ?? fresh;
        if (fresh.version !== newest) return;
        wrong = null;
        document.body.classList.remove("stale");
        notice("");
        await take({...fresh, live: model.live}, !first);
        document.documentElement.dataset.version = fresh.version;
      },
      wrong: ({errors, files, version}) => {
        newest = version;
        wrong = errors;
        document.body.classList.add("stale");
        source.fail(errors, files);
        at("about").replaceChildren(
          node("div", {class: "title-line"}, node("b", {}, errors.length === 1 ? "One mistake" : `${errors.length} mistakes`)),
          node("p", {class: "quiet"}, parts.folded ? "The picture is of the last text that stood." : "There is no picture yet."),
          ...errors.map((error) => (error.place ? Source.entry(error, files, (place) => source.go(place)) : Source.message(error))),
        );
        document.documentElement.dataset.version = version;
      },
      lost: () => notice("`ogive view` has ended; this is the last picture".replaceAll("`", "")),
      back: () => at("notice").textContent.includes("has ended") && notice(""),
    });
    layouts.warm();
  }

  if (model.folded) take(model, false);
  else at("name").textContent = model.name;
  if (model.live) listen();
  document.documentElement.dataset.ready = "";
})();
