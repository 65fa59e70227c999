// Keys of one explorer: / goes to the search, j and k along the list, Esc back. They press buttons
// that are on the page anyway, so a front end that runs no script loses the keys and nothing else.
(() => {
  const find = () => document.querySelector(".NAME");
  const press = (name) => find()?.querySelector(`.epkit-key-${name}`)?.click();
  // A list that is filled anew takes the focus with it: the explorer has the keys until another has.
  let mine = false;
  const note = (event) => { mine = !!find()?.contains(event.target); };
  const act = (event) => {
    const root = find();
    const here = root && (root.contains(event.target) || (mine && !event.target.matches("input, textarea, [contenteditable=true]")));
    if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input:not([type=range]), textarea");
    const box = root.querySelector(".epkit-query input");
    if (event.key === "Escape") {
      if (typing) event.target.blur();
      press("escape");
      root.querySelector(".epkit-list button.mod-active, .epkit-list button")?.focus();
    } else if (typing) return;
    else if (event.key === "/") { box?.focus(); box?.select(); }
    else if (event.key === "j") press("next");
    else if (event.key === "k") press("previous");
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  // On the window, before the keys reach a notebook's own shortcuts.
  addEventListener("keydown", act, true);
  addEventListener("pointerdown", note, true);
  addEventListener("focusin", (event) => { if (event.target !== document.body) note(event); }, true);
})();
