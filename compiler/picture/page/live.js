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

  /** The model with each iteration for itself, which is sent when it is asked for; null where it is of another version. */
  async function whole(version) {
    const model = await (await fetch("whole")).json();
    return model?.version === version ? model : null;
  }

  return {listen, whole};
})();
