"use strict";
// The words of `.arch` text, for colours: [kind, text] pairs that together are the line.
const Highlight = (() => {
  const KEYWORDS = new Set((
    "network block pattern presets expect input return assert shared repeat if elif else scan next emit residual gate " +
    "append from import as with in and or not allow require True False None of weights"
  ).split(" "));
  const TOKEN = /(#.*)|("(?:\\.|[^"\\])*"?)|(\d[\d_]*(?:x\d+)*(?:\.\d+)?(?:e[+-]?\d+)?[kMGB%]?)|([A-Za-z_]\w*)|(->|[=+\-*/|&~:<>]+)|(\s+)|(.)/gu;

  function words(line) {
    const found = [];
    for (const match of line.matchAll(TOKEN)) {
      const [text, comment, string, number, name, sign] = match;
      const after = line.slice(match.index + text.length);
      let kind = "";
      if (comment) kind = "comment";
      else if (string) kind = "string";
      else if (number) kind = "number";
      else if (sign) kind = "sign";
      else if (name && KEYWORDS.has(name)) kind = "keyword";
      else if (/^[A-Z]\w*[a-z]/.test(name)) kind = "block";
      else if (/^[a-z_]/.test(name) && (/^\s*\(/.test(after) || /(^|->|=)\s*$/.test(line.slice(0, match.index))) && !/^\s*[=.,]/.test(after)) {
        kind = "op";
      }
      found.push([kind, text]);
    }
    return found;
  }

  return {words};
})();
