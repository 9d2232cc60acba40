// For the whole page: the projector's view, focus that is never lost, names for thumbnails. Runs once, on load.
() => {
  const root = document.querySelector(".gradio-container");

  // Projector: a wide picture, larger type, the choices folded. ?view=projector starts so.
  const press = (id, on) => document.getElementById(id)?.setAttribute("aria-pressed", String(on));
  const show = (wide, choices = false) => {
    root.dataset.view = wide ? "projector" : "page";
    root.dataset.choices = choices ? "open" : "folded";
    press("projector", wide);
    press("choices", choices);
  };
  document.addEventListener("click", (event) => {
    const wide = root.dataset.view === "projector";
    if (event.target.closest("#projector")) show(!wide);
    if (event.target.closest("#choices")) show(wide, root.dataset.choices !== "open");
  });
  show(new URLSearchParams(location.search).get("view") === "projector");

  // Start and Stop change places: who pressed one by key stands on the other.
  let held = null;
  document.addEventListener("focusin", (event) => { held = event.target.closest(".nst-go"); });
  document.addEventListener("pointerdown", () => { held = null; });
  const standOnTheOther = () => {
    if (!held || document.activeElement !== document.body) return;
    const room = held.id.split("-")[0];
    const next = [...document.querySelectorAll(`.nst-go[id^="${room}-"]`)].find((button) => button.offsetParent);
    next?.focus();
  };

  // A list of choices closes when its field is left by Tab: Gradio takes that key for a letter, and opens it.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab" && event.target.getAttribute("role") === "combobox") event.stopPropagation();
  }, true);

  // Gradio gives example thumbnails no name: say what each shows.
  const name = () => document.querySelectorAll('[id$="-examples"] .gallery-item img[src]:not([data-named])').forEach((picture) => {
    const file = decodeURIComponent(picture.src).split("/").pop().replace(/\.\w+$/, "");
    picture.alt = "Example: " + file.replaceAll("_", " ");
    picture.dataset.named = "";
  });

  // Gradio gives every radio button a name of its own: with one for all, arrow keys choose, and Tab leaves.
  const group = () => document.querySelectorAll('.block[id] input[type="radio"]').forEach((one) => {
    const { id } = one.closest(".block");
    if (one.name !== id) one.name = id;
  });

  const look = () => { standOnTheOther(); name(); group(); };
  new MutationObserver(look).observe(root, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["class", "style", "src"],
  });
  look();
}
