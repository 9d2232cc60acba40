// The two image pickers. Images come from bundled examples, files, drops and the clipboard.
import { scaled } from "./images.js";

const PREVIEW = 512; // px
let target = "content"; // the picker that was used last; it gets an image that is pasted by keys

const open = async (file) => {
  if (!file.type.startsWith("image/")) throw new Error(`${file.name || "this"} is no image`);
  return createImageBitmap(file).catch(() => { throw new Error(`${file.name || "this image"} cannot be read`); });
};

export const makePickers = (examples, take, say) => {
  const pickers = {};
  const use = async (kind, file) => {
    try {
      target = kind;
      pickers[kind].show(await open(file), (file.name || "pasted").replace(/\.\w+$/, ""));
    } catch (error) {
      say(`Not used: ${error.message}. Open a PNG, JPEG or WebP file.`, true);
    }
  };
  for (const box of document.querySelectorAll(".input")) {
    const { kind } = box.dataset;
    box.append(document.getElementById("picker").content.cloneNode(true));
    const [drop, canvas, strip] = [".drop", "canvas", ".strip"].map((one) => box.querySelector(one));
    canvas.ariaLabel = `The ${kind} image`;
    const mark = (name) => { for (const one of strip.children) one.ariaPressed = one.dataset.name === name; };
    const show = (source, name) => {
      box.dispatchEvent(new Event("chosen"));
      const small = scaled(source, PREVIEW);
      Object.assign(canvas, { width: small.width, height: small.height });
      canvas.getContext("2d").drawImage(small, 0, 0);
      canvas.ariaLabel = `The ${kind} image: ${name}`;
      mark(name);
      return take(kind, source, name);
    };
    pickers[kind] = { box, show, mark, video: box.querySelector("video"), canvas };
    for (const [place, name] of examples[kind].entries()) {
      const button = document.createElement("button"), image = new Image();
      image.src = `examples/${name}.jpg`;
      image.alt = `Use the ${kind} ${name.replaceAll("_", " ")}`;
      button.dataset.name = name;
      button.ariaPressed = false;
      button.append(image);
      const choose = async () => { await image.decode(); target = kind; await show(image, name); };
      button.addEventListener("click", choose);
      strip.append(button);
      if (place === 0) choose();
    }
    box.querySelector("input").addEventListener("change", ({ target: { files } }) => files[0] && use(kind, files[0]));
    box.querySelector(".paste").addEventListener("click", async () => {
      target = kind;
      try {
        const items = await navigator.clipboard.read(), item = items.find(({ types }) => types.some((t) => t.startsWith("image/")));
        if (!item) throw new Error("there is no image in the clipboard");
        use(kind, await item.getType(item.types.find((t) => t.startsWith("image/"))));
      } catch (error) {
        say(`Nothing pasted: ${error.message}. Copy an image first, then paste.`, true);
      }
    });
    drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (event.dataTransfer.files[0]) use(kind, event.dataTransfer.files[0]);
    });
  }
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (file) use(target, file);
  });
  return pickers;
};
