// Code for the whole page: it starts runs automatically, takes dropped and pasted files, and handles the projector
// view and the keyboard focus. Runs once, on load.
() => {
  const root = document.querySelector(".gradio-container");
  const at = (selector) => document.querySelector(selector);

  // `ask` counts the user's changes (components/common.py). `rest` starts a run when nothing has changed for `wait`
  // ms. The preview is made in this time.
  let held = false, changed = 0;
  const timers = {};
  const started = (id = "stylize-start") => clearTimeout(timers[id]);
  window.nst = {
    ask: (count) => Math.floor(count) + 1 + (held ? 0.5 : 0),
    changed: (id) => { started(id); changed = performance.now(); },
    rest: (id, may, wait) => {
      started(id);
      const left = Math.max(0, changed + wait - performance.now());
      if (may) timers[id] = setTimeout(() => document.getElementById(id)?.click(), left);
    },
    started,
  };
  document.addEventListener("pointerdown", (event) => { held = event.target.matches("input[type=range]"); }, true);
  for (const end of ["pointerup", "pointercancel"])
    document.addEventListener(end, () => { held = false; }, true);

  // Files can be dropped anywhere, or pasted. A PNG with a recipe restores its settings. Any other image becomes the
  // style if it is dropped on the style, else the photo.
  const give = (id, file) => {
    const input = at(`input[type=file]:has(+ #${id})`), list = new DataTransfer();
    list.items.add(file);
    input.files = list.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const take = async (file, target) => {
    if (!file) return;
    const start = new TextDecoder("latin1").decode(await file.slice(0, 4000).arrayBuffer());
    const style = target.closest?.(".nst-input")?.querySelector("#styles, #second");
    give(start.slice(1, 4) === "PNG" && start.includes("iTXtnstlib\0") ? "drop" : `${style?.id ?? "contents"}-upload`, file);
  };
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0], event.target);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files[0], event.target));

  // The projector view has a wide image and larger type; ?view=projector opens it. ?lesson=1 fixes images and method.
  const query = new URLSearchParams(location.search);
  const show = (wide) => {
    root.dataset.view = wide ? "projector" : "page";
    at("#projector")?.setAttribute("aria-pressed", String(wide));
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest("#projector")) show(root.dataset.view !== "projector");
  });
  show(query.get("view") === "projector");
  if (query.has("lesson")) root.dataset.lesson = "";

  // Start, Leave and Stop replace each other, and the keyboard focus moves to the one that is visible.
  let focused = null;
  document.addEventListener("focusin", (event) => { focused = event.target.closest(".nst-go"); });
  document.addEventListener("pointerdown", () => { focused = null; });
  const moveFocus = () => {
    if (!focused || document.activeElement !== document.body) return;
    const tab = focused.id.split("-")[0];
    const next = [...document.querySelectorAll(`.nst-go[id^="${tab}-"]`)].find((button) => button.offsetParent);
    next?.focus();
  };

  // Stops the Tab key before Gradio's list of a field handles it: Gradio would treat it as a letter and open the list.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab" && event.target.getAttribute("role") === "combobox") event.stopPropagation();
  }, true);

  // Marks the example that an input image shows.
  const mark = () => document.querySelectorAll('[id$="-examples"] .nst-picker').forEach((picker) => {
    const source = at(`#${picker.closest("[id$=-examples]").id.replace("-examples", "")} img`)?.src ?? "/none.";
    const name = decodeURIComponent(source).split("/").pop().replace(/\.\w*$/, "");
    picker.querySelectorAll("button").forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.name === name)));
  });

  // Gradio gives every radio button a different name. With one name per group, arrow keys choose and Tab leaves it.
  const group = () => document.querySelectorAll('.block[id] input[type="radio"]').forEach((one) => {
    const { id } = one.closest(".block");
    if (one.name !== id) one.name = id;
  });

  let placed = true;  // whether the last run that was started has its place in the queue

  // While a run waits, Gradio writes "queue: 2/3 | 4.0/9.2s". This shows the same as a sentence.
  const queue = () => {
    const shown = at(".nst-statusbox .progress-text")?.textContent ?? "";
    placed ||= /queue|processing/.test(shown);
    const place = shown.match(/queue: (\d+)\/(\d+) \|\s*([\d.]+)(?:\/([\d.]+))?/);
    const words = place && at(".nst-statusbox:has(.progress-text) .nst-status span");
    const left = place && Math.ceil((place[4] ?? 0) - place[3]);
    const own = at(`[data-tab-id="${at('.nst-go[id$="-stop"]')?.id.split("-")[0]}"]`)?.textContent;
    const text = place && `Waiting for your turn: you are number ${place[1]} of ${place[2]}${left > 0 ? `, for about ${left} s` : ""}.`
      + (own ? ` Your own run in ${own} is still working.` : "");
    if (words && words.textContent !== text) words.textContent = text;
  };

  // Gradio cannot cancel a run that has no place in the queue yet, so Leave tries again until the run has one.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".nst-go"), [tab, name] = button?.id.split("-") ?? [];
    if (name === "start") placed = false;
    if (name !== "leave" || placed) return;
    event.stopPropagation();
    setTimeout(() => ["leave", "stop"].forEach((other) => document.getElementById(`${tab}-${other}`)?.click()), 50);
  }, true);

  const look = () => { moveFocus(); mark(); group(); queue(); };
  new MutationObserver(look).observe(root, {
    subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["class", "style", "src"],
  });
  look();
}
