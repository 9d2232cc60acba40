// A worker: it holds the models and what it has encoded, and makes images. The page talks to it by messages
// {id, ask, ...} and gets {id, ...answer} or {id, error} back; see client.js.
import { cached, inflated } from "./cache.js";

let ort, provider, threads, sessions = {}, weights, methods;
const encoded = { content: null, style: null };

// WebGPU where the browser has it, WebAssembly otherwise: in threads where the page is isolated.
const start = async ({ engine, models }) => {
  const found = ["wasm", "one-thread"].includes(engine) ? null : await navigator.gpu?.requestAdapter().catch(() => null);
  const adapter = found?.info?.isFallbackAdapter ? null : found; // a GPU, not its emulation
  provider = adapter ? "webgpu" : "wasm";
  ort = await import(adapter ? "./ort/ort.webgpu.bundle.min.mjs" : "./ort/ort.wasm.bundle.min.mjs");
  const binary = inflated(`ort/ort-wasm-simd-threaded${adapter ? ".asyncify" : ""}.wasm.gz`);
  const files = [...models.files, "weights.bin"].map((name) => cached(`models/${name}`));
  ort.env.logLevel = "error";
  ort.env.wasm.wasmBinary = await binary;
  if (engine === "one-thread") ort.env.wasm.numThreads = 1;
  weights = new Uint8Array(await files.at(-1));
  methods = models.methods;
  const loaded = await Promise.all(models.files.map((name, k) => files[k].then((bytes) => [name, bytes])));
  const load = async () => { for (const [name, bytes] of loaded) sessions[name] = await session(bytes); };
  try {
    await load();
    if (adapter) await probe();
  } catch (error) {
    if (!adapter) throw error;
    provider = "wasm"; // a GPU that does not compute what it should
    await load();
  }
  threads = self.crossOriginIsolated ? ort.env.wasm.numThreads : 1;
  return { provider, threads };
};

const session = (model) => ort.InferenceSession.create(model, {
  executionProviders: provider === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
  externalData: [{ path: "weights.bin", data: weights }],
  logSeverityLevel: 3,
});

// On the GPU: strength 0 must give the content.
const probe = async () => {
  const data = Float32Array.from({ length: 3 * 64 * 64 }, (_, i) => (Math.sin(i / 40) + 1) / 2);
  const image = { width: 64, height: 64, data };
  for (const kind of ["content", "style"]) await encode({ kind, image });
  const made = await stylize({ strength: 0, shares: { [methods[0]]: 1 } });
  if (!made.data.every((x, i) => Math.abs(x - data[i]) < 0.02)) throw new Error("the GPU computes something else");
};

// An image as {width, height, data: RGB planes in 0 … 1}.
const tensor = ({ data, width, height }) => new ort.Tensor("float32", data, [1, 3, height, width]);

const encode = async ({ kind, image }) => {
  const made = await sessions[`${kind}.onnx`].run({ [kind]: tensor(image) });
  if (encoded[kind]) Object.values(encoded[kind]).forEach((one) => one.dispose());
  encoded[kind] = kind === "content" ? { ...made, content: tensor(image) } : made;
  return {};
};

// shares: {method: weight}; 0 is the content, 1 the style in full.
const stylize = async ({ strength, shares }) => {
  if (!encoded.content || !encoded.style) throw new Error("an image is missing");
  const list = Float32Array.from(methods, (name) => shares[name] ?? 0);
  const begin = performance.now();
  const { image } = await sessions["image.onnx"].run({
    ...encoded.content,
    ...encoded.style,
    strength: new ort.Tensor("float32", [strength], []),
    weights: new ort.Tensor("float32", list, [list.length]),
  });
  const [, , height, width] = image.dims;
  const data = image.data.slice();
  image.dispose();
  return { width, height, data, seconds: (performance.now() - begin) / 1000 };
};

const answers = { start, encode, stylize };
let last = Promise.resolve(); // one after the other
self.onmessage = ({ data: { id, ask, ...values } }) => {
  last = last.then(async () => {
    try {
      const answer = await answers[ask](values);
      self.postMessage({ id, ...answer }, answer.data ? [answer.data.buffer] : []);
    } catch (error) {
      self.postMessage({ id, error: String(error?.message ?? error) });
    }
  });
};
