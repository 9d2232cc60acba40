// Converts images between files, canvases and the input of the models: {width, height, data}, where data holds the
// red, green and blue planes one after the other, with values in 0 … 1.
const LUMA = [0.299, 0.587, 0.114]; // Rec. 601, as in nstlib/synthesis/colours.py
const LEAST = 64; // px

// Returns a canvas with the image, whose longest side is at most `size` px. source: anything that drawImage takes.
export const scaled = (source, size) => {
  const width = source.videoWidth || source.naturalWidth || source.width;
  const height = source.videoHeight || source.naturalHeight || source.height;
  if (Math.min(width, height) < 1) throw new Error("the image is empty");
  const scale = Math.min(1, size / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(Math.min(LEAST, size), Math.round(width * scale));
  canvas.height = Math.max(Math.min(LEAST, size), Math.round(height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; // under transparent parts
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
};

export const planes = (canvas) => {
  const { width, height } = canvas, area = width * height;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data, data = new Float32Array(3 * area);
  for (let i = 0; i < area; i++) for (let c = 0; c < 3; c++) data[c * area + i] = pixels[4 * i + c] / 255;
  return { width, height, data };
};

export const show = ({ width, height, data }, canvas) => {
  const area = width * height, pixels = new ImageData(width, height);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = 255 * data[c * area + i] + 0.5; // ImageData clamps
    pixels.data[4 * i + 3] = 255;
  }
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
};

const luminance = ({ data }) => {
  const area = data.length / 3, Y = new Float32Array(area);
  for (let i = 0; i < area; i++) Y[i] = LUMA[0] * data[i] + LUMA[1] * data[area + i] + LUMA[2] * data[2 * area + i];
  return Y;
};

const grey = (Y, like) => {
  const data = new Float32Array(3 * Y.length);
  for (let c = 0; c < 3; c++) data.set(Y, c * Y.length);
  return { ...like, data };
};

const moments = (Y) => {
  const mean = Y.reduce((sum, y) => sum + y, 0) / Y.length;
  return [mean, Math.sqrt(Y.reduce((sum, y) => sum + (y - mean) ** 2, 0) / (Y.length - 1))];
};

// To keep the content's colours, both images become grey, and the style gets the content's mean and spread of luminance.
export const greyContent = (content) => grey(luminance(content), content);
export const greyStyle = (style, content) => {
  const Y = luminance(style), [m, s] = moments(Y), [mean, spread] = moments(luminance(content));
  return grey(Y.map((y) => Math.min(1, Math.max(0, ((y - m) / Math.max(s, 1e-4)) * spread + mean))), style);
};

// Adds the content's chroma to the luminance of the result.
export const withChroma = (image, content) => {
  const made = luminance(image), own = luminance(content), area = own.length;
  const data = content.data.map((x, i) => Math.min(1, Math.max(0, x + made[i % area] - own[i % area])));
  return { ...image, data };
};
