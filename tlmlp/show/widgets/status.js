// The sentence, and what ipywidgets leaves out of the page for the whole widget around it: how many
// outputs show it, names of sliders and of groups of buttons, which buttons are pressed, alt texts.
export default () => {
  let shown = 0;
  const put = (e, name, words) => { if (words && e.getAttribute(name) !== words) e.setAttribute(name, words); };
  const complete = (root) => {
    for (const view of root.querySelectorAll(".widget-slider, .widget-toggle-buttons")) {
      const label = view.querySelector("label"), words = label && (label.textContent || label.title);
      for (const e of view.querySelectorAll(".noUi-handle, .widget-readout")) put(e, "aria-label", words);
      for (const e of view.querySelectorAll(".widget-readout")) put(e, "role", "textbox");
      if (view.matches(".widget-toggle-buttons")) { put(view, "role", "group"); put(view, "aria-label", words); }
    }
    for (const e of root.querySelectorAll(".widget-toggle-button, .widget-toggle-buttons button"))
      put(e, "aria-pressed", String(e.classList.contains("mod-active")));
    for (const e of root.querySelectorAll("img[title], select[title], input[title]")) {
      put(e, e.matches("img") ? "alt" : "aria-label", e.title);
      e.removeAttribute("title");
    }
    for (const e of root.querySelectorAll(".tlmlp-runs")) put(e, "tabindex", "0"); // it scrolls: arrows must reach it
  };
  return {
    render({ model, el }) {
      const count = (change) => { shown += change; model.set("shown", shown); model.save_changes(); };
      const write = () => { el.innerHTML = model.get("value"); };
      const watch = () => {
        const root = el.closest(".tlmlp");
        if (!root) { waiting = requestAnimationFrame(watch); return; }
        complete(root);
        page.observe(root, { subtree: true, childList: true, attributeFilter: ["class", "title"] });
      };
      const page = new MutationObserver(() => complete(el.closest(".tlmlp") || el));
      el.classList.add("tlmlp-status");
      el.setAttribute("role", "status");
      model.on("change:value", write);
      write(); count(1);
      let waiting = requestAnimationFrame(watch);
      return () => { cancelAnimationFrame(waiting); page.disconnect(); model.off("change:value", write); count(-1); };
    },
  };
};
