// A worker that holds the models and the encoded images, and makes the results. The page sends it messages
// {id, ask, ...} and gets {id, ...answer} or {id, error} back; see client.js.
import { cached, inflated } from "./cache.js";

const RUNTIMES = { webgpu: ["ort.webgpu.bundle.min.mjs", ".asyncify"], wasm: ["ort.wasm.bundle.min.mjs", ""] };
let ort, provider, models, threaded, failure = "", sessions = {};
const encoded = { content: null, style: null }, images = {};

// Uses WebGPU if it passes the probe, else WebAssembly. WebAssembly uses threads if the page is isolated.
const start = async (values) => {
  models = values.models;
  threaded = values.engine !== "one-thread" && self.crossOriginIsolated;
  if (await adapter(values.engine)) await load("webgpu").then(probe).catch(fallBack);
  else await load("wasm");
  return engine();
};

const engine = () => ({ provider, threads: threaded ? ort.env.wasm.numThreads : 1, failure });

// Returns a GPU, but an emulated one only if `asked` is "webgpu".
const adapter = async (asked) => {
  if (["wasm", "one-thread"].includes(asked)) return null;
  try {
    const found = await navigator.gpu?.requestAdapter();
    return found?.info?.isFallbackAdapter && asked !== "webgpu" ? null : found;
  } catch {
    return null;
  }
};

const load = async (name) => {
  const [script, build] = RUNTIMES[name];
  const binary = inflated(`ort/ort-wasm-simd-threaded${build}.wasm.gz`);
  const files = [...models.files, "weights.bin"].map((file) => cached(`models/${file}`));
  [ort] = await Promise.all([import(`./ort/${script}`), binary, ...files]);
  Object.assign(ort.env.wasm, { wasmBinary: await binary }, threaded ? {} : { numThreads: 1 });
  ort.env.logLevel = "error";
  const data = new Uint8Array(await files.at(-1));
  for (const [k, file] of models.files.entries()) {
    sessions[file] = await ort.InferenceSession.create(await files[k], {
      executionProviders: name === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
      externalData: [{ path: "weights.bin", data }],
      logSeverityLevel: 3,
    });
  }
  provider = name;
};

// Makes an image on the GPU and compares it with values from the build.
const probe = async () => {
  const wave = (k) => Float32Array.from({ length: 3 * 64 * 64 }, (_, i) => (Math.sin(i / k) + 1) / 2);
  await encode({ kind: "content", image: { width: 64, height: 64, data: wave(40) } });
  await encode({ kind: "style", image: { width: 64, height: 64, data: wave(23) } });
  const { data } = await stylize({ strength: 1, shares: Object.fromEntries(models.methods.map((name) => [name, 1])) });
  const { every, values, bound } = models.probe;
  if (!values.every((x, k) => Math.abs(data[k * every] - x) < bound)) throw new Error("it computes a different image");
};

// WebAssembly replaces a GPU that lacks a feature, computes wrong values or is lost. It encodes the images again.
const fallBack = async (error) => {
  failure = String(error?.message ?? error);
  console.warn(`WebGPU failed: ${failure}`);
  await load("wasm");
  encoded.content = encoded.style = null; // they belong to the GPU's runtime
  for (const [kind, image] of Object.entries(images)) await encode({ kind, image });
};

const recovering = (action) => async (values) => {
  try {
    return await action(values);
  } catch (error) {
    if (provider !== "webgpu") throw error;
    await fallBack(error);
    return action(values);
  }
};

// An image as {width, height, data: RGB planes in 0 … 1}.
const tensor = ({ data, width, height }) => new ort.Tensor("float32", data, [1, 3, height, width]);

const encode = async ({ kind, image }) => {
  images[kind] = image;
  const made = await sessions[`${kind}.onnx`].run({ [kind]: tensor(image) });
  if (encoded[kind]) Object.values(encoded[kind]).forEach((one) => one.dispose());
  encoded[kind] = kind === "content" ? { ...made, content: tensor(image) } : made;
  return {};
};

// shares: {method: weight}. strength: 0 gives the content, 1 the full style.
const stylize = async ({ strength, shares }) => {
  if (!encoded.content || !encoded.style) throw new Error("an image is missing");
  const list = Float32Array.from(models.methods, (name) => shares[name] ?? 0);
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
  return { width, height, data, seconds: (performance.now() - begin) / 1000, engine: engine() };
};

const answers = { start, encode: recovering(encode), stylize: recovering(stylize) };
let last = Promise.resolve(); // answers one message after the other
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
