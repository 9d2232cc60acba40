// For the whole page: the projector view, the keyboard focus, names of thumbnails. Runs once, on load.
() => {
  const root = document.querySelector(".gradio-container");

  // Projector: a wide image, larger type, the choices folded. ?view=projector starts so.
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

  // Start and Stop replace each other: the keyboard focus moves from one to the other.
  let held = null;
  document.addEventListener("focusin", (event) => { held = event.target.closest(".nst-go"); });
  document.addEventListener("pointerdown", () => { held = null; });
  const moveFocus = () => {
    if (!held || document.activeElement !== document.body) return;
    const tab = held.id.split("-")[0];
    const next = [...document.querySelectorAll(`.nst-go[id^="${tab}-"]`)].find((button) => button.offsetParent);
    next?.focus();
  };

  // Tab closes the list of a field: Gradio would take the key for a letter and open it.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab" && event.target.getAttribute("role") === "combobox") event.stopPropagation();
  }, true);

  // Gradio gives example thumbnails no name: say what each shows.
  const name = () => document.querySelectorAll('[id$="-examples"] .gallery-item img[src]:not([data-named])').forEach((image) => {
    const file = decodeURIComponent(image.src).split("/").pop().replace(/\.\w+$/, "");
    image.alt = "Example: " + file.replaceAll("_", " ");
    image.dataset.named = "";
  });

  // Gradio gives every radio button its own name. With one name for all, arrow keys choose and Tab leaves.
  const group = () => document.querySelectorAll('.block[id] input[type="radio"]').forEach((one) => {
    const { id } = one.closest(".block");
    if (one.name !== id) one.name = id;
  });

  const look = () => { moveFocus(); name(); group(); };
  new MutationObserver(look).observe(root, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["class", "style", "src"],
  });
  look();
}
