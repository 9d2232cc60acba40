// Plays the frames that point_clouds.py computed. Gradio defines element and watch. If the user's system asks for
// reduced motion, the figure shows the last frame and moves only after a click.
const SECONDS = 5;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let flow, frame = 0, playing = false, last = 0;
const part = (selector) => element.querySelector(selector);

const draw = () => {
  const points = flow.frames[Math.round(frame)], left = flow.left[Math.round(frame)];
  part("svg .moving").querySelectorAll("circle").forEach((dot, i) => {
    dot.setAttribute("cx", points[2 * i]);
    dot.setAttribute("cy", points[2 * i + 1]);
  });
  part("ul").querySelectorAll("li").forEach((row, i) => {
    row.querySelector("i").style.width = `${Math.min(left[i], 100)}%`;
    row.querySelector("b").textContent = `${left[i]} %`;
  });
  part("input").value = Math.round(frame);
  part("[data-play]").textContent = playing ? "Pause" : "Play";
};
const tick = (now) => {
  if (!playing) return;
  frame = Math.min(frame + (Math.min(Math.max(now - last, 0), 100) / 1000 / SECONDS) * (flow.frames.length - 1), flow.frames.length - 1);
  last = now;
  playing = frame < flow.frames.length - 1;
  draw();
  if (playing) requestAnimationFrame(tick);
};
const play = () => {
  if (frame >= flow.frames.length - 1) frame = 0;
  playing = true;
  last = performance.now();
  requestAnimationFrame(tick);
};
const begin = () => {
  flow = JSON.parse(part("[data-flow]").dataset.flow);
  playing = false;
  frame = calm.matches ? flow.frames.length - 1 : 0;
  draw();
  if (!calm.matches) play();
};

element.addEventListener("click", (event) => {
  if (event.target.closest("[data-restart]")) frame = 0;
  else if (event.target.closest("[data-play]")) { if (playing) { playing = false; return draw(); } }
  else return;
  play();
});
element.addEventListener("input", (event) => {
  playing = false;
  frame = Number(event.target.value);
  draw();
});
watch("value", begin);
begin();
