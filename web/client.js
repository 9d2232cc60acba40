// Calls the worker engine.js from the page. Each function returns a promise of the worker's answer.
const worker = new Worker(new URL("./engine.js", import.meta.url), { type: "module" });
const waiting = new Map();
let next = 0;

worker.onmessage = ({ data: { id, error, ...answer } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error) reject(new Error(error));
  else resolve(answer);
};
worker.onerror = (event) => {
  for (const { reject } of waiting.values()) reject(new Error(event.message || "the worker did not start"));
  waiting.clear();
};

const ask = (what, values = {}) =>
  new Promise((resolve, reject) => {
    waiting.set(next, { resolve, reject });
    worker.postMessage({ id: next++, ask: what, ...values });
  });

export const start = (models, engine) => ask("start", { models, engine });
export const encode = (kind, image) => ask("encode", { kind, image });
export const stylize = (strength, shares) => ask("stylize", { strength, shares });
