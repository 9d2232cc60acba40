// The tab "The idea": the app's point clouds for the chosen method or fusion. point_clouds.js plays them.
import { chosen } from "./methods.js";
import { play } from "./point_clouds.js";

const view = document.getElementById("view-idea");
let figures, shown;

export const showIdea = async () => {
  figures ??= await (await fetch("idea.json")).json();
  const names = Object.keys(chosen().shares).sort(), name = names.join("+");
  if (name === shown) return;
  shown = name;
  const box = document.createElement("div");
  box.innerHTML = figures.before + figures.flows[name] + figures.after + names.map((one) => figures.words[one]).join("");
  view.replaceChildren(box);
  play(box);
};

document.addEventListener("method", () => { if (!view.hidden) showIdea(); });
