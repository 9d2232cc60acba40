// Two tabs, for the mouse and for arrow keys. The tab "The idea" loads its data when it is first opened.
import { showIdea } from "./idea.js";

export const tabs = () => {
  const all = [...document.querySelectorAll("[role=tab]")];
  const select = (tab) => {
    for (const one of all) {
      one.ariaSelected = one === tab;
      one.tabIndex = one === tab ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = one !== tab;
    }
    if (tab.id === "tab-idea") showIdea();
  };
  for (const [place, tab] of all.entries()) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!step) return;
      const other = all[(place + step + all.length) % all.length];
      select(other);
      other.focus();
    });
  }
};
