// The page: reads what a user chooses, and makes a new image after every choice.
import { encode, start, stylize } from "./client.js";
import { chosen, showMethods } from "./methods.js";
import { greyContent, greyStyle, planes, scaled, show, withChroma } from "./images.js";
import { makePickers } from "./inputs.js";
import { toPng } from "./png.js";
import { cameraButton } from "./camera.js";
import { tabs } from "./tabs.js";

const part = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const models = await (await fetch("models.json")).json();
const state = { sources: {}, names: {}, images: {}, stale: new Set(), shown: null, live: false };
const LARGER = 384, QUICK = 0.5; // px, if the device makes an image of this size in QUICK seconds
const LIVE = 0.27, LEAST = 128, REST = 400; // s that a live image may take, its least px, ms without a move until a slider rests
let ready = false, working = false, asked = false;

const say = (words, alert = false) => {
  part("status").textContent = words;
  part("status").classList.toggle("alert", alert);
};
const called = ({ provider, threads, failure }) => provider === "webgpu" ? "WebGPU" :
  `WebAssembly, ${threads > 1 ? `${threads} threads` : "one thread"}${failure ? " (WebGPU does not work here)" : ""}`;
const refused = (error) => say(`This failed: ${error.message}. Choose a smaller size, or reload the page.`, true);

// Uses a new image or video frame. source: anything that drawImage takes.
const take = (kind, source, name) => {
  state.sources[kind] = source;
  state.names[kind] = name;
  if (kind === "content") state.stream = state.live = source instanceof HTMLVideoElement;
  state.stale.add(kind);
  return follow();
};

const prepare = async () => {
  const size = Number(part("size").value), grey = part("colours").value === "luminance";
  const stale = state.stale, side = state.live ? Math.min(size, state.fits ?? size) : size;
  const newStyle = stale.has("style") || (grey && stale.has("content"));
  if (state.side !== side) stale.add("content");
  state.side = side;
  state.stale = new Set();
  for (const kind of stale) state.images[kind] = planes(scaled(state.sources[kind], kind === "style" ? size : side));
  const { content, style } = state.images;
  if (stale.has("content")) await encode("content", grey ? greyContent(content) : content);
  if (newStyle) await encode("style", grey ? greyStyle(style, content) : style);
  return grey;
};

const again = () => { state.stale = new Set(["content", "style"]); return follow(); };

// Makes the image for the present choices. If they change meanwhile, it makes one more image afterwards.
const follow = async () => {
  asked = true;
  document.body.dataset.working = true; // for tests
  if (!ready || working || !state.sources.content || !state.sources.style) return;
  working = true;
  try {
    while (asked) {
      asked = false;
      const begin = performance.now(), method = chosen(), strength = Number(part("strength").value), names = { ...state.names };
      const grey = await prepare(), content = state.images.content;
      const made = await stylize(strength, method.shares);
      state.shown = { image: grey ? withChroma(made, content) : made, content, grey, strength, method, names };
      draw();
      fit(state.stream ? (performance.now() - begin) / 1000 : made.seconds);
      state.images_made = (state.images_made ?? 0) + 1;
      document.body.dataset.images = state.images_made; // for tests: the number of images made
      larger(made);
      say(`${made.width} × ${made.height} px in ${made.seconds.toFixed(2)} s, ${called(made.engine)}`);
    }
  } catch (error) {
    refused(error);
  } finally {
    working = false;
    document.body.dataset.working = Boolean(state.live && !state.stream);
  }
};

// Makes the image larger once, on a fast device, unless the user has chosen a size.
const larger = ({ width, height, seconds }) => {
  if (state.sized) return;
  state.sized = true;
  if (seconds * (LARGER / Math.max(width, height)) ** 2 > QUICK) return;
  part("size").value = part("size-shown").value = LARGER;
  again();
};

// While a slider moves or the camera runs, chooses a size at which at least three images a second are possible.
const fit = (seconds) => {
  const enough = state.stream ? 0.6 * LIVE : 0; // while a slider moves, a new size would encode the content again
  if (state.live && state.fits && seconds > enough && seconds < 1.25 * LIVE) return;
  state.fits = Math.max(LEAST, 16 * Math.floor((state.side * Math.sqrt(LIVE / seconds)) / 16));
};

const move = () => {
  state.live ||= working; // the slider moves faster than the device makes images
  clearTimeout(state.rest);
  state.rest = setTimeout(() => {
    if (!state.live || state.stream) return;
    state.live = false;
    follow();
  }, REST);
  follow();
};

const draw = () => {
  const { image, content, strength, method, names, grey } = state.shown;
  const original = part("compare").ariaPressed === "true";
  show(original ? content : image, part("result"));
  part("result").ariaLabel = original ? "The photo" : `${names.content} in the style of ${names.style}`;
  part("caption").textContent = `${names.content} × ${names.style} · ${method.text} · strength ${strength} · ` +
    `${Math.max(image.width, image.height)} px${grey ? " · the content's colours" : ""}`;
  for (const id of ["save", "compare"]) part(id).disabled = false;
};

const save = async () => {
  const { image, strength, method, names, grey } = state.shown, canvas = document.createElement("canvas");
  show(image, canvas);
  const size = [image.height, image.width], { width, height } = state.images.style;
  const inputs = { content: { name: names.content, size }, styles: [{ name: names.style, size: [height, width] }] };
  const choices = { method: method.text, strength, colours: grey ? "luminance" : "style", size, inputs };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await toPng(canvas, { ...models.recipe, ...choices }));
  link.download = `${names.content}-${names.style}-${method.text.replaceAll(/[^\w.]+/g, "-")}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};

for (const id of ["strength", "size", "mix"]) {
  part(id).addEventListener("input", () => { part(`${id}-shown`).value = part(id).value; });
}
part("strength").addEventListener("input", move);
part("size").addEventListener("change", () => { state.sized = true; again(); });
part("colours").addEventListener("change", again);
part("save").addEventListener("click", save);
part("compare").addEventListener("click", ({ target }) => {
  target.ariaPressed = target.ariaPressed !== "true";
  draw();
});
if (location.pathname.endsWith("/browser/")) part("app").href = "../"; // the app serves this page
showMethods(models, move);
tabs();
const first = new Image(); // made by the build, shown while the models load
first.onload = () => state.shown ?? part("result").getContext("2d").drawImage(scaled(first, first.width), 0, 0);
first.src = "first.jpg";
const pickers = makePickers(models.examples, take, say);
cameraButton(part("camera"), pickers.content, take, say);
navigator.serviceWorker?.register("service-worker.js").catch(() => {});

try {
  if (!self.WebAssembly) throw new Error("no WebAssembly");
  const begin = performance.now();
  await start(models, query.get("engine"));
  ready = true;
  part("camera").disabled = !navigator.mediaDevices?.getUserMedia;
  say(`Loaded in ${((performance.now() - begin) / 1000).toFixed(1)} s.`);
  follow();
} catch (error) {
  say(`This browser cannot run the models (${error.message}). It needs WebAssembly with SIMD: use a present Chrome, Edge, ` +
    "Firefox or Safari, or the app of nstlib.", true);
}
