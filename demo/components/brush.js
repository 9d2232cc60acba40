// An image to brush on. The component's value holds its 64 × 64 cells as hexadecimal digits.
const SIDE = 64, RADIUS = 5;
const canvas = element.querySelector("canvas"), pen = canvas.getContext("2d");
const cells = new Uint8Array(SIDE * SIDE);
let drawing = false;

function draw() {
  const colour = getComputedStyle(canvas).color.match(/\d+/g).slice(0, 3).map(Number);
  const overlay = pen.createImageData(SIDE, SIDE);
  cells.forEach((on, i) => overlay.data.set([...colour, on ? 170 : 0], 4 * i));
  pen.putImageData(overlay, 0, 0);
}

function read(text) {
  cells.fill(0);
  if (text?.length === (SIDE * SIDE) / 4)
    [...text].forEach((digit, i) => {
      for (let bit = 0; bit < 4; bit++) cells[4 * i + bit] = (parseInt(digit, 16) >> (3 - bit)) & 1;
    });
  draw();
}

function write() {
  let text = "";
  for (let i = 0; i < cells.length; i += 4)
    text += (8 * cells[i] + 4 * cells[i + 1] + 2 * cells[i + 2] + cells[i + 3]).toString(16);
  props.value = cells.includes(1) ? text : "";
  trigger("input");
}

function brush(event) {
  const box = canvas.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * SIDE, y = ((event.clientY - box.top) / box.height) * SIDE;
  for (let row = 0; row < SIDE; row++)
    for (let column = 0; column < SIDE; column++)
      if ((column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2 < RADIUS ** 2) cells[SIDE * row + column] = 1;
  draw();
}

function showContent() {
  const image = document.querySelector("#contents img");
  if (!image) return;
  canvas.style.backgroundImage = `url("${image.src}")`;
  if (image.naturalWidth) canvas.style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  drawing = true;
  brush(event);
});
canvas.addEventListener("pointermove", (event) => drawing && brush(event));
for (const end of ["pointerup", "pointercancel"])
  canvas.addEventListener(end, () => { if (drawing) write(); drawing = false; });
element.querySelector("button").addEventListener("click", () => { cells.fill(0); draw(); write(); });
element.addEventListener("pointerenter", showContent);
watch("value", () => { if (!drawing) read(props.value); });
showContent();
read(props.value);
