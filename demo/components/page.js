// For the whole page: when runs begin by themselves, files that are dropped or pasted, the projector view, the
// keyboard focus. Runs once, on load.
() => {
  const root = document.querySelector(".gradio-container");
  const at = (selector) => document.querySelector(selector);

  // The user's changes are counted (components/common.py). A run begins when nothing has changed for a while; the
  // preview is made meanwhile.
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

  // A file may be dropped anywhere, or pasted: a saved PNG restores its settings; else it is the style where it
  // falls on the style, and the photo elsewhere.
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

  // Projector: a wide image and larger type. ?view=projector starts so; ?lesson=1 fixes the images and the method.
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

  // Start and Stop replace each other: the keyboard focus moves from one to the other.
  let focused = null;
  document.addEventListener("focusin", (event) => { focused = event.target.closest(".nst-go"); });
  document.addEventListener("pointerdown", () => { focused = null; });
  const moveFocus = () => {
    if (!focused || document.activeElement !== document.body) return;
    const tab = focused.id.split("-")[0];
    const next = [...document.querySelectorAll(`.nst-go[id^="${tab}-"]`)].find((button) => button.offsetParent);
    next?.focus();
  };

  // Tab closes the list of a field: Gradio would take the key for a letter and open it.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab" && event.target.getAttribute("role") === "combobox") event.stopPropagation();
  }, true);

  // The example that an input image shows is marked.
  const mark = () => document.querySelectorAll('[id$="-examples"] .nst-picker').forEach((picker) => {
    const source = at(`#${picker.closest("[id$=-examples]").id.replace("-examples", "")} img`)?.src ?? "/none.";
    const name = decodeURIComponent(source).split("/").pop().replace(/\.\w*$/, "");
    picker.querySelectorAll("button").forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.name === name)));
  });

  // Gradio gives every radio button its own name. With one name for all, arrow keys choose and Tab leaves.
  const group = () => document.querySelectorAll('.block[id] input[type="radio"]').forEach((one) => {
    const { id } = one.closest(".block");
    if (one.name !== id) one.name = id;
  });

  let placed = true;  // whether the last run that was started has its place in the queue

  // While a run waits, Gradio writes "queue: 2/3 | 4.0/9.2s": our words say the same.
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

  // Gradio cannot cancel a run before it has a place in the queue: until then, Leave waits for it.
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
