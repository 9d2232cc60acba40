// A click on a tile enlarges it in a dialog. Escape closes the dialog, arrow keys show the next tiles, and "Open in
// Stylize" sends the tile's number to the server. Runs once per grid; Gradio defines element, trigger and watch.
const dialog = document.createElement("dialog");
dialog.className = "nst-large";
dialog.setAttribute("aria-label", "One image, large");
dialog.innerHTML = `
  <figure><img alt=""><figcaption></figcaption></figure>
  <div class="nst-large-buttons">
    <button type="button" data-go="-1" aria-label="Previous image">←</button>
    <button type="button" data-go="1" aria-label="Next image">→</button>
    <button type="button" data-open>Open in Stylize</button>
    <button type="button" data-close>Close</button>
  </div>`;
(element.closest(".gradio-container") ?? document.body).append(dialog);
const large = dialog.querySelector("img"), words = dialog.querySelector("figcaption");
const opener = dialog.querySelector("[data-open]");
const tiles = () => [...element.querySelectorAll("button.frame")];
let place = 0;

const draw = () => {
  const all = tiles();
  if (!all.length) return dialog.close();
  place = (place + all.length) % all.length;
  const tile = all[place], image = tile.querySelector("img");
  large.src = image.src;
  large.alt = image.alt;
  words.textContent = image.alt;
  opener.hidden = !tile.dataset.place;
};
const go = (by) => { place += by; draw(); };

element.addEventListener("click", (event) => {
  const tile = event.target.closest("button.frame");
  if (!tile) return;
  place = tiles().indexOf(tile);
  draw();
  dialog.showModal();
});
dialog.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.go) return go(Number(button.dataset.go));
  if (button === opener) trigger("select", { place: Number(tiles()[place].dataset.place) });
  if (button || event.target === dialog) dialog.close();
});
dialog.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by) go(by);
});
dialog.addEventListener("close", () => tiles()[place]?.focus());
watch("value", () => { if (dialog.open) draw(); });
