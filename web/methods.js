// The choice of a method or of a fusion of two methods.
const part = (id) => document.getElementById(id);
let methods;

export const showMethods = ({ words }, follow) => {
  methods = words;
  const box = document.createElement("div");
  box.className = "choices";
  for (const [name, { title }] of [...Object.entries(words), ["fusion", { title: "Fusion of two" }]]) {
    const label = document.createElement("label"), radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: "method", value: name, checked: name === "poly" });
    label.append(radio, title);
    box.append(label);
  }
  part("methods").append(box);
  for (const [id, first] of [["first", "bn"], ["second", "poly"]]) {
    part(id).append(...Object.entries(words).map(([name, { title }]) => new Option(title, name, false, name === first)));
  }
  const change = () => {
    part("fusion").hidden = picked() !== "fusion";
    about();
    document.dispatchEvent(new Event("method"));
    follow();
  };
  part("methods").addEventListener("change", change);
  part("fusion").addEventListener("input", change);
  about();
};

const picked = () => document.querySelector("#methods input:checked").value;

// Returns {text, shares: {method: weight}}; nstlib.method reads the text.
export const chosen = () => {
  const name = picked(), mix = Number(part("mix").value), [first, second] = [part("first").value, part("second").value];
  if (name !== "fusion") return { text: name, shares: { [name]: 1 } };
  if (first === second) return { text: first, shares: { [first]: 1 } };
  const rest = Number((1 - mix).toFixed(2));
  return { text: `${first}:${rest}+${second}:${mix}`, shares: { [first]: rest, [second]: mix } };
};

const about = () => {
  const names = Object.keys(chosen().shares);
  part("about").textContent = names.map((name) => `${methods[name].title} stores ${methods[name].stores}.`).join(" ");
};
