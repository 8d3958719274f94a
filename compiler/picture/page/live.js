"use strict";
// Listening to `ogive view`: what was saved comes as a new model, or as what is wrong with it.
const Live = (() => {
  function listen(path, {model, wrong, lost, back}) {
    const events = new EventSource(path);
    events.addEventListener("model", (event) => model(JSON.parse(event.data)));
    events.addEventListener("wrong", (event) => wrong(JSON.parse(event.data)));
    events.addEventListener("error", () => lost());
    events.addEventListener("open", () => back());
    return events;
  }

  return {listen};
})();
