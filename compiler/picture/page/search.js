"use strict";
// Finding parts by name, op or key. A folded part has a range in its key, `blocks.0–11.attn.qkv`, and is found by each
// of the keys it stands for.
const Search = (() => {
  /** Everything that can be found, in the order of the picture. */
  function entries(parts) {
    const found = [];
    for (const item of parts.values()) {
      item.rows.forEach((row, at) => {
        const names = [row.path, row.op, row.key ?? "", item.kind === "frame" ? item.id : ""];
        found.push({item, row, at, text: names.join("\n").toLowerCase(), ranges: (row.key ?? row.path).split(".")});
      });
    }
    return found;
  }

  /** Whether a key is one of those that a pattern stands for: as many words as were typed, numbers in their ranges. */
  function within(key, ranges) {
    const words = key.split(".");
    if (words.length < 2) return false;
    return words.every((word, i) => {
      const range = ranges[i];
      if (range === undefined) return false;
      const [from, to] = range.split("–").map(Number);
      if (to !== undefined && /^\d+$/.test(word)) return Number(word) >= from && Number(word) <= to;
      return i === words.length - 1 ? range.toLowerCase().startsWith(word) : range.toLowerCase() === word;
    });
  }

  /** The entries that hold every word of the query; those whose name begins so come first. */
  function find(all, query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const rank = (entry) => {
      const names = entry.text.split("\n");
      if (names.some((name) => name === words[0])) return 0;
      return names.some((name) => name.split(/[. ]/).some((part) => part.startsWith(words[0]))) ? 1 : 2;
    };
    const key = words.map((word) => word.replace(/\.(weight|bias|running_mean|running_var)$/, ""));
    return all
      .filter((entry) => words.every((word, i) => entry.text.includes(word) || within(key[i], entry.ranges)))
      .map((entry, i) => [rank(entry), i, entry])
      .sort((a, b) => a[0] - b[0] || a[1] - b[1])
      .map(([, , entry]) => entry);
  }

  return {entries, find, within};
})();
